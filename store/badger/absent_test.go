package badger

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"doorward/store"
)

func accountKey(n int) []byte { return store.Key(store.KindAccount, fmt.Sprintf("account-%d", n)) }

// TestAbsence: no key that has a record is ever said to have none, through a restart, through filling while others write and through growth;
// and most keys without one are known.
func TestAbsence(t *testing.T) {
	cfg := Config{Dir: filepath.Join(t.TempDir(), "store"), Log: slog.New(slog.DiscardHandler), Check: [32]byte{1}, Guard: Guard{Ballast: -1, Least: func(uint64) uint64 { return 64 << 20 }}}
	d, err := Create(cfg)
	if err != nil {
		t.Fatal(err)
	}
	put := func(from, to int) {
		t.Helper()
		b := &store.Batch{Shard: store.NoShard}
		for n := from; n < to; n++ {
			b.Put = append(b.Put, store.Pair{Key: accountKey(n), Value: []byte{1}})
		}
		if _, err := d.Commit(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	put(0, 20_000)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if d, err = Open(cfg); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	put(20_000, 21_000)
	for n := range missesUntilFilled {
		put(21_000+n, 21_001+n)
		if v, err := d.Get(t.Context(), accountKey(-1-n)); err != nil || v[0] != nil {
			t.Fatalf("a key nobody put: %v, %v", v, err)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); !d.absent.whole.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the filter was not filled")
		}
		put(23_000, 23_010)
	}
	put(30_000, 31_000)
	for _, span := range [][2]int{{0, 22_000}, {23_000, 23_010}, {30_000, 31_000}} {
		for n := span[0]; n < span[1]; n++ {
			if d.absent.certain(accountKey(n)) {
				t.Fatalf("account %d has a record and is said to have none", n)
			}
		}
	}
	known := 0
	for n := range 10_000 {
		if d.absent.certain(accountKey(100_000 + n)) {
			known++
		}
	}
	if known < 9_900 {
		t.Errorf("of 10,000 absent keys only %d are known to be", known)
	}
	if _, err := d.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Expect: []store.Expect{{Key: accountKey(7)}}}); err == nil {
		t.Error("a record that is there was taken for absent")
	}
	if _, err := d.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Expect: []store.Expect{{Key: accountKey(99_999)}}}); err != nil {
		t.Errorf("a record that is not there: %v", err)
	}
}

// TestAbsenceGrows: beyond a filter's keys another one is added, and stays as exact.
func TestAbsenceGrows(t *testing.T) {
	a := newAbsence()
	a.whole.Store(true)
	key := func(n int) []byte { return binary.BigEndian.AppendUint64([]byte{store.KindAccount}, uint64(n)) }
	const many = 3 * leastFilter
	for n := range many {
		a.add(key(n))
	}
	if n := len(*a.filters.Load()); n != 2 {
		t.Errorf("%d filters", n)
	}
	wrong := 0
	for n := range many {
		if a.certain(key(n)) {
			t.Fatalf("key %d was put in", n)
		}
		if !a.certain(key(many + n)) {
			wrong++
		}
	}
	if wrong*200 > many {
		t.Errorf("%d of %d absent keys are not known", wrong, many)
	}
}

func BenchmarkAbsence(b *testing.B) {
	a := newAbsence()
	a.whole.Store(true)
	keys := make([][]byte, 1<<16)
	for n := range keys {
		keys[n] = accountKey(n)
	}
	for n := range 1_000_000 {
		a.add(accountKey(n + 1<<20))
	}
	b.ResetTimer()
	for i := range b.N {
		a.certain(keys[i&(1<<16-1)])
	}
}
