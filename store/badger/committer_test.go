package badger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"doorward/store"

	"go.uber.org/goleak"
)

func testConfig(dir string) Config {
	return Config{Dir: dir, Log: slog.New(slog.DiscardHandler), Guard: Guard{Ballast: -1, Least: func(uint64) uint64 { return 64 << 20 }}}
}

func fresh(t testing.TB) *DB {
	t.Helper()
	d, err := Create(testConfig(filepath.Join(t.TempDir(), "store")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func one(k string) *store.Batch {
	return &store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: []byte(k), Value: []byte("1")}}}
}

// jam holds the disk: the committer stands in the middle of a commit until release.
func jam(t *testing.T, d *DB) (taken <-chan error, release func()) {
	t.Helper()
	d.commit.RLock()
	done := make(chan error, 1)
	go func() {
		_, err := d.Commit(context.Background(), one("zfirst"))
		done <- err
	}()
	for deadline := time.Now().Add(5 * time.Second); d.commit.TryRLock(); { // fails once the committer wants it
		d.commit.RUnlock()
		if time.Now().After(deadline) {
			t.Fatal("the committer does not commit")
		}
	}
	return done, d.commit.RUnlock
}

// TestGroups: what waits while the disk is busy goes in one transaction.
func TestGroups(t *testing.T) {
	d := fresh(t)
	first, release := jam(t, d)
	const n = 500
	done := make(chan error, n)
	for i := range n {
		go func() {
			_, err := d.Commit(context.Background(), one(fmt.Sprintf("z%d", i)))
			done <- err
		}()
	}
	for deadline := time.Now().Add(5 * time.Second); len(d.requests) < n; {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d wait", len(d.requests), n)
		}
	}
	release()
	for range n {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	if s := d.Stats(); s.Groups != 2 || s.Batches != n+1 {
		t.Errorf("%d batches in %d transactions, want %d in 2", s.Batches, s.Groups, n+1)
	}
}

// TestLargeBatchesDoNotFit: batches that fill a transaction each wait for the next one, in order, and none is lost.
func TestLargeBatchesDoNotFit(t *testing.T) {
	d := fresh(t)
	first, release := jam(t, d)
	value := make([]byte, store.MaxValue)
	const n = 6
	done := make(chan error, n)
	for i := range n {
		b := &store.Batch{Shard: store.NoShard}
		for k := range 5 {
			b.Put = append(b.Put, store.Pair{Key: fmt.Appendf(nil, "z%d/%d", i, k), Value: value})
		}
		go func() {
			_, err := d.Commit(context.Background(), b)
			done <- err
		}()
	}
	for deadline := time.Now().Add(5 * time.Second); len(d.requests) < n; {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d wait", len(d.requests), n)
		}
	}
	release()
	for range n {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	if s := d.Stats(); s.Groups != n+1 {
		t.Errorf("%d transactions, want %d: two batches of 5 MiB don't fit in one", s.Groups, n+1)
	}
}

// TestCancelled: a commit that is still queued is withdrawn at once and never applied; one that was taken is answered as it went.
func TestCancelled(t *testing.T) {
	d := fresh(t)
	first, release := jam(t, d)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := d.Commit(ctx, one("zqueued"))
		done <- err
	}()
	for deadline := time.Now().Add(5 * time.Second); len(d.requests) == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the second commit does not wait")
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) { // the disk is still busy
		t.Errorf("the queued commit: %v", err)
	}
	release()
	if err := <-first; err != nil {
		t.Error(err)
	}

	first, release = jam(t, d)
	taken := &request{batch: one("ztaken"), shard: store.NoShard, done: make(chan answer, 1)}
	taken.state.Store(withdrawn) // as if its maker had gone
	d.requests <- taken
	release()
	if err := <-first; err != nil {
		t.Error(err)
	}
	if _, err := d.Commit(t.Context(), one("zlast")); err != nil {
		t.Error(err)
	}
	v, err := d.Get(t.Context(), []byte("zqueued"), []byte("ztaken"), []byte("zfirst"), []byte("zlast"))
	if err != nil || v[0] != nil || v[1] != nil || v[2] == nil || v[3] == nil {
		t.Errorf("got %q, %v", v, err)
	}
}

