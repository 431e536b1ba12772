//go:build accept

package faults

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"doorward/detect"
	"doorward/rules"
	"doorward/rules/builtin"
	"doorward/rules/window"
	"doorward/store/badger"
	"doorward/store/outbox"
)

var (
	natFlag   = flag.Int("faults.nat", 20_000, "how many users are behind one address (row crowd; long form 100000)")
	idsFlag   = flag.Int("faults.ids", 150_000, "how many random accounts, devices, addresses and payees come (row explosion; long form 10000000)")
	burstFlag = flag.Int("faults.burst", 20_000, "how many events come at once (row crowd; long form 3000000)")
)

// crowdRow: half of all traffic is one account's, a whole town is behind one address, two in a hundred of its people mistype, and then ten times
// the load comes at once. Nobody of them is restricted, the lag drains, and what the load among it says is decided as ever. How long others wait
// is measured and told, not asserted.
func crowdRow(t *testing.T, seed uint64) {
	t.Parallel()
	k := newFakeKafka(t, 1)
	w := throughProxies(t, k.ListenAddrs(), k, seed)
	w.start()
	w.startLoad(load{rate: 200, accounts: 100})
	w.takenIn(100)
	calm := w.sum("doorward_commit_delay_seconds") / partitions
	r := rand.New(rand.NewPCG(seed, 5))
	c := w.another(kgo.MaxBufferedRecords(1 << 20))
	write := func(id, kind, account string, data map[string]any) {
		r := &kgo.Record{Topic: w.topic, Partition: partitionOf(account), Key: []byte(account), Value: line("/crowd", id, kind, account, data)}
		c.Produce(w.Context(), r, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("produce: %v", err)
			}
		})
	}
	hot := "crowd-hot-" + w.prefix
	for n := range max(*natFlag, *burstFlag/2) {
		account := fmt.Sprintf("crowd-%s-%d", w.prefix, n%*natFlag)
		kind, data := "login.succeeded", map[string]any{"ip": "192.0.2.77", "device": "dev-" + account, "method": "password"}
		if r.IntN(50) == 0 {
			kind, data["reason"] = "login.failed", "bad_password"
		}
		write(fmt.Sprint("n", n), kind, account, data)
		write(fmt.Sprint("h", n), "session.seen", hot, map[string]any{"ip": "192.0.2.78", "device": "dev-hot"})
	}
	began := time.Now()
	ctx, stop := context.WithTimeout(w.Context(), 2*time.Minute)
	defer stop()
	if err := c.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	written, worst := time.Since(began), 0.0
	w.await(2*time.Minute, "the lag drains", func() bool {
		for p := range partitions {
			if p != int(partitionOf(hot)) {
				worst = max(worst, w.sum(fmt.Sprintf(`doorward_commit_delay_seconds{shard="%d"}`, p)))
			}
		}
		return w.behind() < 50
	})
	t.Logf("%d events at once, written within %v, drained after %v; other partitions waited %.0f ms at worst, %.0f ms on average before; peak %d MiB",
		2*max(*natFlag, *burstFlag/2), written.Round(time.Millisecond), time.Since(began).Round(time.Millisecond), worst*1000, calm*1000, w.peak()>>20)
	w.finish()
	restricted := 0
	for _, r := range w.all(detect.TopicState) {
		if len(r.Key) > 6 && string(r.Key[:6]) == "crowd-" {
			restricted++
			t.Errorf("restricted: %s", r.Value)
			if restricted == 5 {
				break
			}
		}
	}
}

// all reads a topic from its start to its end.
func (w *world) all(topic string) (all []detect.Record) {
	w.Helper()
	if err := w.client.ReadCompacted(w.Context(), topic, func(r detect.Record) error {
		r.Key, r.Value = append([]byte(nil), r.Key...), append([]byte(nil), r.Value...)
		all = append(all, r)
		return nil
	}); err != nil {
		w.Fatal(err)
	}
	return all
}

