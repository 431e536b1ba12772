package badger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"doorward/store"
	"doorward/store/badger"
	"doorward/store/storetest"
)

// The mix that eight busy shards write, as the reference's performance table counts it: a commit of 1,000 events carries one delta of
// about 100 bytes an event; after 64 MiB of deltas a checkpoint of 75 MB follows, four pages with each commit, and what it made useless
// goes.
const (
	mixShards     = 8
	mixEvents     = 1000
	mixDelta      = 100 << 10
	mixCheckpoint = 64 << 20
	mixPage       = 256 << 10
	mixPages      = 300
	mixPagesEach  = 4
	mixRecord     = 600 // bytes of one account in a page
)

// BenchmarkEngine writes the mix as fast as the engine takes it: b.N commits a shard. Use -benchtime 3000x for four checkpoints a shard.
//
//	go test -run - -bench Engine/flat -benchtime 3000x ./store/badger
//	go test -run - -bench Engine/paced -benchtime 1500x ./store/badger
//
// us/event is CPU of the whole process, GC included, all in: deltas, records and checkpoints. written/delta is what went to the disk per
// byte of delta (pages are another 1.2 of it).
func BenchmarkEngine(b *testing.B) {
	b.Run("flat", func(b *testing.B) { benchMix(b, 0) })
	// 25 commits a second and shard are 200,000 events a second.
	b.Run("paced", func(b *testing.B) { benchMix(b, 40*time.Millisecond) })
}

