package badger_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"doorward/store"
	"doorward/store/badger"
	"doorward/store/storetest"
)

// The test binary runs again as a child when childVar is set: a process that can be killed, or whose store breaks.
const (
	childVar = "DOORWARD_STORE_CHILD"
	longVar  = "DOORWARD_LONG" // set: many seeds instead of a few
)

func TestMain(m *testing.M) {
	role, dir, ok := strings.Cut(os.Getenv(childVar), ":")
	if !ok {
		os.Exit(m.Run())
	}
	var err error
	switch role {
	case "commit":
		err = commitForEver(dir)
	case "mix":
		err = mixAndDie(dir)
	case "break":
		err = breakStore(dir)
	case "migrate":
		err = migrateAndDie(dir)
	}
	if err != nil {
		fmt.Println("child:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func child(role, dir string) *exec.Cmd {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childVar+"="+role+":"+dir)
	c.Stderr = os.Stderr
	return c
}

const childWriters = 6

func childKey(writer, n int) []byte { return fmt.Appendf(nil, "z%d/%08d", writer, n) }
func childCount(writer int) []byte  { return fmt.Appendf(nil, "y%d", writer) }

// Bulk values: a writer keeps its last few, the first writer many more than the others, so that its values have to be moved.
func childDelta(writer, n int) []byte {
	return store.Key(store.KindDelta, store.Shard(writer), uint64(max(n, 0)))
}
func childKept(writer int) int { return 3 + 60/(1+writer*writer) }
func childValue(writer, n int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%d/%08d.", writer, n), 600)
}

// commitForEver commits numbered batches from several goroutines and prints each number once it is acknowledged.
func commitForEver(dir string) error {
	db, err := badger.Open(badger.WithSegments(storetest.Config(dir), 100<<10))
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for w := range childWriters {
		wg.Go(func() {
			v, err := db.Get(context.Background(), childCount(w))
			if err != nil {
				panic(err)
			}
			n := 0
			if v[0] != nil {
				n, _ = strconv.Atoi(string(v[0])) // written below, as a number
			}
			for n++; ; n++ {
				_, err := db.Commit(context.Background(), &store.Batch{
					Shard: store.NoShard,
					Put: []store.Pair{
						{Key: childKey(w, n), Value: []byte(strings.Repeat("x", n%2000))},
						{Key: childCount(w), Value: []byte(strconv.Itoa(n))},
						{Key: childDelta(w, n), Value: childValue(w, n)},
					},
					DeleteRange: []store.Range{{From: childDelta(w, 0), To: childDelta(w, n-childKept(w)+1), Most: 1000}},
					Append:      []store.Append{{Log: "t", Value: fmt.Appendf(nil, "%d/%d", w, n)}},
				})
				if err != nil {
					panic(err)
				}
				mu.Lock()
				fmt.Println(w, n)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return nil
}

func TestKill(t *testing.T) {
	seeds := 4
	if os.Getenv(longVar) != "" {
		seeds = 200
	}
	dir := filepath.Join(t.TempDir(), "store")
	db, err := badger.Create(storetest.Config(dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	acknowledged := make([]int, childWriters)
	for seed := range seeds {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		killAfter(t, dir, 1+r.IntN(400), acknowledged)
		if verifyKilled(t, dir, acknowledged); t.Failed() {
			t.Fatalf("seed %d; repeat with go test ./store/badger -run TestKill", seed)
		}
	}
	t.Logf("%d kills, acknowledged per writer: %v", seeds, acknowledged)
}

// killAfter kills a child once it has acknowledged so many batches; others are under way then.
func killAfter(t *testing.T, dir string, batches int, acknowledged []int) {
	t.Helper()
	c := child("commit", dir)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for seen := 0; lines.Scan(); seen++ {
		var w, n int
		if _, err := fmt.Sscan(lines.Text(), &w, &n); err != nil {
			t.Errorf("the child says %q", lines.Text())
			break
		}
		acknowledged[w] = n
		if seen == batches {
			if err := c.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := c.Wait(); err == nil {
		t.Error("the child ended by itself")
	}
}

func verifyKilled(t *testing.T, dir string, acknowledged []int) {
	t.Helper()
	db, err := badger.Open(storetest.Config(dir))
	if err != nil {
		t.Fatalf("opening after the kill: %v", err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	total := 0
	for w, last := range acknowledged {
		v, err := db.Get(t.Context(), childCount(w))
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		if v[0] != nil {
			if count, err = strconv.Atoi(string(v[0])); err != nil {
				t.Fatal(err)
			}
		}
		if count < last || count > last+1 {
			t.Errorf("writer %d: %d batches are there, %d were acknowledged", w, count, last)
		}
		n := 0
		err = db.Scan(t.Context(), childKey(w, 0), childKey(w, 99999999), false, func(k, v []byte) bool {
			if n++; string(k) != string(childKey(w, n)) || len(v) != n%2000 {
				t.Errorf("writer %d: %s with %d bytes where batch %d should be", w, k, len(v), n)
			}
			return !t.Failed()
		})
		if err != nil || n != count {
			t.Errorf("writer %d: %d batches of %d are there: %v", w, n, count, err)
		}
		verifyBulk(t, db, w, count)
		acknowledged[w] = count // what was under way and is there stays there
		total += count
	}
	checkChain(t, db, total)
}

func verifyBulk(t *testing.T, db *badger.DB, w, count int) {
	t.Helper()
	n := max(count-childKept(w), 0)
	err := db.Scan(t.Context(), childDelta(w, 0), childDelta(w, 99999999), false, func(k, v []byte) bool {
		if n++; string(k) != string(childDelta(w, n)) || !bytes.Equal(v, childValue(w, n)) {
			t.Errorf("writer %d: %x with %d bytes where bulk value %d should be", w, k, len(v), n)
		}
		return !t.Failed()
	})
	if err != nil || n != count {
		t.Errorf("writer %d: bulk values up to %d of %d are there: %v", w, n, count, err)
	}
}

// checkChain follows log t to its head.
func checkChain(t *testing.T, db *badger.DB, lines int) {
	t.Helper()
	var last store.Head
	seen := make(map[string]bool)
	err := db.Scan(t.Context(), store.LineKey("t", 0), store.LineKey("t", math.MaxUint64), false, func(k, line []byte) bool {
		hash, value, err := store.DecodeLine(line)
		at := binary.BigEndian.Uint64(k[len(k)-8:])
		if err != nil || at != last.Position+1 || hash != store.Chain(last.Hash, at, value) || seen[string(value)] {
			t.Errorf("the log breaks at line %d after %d (%s): %v", at, last.Position, value, err)
			return false
		}
		seen[string(value)] = true
		last = store.Head{Position: at, Hash: hash}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	v, err := db.Get(t.Context(), store.HeadKey("t"))
	if err != nil {
		t.Fatal(err)
	}
	if head, err := store.DecodeHead(v[0]); err != nil || head != last || last.Position != uint64(lines) {
		t.Errorf("%d lines, head at %d, want %d: %v", last.Position, head.Position, lines, err)
	}
}