// explosionRow: every event is of an account, a device, an address and a payee that nobody has seen, far more than there is room for. Memory
// grows to the budget and no further, and what leaves is counted. The shard runs in this process, with a small budget.
func explosionRow(t *testing.T, seed uint64) {
	set, err := rules.Load(builtin.FS)
	if err != nil {
		t.Fatal(err)
	}
	db, err := badger.Create(badger.Config{Dir: filepath.Join(t.TempDir(), "s"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const budget = 2000
	e := detect.EvaluatorConfig{Rules: set, Board: window.NewBoard(1), HashKey: [16]byte{1}, Budget: budget}
	s := detect.NewShard(detect.ShardConfig{Evaluator: e, Store: db, Owner: "faults", Pace: detect.NewPace(1), Checkpoint: 8 << 20,
		DeadLetter: func(r detect.Record, _, problem string) detect.Message {
			t.Errorf("not taken: %s: %s", r.Value, problem)
			return detect.Message{Topic: detect.TopicDead, Partition: -1}
		},
		Publish: func(context.Context, []outbox.Row) error { return nil },
		Answer:  func(detect.Decision) {}, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	src := &strangers{begun: time.Now().Add(-time.Duration(*idsFlag) * time.Millisecond), random: rand.New(rand.NewPCG(seed, 6)), left: *idsFlag}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- s.Run(ctx) }()
	go func() { ended <- s.Feed(ctx, src) }()
	var early uint64
	eventually(t, time.Minute, "the budget is full", func() bool { return s.Status().Evicted > budget })
	early = heap()
	limit := time.Minute + time.Duration(*idsFlag)*100*time.Microsecond
	eventually(t, limit, "everybody has come", func() bool { return s.Status().Counts.Events == uint64(*idsFlag) })
	late, status := heap(), s.Status()
	t.Logf("%d strangers, %d records evicted; %d MiB when the budget was full, %d MiB at the end", *idsFlag, status.Evicted, early>>20, late>>20)
	if status.Evicted < uint64(*idsFlag) {
		t.Errorf("%d records are counted as evicted", status.Evicted)
	}
	if late > early+96<<20 {
		t.Errorf("memory grew from %d to %d MiB after the budget was full", early>>20, late>>20)
	}
	stop()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// strangers is a source of events whose every id is new, a thousand a second by their arrival: what a record leaves behind for other shards is
// kept for 64 seconds beside the budget.
type strangers struct {
	begun  time.Time
	random *rand.Rand
	left   int
	offset int64
}

func (s *strangers) Open(context.Context, []detect.Position) error { return nil }

func (s *strangers) Fetch(ctx context.Context) (all []detect.Record, err error) {
	if s.left == 0 {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
			return nil, nil
		}
	}
	at := s.begun.Add(time.Duration(s.offset) * time.Millisecond)
	for range min(s.left, 1000) {
		n := s.random.Uint64()
		account := fmt.Sprintf("stranger-%x", n)
		kind, data := "login.failed", map[string]any{"method": "password", "reason": "bad_password"}
		if n%2 == 0 {
			kind, data = "transaction.requested", map[string]any{"transaction": fmt.Sprint("tx", n), "kind": "transfer", "direction": "out", "amount": 100, "currency": "EUR",
				"counterparty": fmt.Sprintf("payee-%x", n), "counterparty_kind": "person"}
		}
		data["ip"] = fmt.Sprintf("2001:db8:%x:%x::%x", n>>48, n>>32&0xffff, n&0xffff)
		data["device"] = fmt.Sprintf("dev-%x", n)
		all = append(all, detect.Record{Topic: detect.TopicEvents, Offset: s.offset, Time: at, Key: []byte(account), Value: line("/strangers", fmt.Sprint(s.offset), kind, account, data)})
		s.offset++
	}
	s.left -= len(all)
	return all, nil
}

var _ detect.Source = (*strangers)(nil)