func benchMix(b *testing.B, every time.Duration) {
	dir := filepath.Join(b.TempDir(), "store")
	db, err := badger.Create(storetest.Config(dir))
	if err != nil {
		b.Fatal(err)
	}
	m := newMix(db)
	cpu, written := cpuTime(), writtenBytes(b)
	b.ResetTimer()
	took, err := m.run(b.Context(), b.N, every)
	b.StopTimer()
	if err != nil {
		b.Fatal(err)
	}
	m.report(b, cpuTime()-cpu, writtenBytes(b)-written, took)
	b.ReportMetric(float64(allocated(b, dir))/1e6, "MB-disk")
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	if db, err = badger.Open(storetest.Config(dir)); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(time.Since(start).Milliseconds()), "ms-open")
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkOpenAfterKill kills a process in the middle of the mix, with several hundred MB of bulk values on disk, and opens its store.
func BenchmarkOpenAfterKill(b *testing.B) {
	cfg := storetest.Config(filepath.Join(b.TempDir(), "store"))
	db, err := badger.Create(cfg)
	if err != nil {
		b.Fatal(err)
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	var opening time.Duration
	var live int64
	for range b.N {
		if err := child("mix", cfg.Dir).Run(); err == nil {
			b.Fatal("the child was not killed")
		}
		start := time.Now()
		db, err := badger.Open(cfg)
		if err != nil {
			b.Fatal(err)
		}
		opening += time.Since(start)
		live = db.Bulk().Live
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(opening.Seconds()*1e3/float64(b.N), "ms-open")
	b.ReportMetric(float64(live)/1e6, "MB-live")
}

// mixAndDie writes the mix until this process kills itself.
func mixAndDie(dir string) error {
	db, err := badger.Open(storetest.Config(dir))
	if err != nil {
		return err
	}
	if _, err := newMix(db).run(context.Background(), 600, 0); err != nil {
		return err
	}
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// mix drives one engine.
type mix struct {
	e     store.Engine
	noise []byte
	pages int // written in all

	mu          sync.Mutex
	checkpoints int
}

func newMix(e store.Engine) *mix {
	m := &mix{e: e, noise: make([]byte, 4<<20)}
	r := rand.New(rand.NewPCG(1, 2))
	for i := 0; i < len(m.noise); i += 2 { // about as dense as counters and hashes side by side
		m.noise[i] = byte(r.Uint32())
	}
	return m
}

func (m *mix) bytes(r *rand.Rand, n int) []byte {
	at := r.IntN(len(m.noise) - n)
	return m.noise[at : at+n]
}

// run lets every shard commit rounds batches and returns how long each took.
func (m *mix) run(ctx context.Context, rounds int, every time.Duration) ([]time.Duration, error) {
	errs := make([]error, mixShards)
	var wg sync.WaitGroup
	took := make([][]time.Duration, mixShards)
	for n := range mixShards {
		wg.Go(func() {
			s := mixShard{mix: m, n: n, r: rand.New(rand.NewPCG(uint64(n), 3))}
			// Shards are at different places of their cycles.
			s.since = n * mixCheckpoint / mixShards
			epoch, err := m.e.Claim(ctx, n, "bench")
			if err != nil {
				errs[n] = err
				return
			}
			next := time.Now()
			for range rounds {
				batch := s.next(epoch)
				if every > 0 {
					next = next.Add(every)
					time.Sleep(time.Until(next))
				}
				start := time.Now()
				if _, err := m.e.Commit(ctx, batch); err != nil {
					errs[n] = err
					return
				}
				took[n] = append(took[n], time.Since(start))
			}
		})
	}
	wg.Wait()
	return slices.Sorted(slices.Values(slices.Concat(took...))), errors.Join(errs...)
}

type mixShard struct {
	*mix
	n        int
	r        *rand.Rand
	sequence uint64
	since    int
	start    uint64 // sequence of the running checkpoint, 0: none
	page     int
	last     uint64 // sequence of the newest whole checkpoint
	useless  [][]byte
	deltas   [][]byte // keys since the running checkpoint began, and before
	before   [][]byte
	pageKeys [][]byte
	oldPages [][]byte
}

// next is the shard's next commit.
func (s *mixShard) next(epoch uint64) *store.Batch {
	shard := store.Shard(s.n)
	s.sequence += mixEvents
	b := &store.Batch{Shard: s.n, Epoch: epoch}
	put := func(key, value []byte) { b.Put = append(b.Put, store.Pair{Key: key, Value: value}) }
	delta := store.Key(store.KindDelta, shard, s.sequence, uint32(0))
	put(delta, s.bytes(s.r, mixDelta))
	s.deltas = append(s.deltas, delta)
	s.since += mixDelta
	put(store.Key(store.KindProgress, shard), s.bytes(s.r, 300))
	put(store.Key(store.KindShardLog, shard, s.sequence), s.bytes(s.r, 200))
	for range 5 {
		put(store.Key(store.KindAccount, fmt.Sprintf("account-%d", s.r.IntN(1_000_000))), s.bytes(s.r, 400))
	}
	if n := min(len(s.useless), 2000); n > 0 {
		b.Delete, s.useless = s.useless[:n], s.useless[n:]
	}
	if s.start == 0 && s.since >= mixCheckpoint {
		s.start, s.page, s.since = s.sequence, 0, 0
		s.before, s.deltas = s.deltas, nil
	}
	for n := 0; s.start != 0 && n < mixPagesEach; n++ {
		key := store.Key(store.KindCheckpoint, shard, s.start, uint32(s.page))
		put(key, s.bytes(s.r, mixPage))
		s.pageKeys = append(s.pageKeys, key)
		if s.page++; s.page == mixPages {
			s.useless = slices.Concat(s.useless, s.before, s.oldPages)
			s.oldPages, s.pageKeys, s.before, s.start = s.pageKeys, nil, nil, 0
			s.mu.Lock()
			s.checkpoints++
			s.mu.Unlock()
		}
	}
	s.mu.Lock()
	s.pages += len(b.Put)
	s.mu.Unlock()
	return b
}

func (m *mix) report(b *testing.B, cpu time.Duration, written int64, took []time.Duration) {
	if len(took) == 0 {
		return
	}
	events := float64(len(took) * mixEvents)
	b.ReportMetric(float64(cpu.Nanoseconds())/1e3/events, "us/event")
	b.ReportMetric(float64(written)/float64(len(took)*mixDelta), "written/delta")
	b.ReportMetric(took[len(took)/2].Seconds()*1e3, "ms-p50")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1e3, "ms-p99")
	b.ReportMetric(took[len(took)-1].Seconds()*1e3, "ms-max")
	b.ReportMetric(float64(m.checkpoints), "checkpoints")
	b.ReportMetric(float64(status(b, "RssAnon"))/1e3, "MB-anon")
	b.ReportMetric(float64(status(b, "RssFile"))/1e3, "MB-file")
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it has no reason to fail for the caller itself
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// writtenBytes is what this process made the kernel write to disks so far.
func writtenBytes(tb testing.TB) int64 { return procField(tb, "/proc/self/io", "write_bytes") }

// status is a field of this process's status, in kB.
func status(tb testing.TB, field string) int64 { return procField(tb, "/proc/self/status", field) }

func procField(tb testing.TB, file, field string) int64 {
	content, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	for line := range bytes.Lines(content) {
		name, rest, _ := strings.Cut(string(line), ":")
		if name == field {
			n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				tb.Fatal(err)
			}
			return n
		}
	}
	tb.Fatalf("no %s in %s", field, file)
	return 0
}

// allocated is what a directory takes on the disk, holes in its files not counted.
func allocated(tb testing.TB, dir string) (total int64) {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		var s syscall.Stat_t
		if err := syscall.Stat(path, &s); err != nil {
			return nil // removed meanwhile
		}
		total += s.Blocks * 512
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return total
}
