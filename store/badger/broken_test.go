package badger_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"doorward/store"
	"doorward/store/badger"
	"doorward/store/storetest"
)

// breakStore commits until Badger can't make its next log, because a directory stands in its place, and then holds the engine to what
// it promises about failed writes. It prints the number of batches that were acknowledged.
func breakStore(dir string) error {
	db, err := badger.Open(storetest.Config(dir))
	if err != nil {
		return err
	}
	logs, err := filepath.Glob(filepath.Join(dir, "state", "*.mem"))
	if err != nil || len(logs) == 0 {
		return fmt.Errorf("no log to get in the way of: %w", err)
	}
	var newest int
	if _, err := fmt.Sscanf(filepath.Base(logs[len(logs)-1]), "%d.mem", &newest); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "state", fmt.Sprintf("%05d.mem", newest+1)), 0o700); err != nil {
		return err
	}
	ctx := context.Background()
	value := []byte(strings.Repeat("v", 1<<19))
	n := 0
	for ; err == nil; n++ {
		_, err = db.Commit(ctx, &store.Batch{Shard: store.NoShard, Put: []store.Pair{
			{Key: fmt.Appendf(nil, "z%04d", n), Value: value}, {Key: []byte("y"), Value: fmt.Append(nil, n)},
		}})
	}
	if !errors.Is(err, badger.ErrBroken) {
		return fmt.Errorf("the commit that failed says %w", err)
	}
	fmt.Println(n - 1)
	return refusesAll(ctx, db)
}

func refusesAll(ctx context.Context, db *badger.DB) error {
	_, get := db.Get(ctx, []byte("y"))
	_, commit := db.Commit(ctx, &store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: []byte("x"), Value: []byte("1")}}})
	_, claim := db.Claim(ctx, 1, "child")
	scan := db.Scan(ctx, nil, nil, false, func(_, _ []byte) bool { return true })
	for what, err := range map[string]error{"get": get, "commit": commit, "claim": claim, "scan": scan, "close": db.Close()} {
		if !errors.Is(err, badger.ErrBroken) {
			return fmt.Errorf("%s on a broken store: %w", what, err)
		}
	}
	return nil
}

// TestBroken: after a write that failed half way nothing is served, and the next process finds each batch whole or not at all.
func TestBroken(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	db, err := badger.Create(storetest.Config(dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := child("break", dir).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var acknowledged int
	if _, err := fmt.Sscan(string(out), &acknowledged); err != nil || acknowledged == 0 {
		t.Fatalf("the child says %q", out)
	}
	blocked, err := filepath.Glob(filepath.Join(dir, "state", "*.mem"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range blocked {
		if info, err := os.Stat(f); err == nil && info.IsDir() {
			if err := os.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	db, err = badger.Open(storetest.Config(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	n := 0
	if err := db.Scan(t.Context(), []byte("z"), nil, false, func(_, _ []byte) bool { n++; return true }); err != nil {
		t.Fatal(err)
	}
	v, err := db.Get(t.Context(), []byte("y"))
	if err != nil {
		t.Fatal(err)
	}
	if n < acknowledged || string(v[0]) != fmt.Sprint(n-1) {
		t.Errorf("%d batches are there, the last says %s, %d were acknowledged", n, v[0], acknowledged)
	}
}
