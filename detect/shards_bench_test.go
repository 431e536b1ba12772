package detect_test

import (
	"context"
	"log/slog"
	"sync"
	"syscall"
	"testing"
	"time"

	"doorward/detect"
	"doorward/detect/simulate"
	"doorward/rules/window"
	"doorward/store"
	"doorward/store/outbox"
)

// BenchmarkShards is the engine without broker and disk: eight shards decode, evaluate and commit b.N events of 1 M accounts into a store
// that keeps nothing. us/event is CPU of the process, garbage collection and the committing shards included.
//
//	go test -run - -bench Shards -benchtime 3000000x ./detect
func BenchmarkShards(b *testing.B) {
	const shards, batch = 8, 2000
	load := simulate.NewLoad(simulate.LoadConfig{Accounts: 1_000_000, Seed: 1})
	logs := make([][]detect.Record, shards)
	at := mustTime(b, "2026-03-01T00:00:00Z")
	for range b.N {
		at = at.Add(2 * time.Microsecond)
		account, value := load.Next(at.Truncate(time.Millisecond))
		n := int(detect.Murmur2(account)&0x7fffffff) % shards
		logs[n] = append(logs[n], detect.Record{Topic: "t", Partition: n, Offset: int64(len(logs[n])), Time: at.Truncate(time.Millisecond),
			Key: append([]byte(nil), account...), Value: append([]byte(nil), value...)})
	}
	set, board, pace := builtinSet(b), window.NewBoard(shards), detect.NewPace(shards)
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	var running, fed sync.WaitGroup
	began := cpuTime(b)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range shards {
		s := detect.NewShard(detect.ShardConfig{
			Evaluator: detect.EvaluatorConfig{Shard: i, Rules: set, Board: board, HashKey: [16]byte{1}},
			Store:     forgetful{}, Owner: "bench", Pace: pace, Answer: func(detect.Decision) {}, Log: slog.New(slog.DiscardHandler), Now: time.Now,
			Publish: func(context.Context, []outbox.Row) error { return nil },
		})
		running.Go(func() {
			if err := s.Run(ctx); err != nil {
				b.Error(err)
			}
		})
		source := &spent{log: logs[i], batch: batch, done: make(chan struct{})}
		running.Go(func() {
			if err := s.Feed(ctx, source); err != nil {
				b.Error(err)
			}
		})
		fed.Go(func() { <-source.done })
	}
	fed.Wait()
	b.StopTimer()
	b.ReportMetric(float64((cpuTime(b)-began).Nanoseconds())/1000/float64(b.N), "us/event")
	stop()
	running.Wait()
}

func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// spent hands out a log once.
type spent struct {
	log   []detect.Record
	batch int
	done  chan struct{}
	once  sync.Once
}

func (s *spent) Open(context.Context, []detect.Position) error { return nil }

func (s *spent) Fetch(ctx context.Context) ([]detect.Record, error) {
	n := min(s.batch, len(s.log))
	out := s.log[:n]
	s.log = s.log[n:]
	if n == 0 {
		s.once.Do(func() { close(s.done) })
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return out, nil
}

// forgetful is a store that takes everything and keeps nothing.
type forgetful struct{}

func (forgetful) Claim(context.Context, int, string) (uint64, error) { return 1, nil }
func (forgetful) Commit(_ context.Context, b *store.Batch) ([]uint64, error) {
	return make([]uint64, len(b.Append)), nil
}
func (forgetful) Get(_ context.Context, keys ...[]byte) ([][]byte, error) {
	return make([][]byte, len(keys)), nil
}
func (forgetful) Scan(context.Context, []byte, []byte, bool, func(key, value []byte) bool) error {
	return nil
}
func (forgetful) Close() error { return nil }

var _ store.Engine = forgetful{}