// TestCancelledTooLate: who cancels a commit that is under way is told that it went through.
func TestCancelledTooLate(t *testing.T) {
	d := fresh(t)
	ctx, cancel := context.WithCancel(context.Background())
	d.commit.RLock()
	done := make(chan error, 1)
	go func() {
		_, err := d.Commit(ctx, one("z"))
		done <- err
	}()
	for deadline := time.Now().Add(5 * time.Second); d.commit.TryRLock(); {
		d.commit.RUnlock()
		if time.Now().After(deadline) {
			t.Fatal("the committer does not commit")
		}
	}
	cancel()
	d.commit.RUnlock()
	if err := <-done; err != nil {
		t.Errorf("the commit that was under way: %v", err)
	}
	if v, err := d.Get(t.Context(), []byte("z")); err != nil || v[0] == nil {
		t.Errorf("got %q, %v", v, err)
	}
}

func TestLimitsSayWhat(t *testing.T) {
	d := fresh(t)
	long := make([]byte, maxKey+1)
	long[0] = 'z'
	many := &store.Batch{Shard: store.NoShard}
	for range store.MaxBatchKeys + 1 {
		many.Delete = append(many.Delete, []byte("z"))
	}
	large := &store.Batch{Shard: store.NoShard}
	for range 9 {
		large.Put = append(large.Put, store.Pair{Key: []byte("z"), Value: make([]byte, store.MaxValue)})
	}
	logs := &store.Batch{Shard: store.NoShard}
	for i := range maxLogs + 1 {
		logs.Append = append(logs.Append, store.Append{Log: store.Log(fmt.Sprint(i))})
	}
	for want, b := range map[string]*store.Batch{
		"store: a key has 4097 bytes, 4096 are the most":    {Shard: store.NoShard, Put: []store.Pair{{Key: long}}},
		"store: keys with ! are Badger's own":               {Shard: store.NoShard, Delete: [][]byte{[]byte("!badger!x")}},
		"store: an empty key":                               {Shard: store.NoShard, Expect: []store.Expect{{}}},
		"store: there is no shard 65536":                    {Shard: 65536},
		"store: a batch of 50001 keys, 50001 bytes":         many,
		"store: a batch of 9 keys, 9436617 bytes":           large,
		"store: a batch of 9 keys, 387 bytes and lines for": logs,
	} {
		_, err := d.Commit(t.Context(), b)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant ...%s...", err, want)
		}
	}
}

func TestNothingLeft(t *testing.T) {
	before := goleak.IgnoreCurrent()
	d, err := Create(testConfig(filepath.Join(t.TempDir(), "store")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Commit(t.Context(), one("z")); err != nil {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	goleak.VerifyNone(t, before)
}

// BenchmarkCommit: batches of 1,000 puts of 100 bytes, synced, one after the other.
func BenchmarkCommit(b *testing.B) {
	d := fresh(b)
	value := make([]byte, 100)
	n := 0
	for b.Loop() {
		batch := &store.Batch{Shard: store.NoShard, Put: make([]store.Pair, 1000)}
		for i := range batch.Put {
			batch.Put[i] = store.Pair{Key: fmt.Appendf(nil, "z%09d", n), Value: value}
			n++
		}
		if _, err := d.Commit(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/put")
}

// BenchmarkSmallCommits: one put each, from one goroutine and from many at once.
func BenchmarkSmallCommits(b *testing.B) {
	for _, writers := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			d := fresh(b)
			before := d.Stats()
			b.SetParallelism(max(1, writers/2)) // times GOMAXPROCS, 2 on the machine this was made on
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := d.Commit(context.Background(), one("z")); err != nil {
						b.Error(err)
					}
				}
			})
			s := d.Stats()
			b.ReportMetric(float64(s.Batches-before.Batches)/float64(s.Groups-before.Groups), "batches/sync")
		})
	}
}
