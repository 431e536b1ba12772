package badger_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"doorward/store"
	"doorward/store/badger"
	"doorward/store/storetest"
)

// disk is a disk whose free space a test sets.
type disk struct{ free atomic.Uint64 }

func (d *disk) guard() badger.Guard {
	return badger.Guard{
		Free:    func() (uint64, uint64, error) { return d.free.Load(), 100 << 30, nil },
		Every:   time.Millisecond,
		Ballast: -1,
	}
}

// until polls for something that another goroutine brings about.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestGuard(t *testing.T) {
	var d disk
	d.free.Store(50 << 30)
	cfg := storetest.Config(filepath.Join(t.TempDir(), "store"))
	cfg.Guard = d.guard()
	db, err := badger.Create(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	commit := func() error {
		_, err := db.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: []byte("z"), Value: []byte("1")}}})
		return err
	}
	if err := commit(); err != nil || db.Full() {
		t.Fatalf("with room: %v", err)
	}
	d.free.Store(10<<30 - 1)
	until(t, "the store is full", db.Full)
	if err := commit(); !errors.Is(err, store.ErrFull) || !strings.Contains(err.Error(), cfg.Dir) || !strings.Contains(err.Error(), "ballast") {
		t.Errorf("without room: %v", err)
	}
	if _, err := db.Claim(t.Context(), 1, "test"); !errors.Is(err, store.ErrFull) {
		t.Errorf("a claim without room: %v", err)
	}
	if v, err := db.Get(t.Context(), []byte("z")); err != nil || string(v[0]) != "1" {
		t.Errorf("reading goes on: %q, %v", v, err)
	}
	d.free.Store(11 << 30)
	until(t, "it writes again", func() bool { return !db.Full() })
	if err := commit(); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// TestGuardLooksBeforeMuch: what is written between two looks of the clock is bounded.
func TestGuardLooksBeforeMuch(t *testing.T) {
	var d disk
	d.free.Store(50 << 30)
	cfg := storetest.Config(filepath.Join(t.TempDir(), "store"))
	cfg.Guard = d.guard()
	cfg.Guard.Every = time.Hour
	db, err := badger.Create(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	d.free.Store(1 << 30)
	value := make([]byte, 1<<19)
	for n := 0; ; n++ {
		_, err := db.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: []byte("z"), Value: value}}})
		if errors.Is(err, store.ErrFull) {
			break
		}
		if err != nil || n > 200 {
			t.Fatalf("%d MiB written on a full disk: %v", n/2, err)
		}
	}
}

// TestGuardLooksAtEachCommit: room that is gone since the last look by the clock is missed at the next commit, however small.
func TestGuardLooksAtEachCommit(t *testing.T) {
	var d disk
	d.free.Store(50 << 30)
	cfg := storetest.Config(filepath.Join(t.TempDir(), "store"))
	cfg.Guard = d.guard()
	cfg.Guard.Every = time.Hour
	db, err := badger.Create(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	key := []byte("z")
	commit := func(value string) error {
		_, err := db.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: key, Value: []byte(value)}}})
		return err
	}
	if err := commit("1"); err != nil {
		t.Fatal(err)
	}
	d.free.Store(1 << 20)
	if err := commit("2"); !errors.Is(err, store.ErrFull) || !db.Full() {
		t.Errorf("a commit without room: %v", err)
	}
	if v, err := db.Get(t.Context(), key); err != nil || string(v[0]) != "1" {
		t.Errorf("a commit that was refused is there: %q, %v", v, err)
	}
}

func TestNoRoomToStart(t *testing.T) {
	cfg := made(t)
	var d disk
	d.free.Store(100 << 20)
	cfg.Guard = d.guard()
	if _, err := badger.Open(cfg); !errors.Is(err, store.ErrFull) || !strings.Contains(err.Error(), "ballast") {
		t.Errorf("opening on a full disk: %v", err)
	}
	d.free.Store(256 << 20) // the ballast was deleted
	db, err := badger.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !db.Full() {
		t.Error("a store opened on the last room writes")
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func TestBallast(t *testing.T) {
	for _, c := range []struct {
		free uint64
		want int64
	}{{50 << 30, 3 << 20}, {15 << 30, -1}} {
		var d disk
		d.free.Store(c.free)
		cfg := storetest.Config(filepath.Join(t.TempDir(), "store"))
		cfg.Guard = d.guard()
		cfg.Guard.Ballast = 3 << 20
		db, err := badger.Create(cfg)
		if err != nil {
			t.Fatal(err)
		}
		size := int64(-1)
		if info, err := os.Stat(filepath.Join(cfg.Dir, "ballast")); err == nil {
			size = info.Size()
		}
		if size != c.want {
			t.Errorf("%d GiB free: a ballast of %d bytes, want %d", c.free>>30, size, c.want)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestLeastFree(t *testing.T) {
	for _, c := range []struct{ total, want uint64 }{
		{1 << 40, 1 << 40 / 10}, {20 << 30, 2 << 30}, {20<<30 - 1, (20<<30 - 1) / 10}, {4 << 30, 768 << 20},
	} {
		if got := badger.LeastFree(c.total); got != c.want {
			t.Errorf("of %d bytes %d are kept free, want %d", c.total, got, c.want)
		}
	}
}
