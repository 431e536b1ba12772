//go:build accept

package faults

import (
	"context"
	"flag"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"doorward/detect"
	"doorward/detect/kafka"
)

var (
	stormFlag  = flag.Duration("faults.storm", 6*time.Second, "how long members join and leave (row storm; long form 10m)")
	apacheAll  = flag.Bool("faults.apache.all", false, "rows storm and zombie run in Apache Kafka too")
	freezeFlag = flag.Duration("faults.freeze", 13*time.Second, "how long the engine is stopped (row zombie): longer than a session, which is 10s")
)

// stormRow: eight members come into the group and leave it all the time, some without a store and some with another one. The store's holder
// keeps every shard, what is decided is not touched, and those that wait say so.
func stormRow(t *testing.T, seed uint64) {
	t.Parallel()
	eachGrouped(t, seed, func(w *weathered) {
		w.start()
		w.startLoad(load{rate: 300, accounts: 200})
		w.takenIn(100)
		ctx, stop := context.WithTimeout(w.Context(), *stormFlag)
		defer stop()
		var members sync.WaitGroup
		var told said
		for n := range 8 {
			store, stay := "", time.Duration(100+w.chance.IntN(1000))*time.Millisecond
			if n%2 == 0 {
				store = own("another-store")
			}
			members.Go(func() {
				for ctx.Err() == nil {
					w.visit(ctx, store, stay, &told)
				}
			})
		}
		members.Wait()
		w.Logf("%d members came and went, %d were told that they wait", told.came.Load(), told.waits.Load())
		if told.came.Load() < 16 || told.waits.Load() == 0 {
			w.Error("that was no storm, or nobody was told to wait")
		}
		w.ready(time.Minute)
		w.takenIn(200)
		w.finish()
	})
}

// eachGrouped is for rows about the group alone: it is the broker's own in this process, so that Apache Kafka is asked only for the long form.
func eachGrouped(t *testing.T, seed uint64, f func(w *weathered)) {
	if *apacheAll {
		eachWeathered(t, seed, 1, f)
		return
	}
	t.Run("fake", func(t *testing.T) {
		t.Parallel()
		k := newFakeKafka(t, 1)
		f(throughProxies(t, k.ListenAddrs(), k, seed))
	})
}

// said counts what members log.
type said struct {
	slog.Handler
	came, waits atomic.Int64
}

func (s *said) Enabled(context.Context, slog.Level) bool { return true }
func (s *said) WithAttrs([]slog.Attr) slog.Handler       { return s }
func (s *said) WithGroup(string) slog.Handler            { return s }
func (s *said) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "no shard is ours, waiting") {
		s.waits.Add(1)
	}
	return nil
}

// visit is one member's stay in the group.
func (w *weathered) visit(ctx context.Context, store string, stay time.Duration, told *said) {
	c, err := kafka.Connect(ctx, kafka.Config{Brokers: strings.Split(w.broker.address, ","), Inputs: []string{w.topic}, Store: store, ClientID: "another", Log: slog.New(told)})
	if err != nil {
		if ctx.Err() == nil {
			w.Errorf("a member can't connect: %v", err)
		}
		return
	}
	defer c.Close()
	if _, _, err := c.EnsureTopics(ctx, nil); err != nil {
		if ctx.Err() == nil {
			w.Errorf("a member can't see the topics: %v", err)
		}
		return
	}
	told.came.Add(1)
	ctx, stop := context.WithTimeout(ctx, stay)
	defer stop()
	// A member that is given a shard of a store of its own does nothing with it.
	if err := c.Run(ctx, func(ctx context.Context, _ int, _ detect.Source) error { <-ctx.Done(); return nil }); err != nil {
		w.Errorf("a member: %v", err)
	}
}

// zombieRow: the engine is stopped in the middle of what it does for longer than its session, so that the group takes it for dead; no other
// process may take its store meanwhile. When it goes on it knows nothing of that: what it commits to the group under its old generation is
// refused, it joins again, and nothing is lost or doubled.
func zombieRow(t *testing.T, seed uint64) {
	t.Parallel()
	eachGrouped(t, seed, func(w *weathered) {
		w.start()
		w.startLoad(load{rate: 200, accounts: 200})
		w.takenIn(100)
		c := w.another()
		before := w.describe(c)
		if len(before.Members) != 1 || before.State != "Stable" {
			w.Fatalf("the group: %+v", before)
		}
		member := before.Members[0].MemberID
		if err := w.commit(c, member, 1<<30); err == nil {
			w.Error("a commit of a generation that never was is taken")
		}
		w.running().cmd.Process.Signal(syscall.SIGSTOP)
		began := time.Now()
		thaw := sync.OnceFunc(func() { w.running().cmd.Process.Signal(syscall.SIGCONT) })
		defer thaw()
		if _, talk, code := w.world.run("serve"); code == 0 || !strings.Contains(talk, "is open in another doorward") {
			w.Errorf("a second process on the same store: exit code %d\n%s", code, talk)
		}
		eventually(w.T, time.Minute, "the group has given the stopped engine up", func() bool { return len(w.describe(c).Members) == 0 })
		eventually(w.T, *freezeFlag+time.Minute, "the stop lasts", func() bool { return time.Since(began) >= *freezeFlag })
		if err := w.commit(c, member, 1); err == nil {
			w.Error("a commit of the generation that is over is taken")
		}
		thaw()
		w.ready(time.Minute)
		w.takenIn(300)
		eventually(w.T, time.Minute, "the engine is in the group again, as another member", func() bool {
			now := w.describe(c)
			return now.State == "Stable" && len(now.Members) == 1 && now.Members[0].MemberID != member
		})
		w.finish()
	})
}

func (w *weathered) describe(c *kgo.Client) kmsg.DescribeGroupsResponseGroup {
	w.Helper()
	ctx, stop := context.WithTimeout(w.Context(), 20*time.Second)
	defer stop()
	r := kmsg.NewPtrDescribeGroupsRequest()
	r.Groups = []string{kafka.DefaultGroup}
	got, err := r.RequestWith(ctx, c)
	if err != nil {
		w.Fatal(err)
	}
	return got.Groups[0]
}

// commit commits offset 0 as a member would.
func (w *weathered) commit(c *kgo.Client, member string, generation int32) error {
	w.Helper()
	ctx, stop := context.WithTimeout(w.Context(), 20*time.Second)
	defer stop()
	r := kmsg.NewPtrOffsetCommitRequest()
	r.Group, r.MemberID, r.Generation = kafka.DefaultGroup, member, generation
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic = w.topic
	t.Partitions = append(t.Partitions, kmsg.NewOffsetCommitRequestTopicPartition())
	r.Topics = append(r.Topics, t)
	got, err := r.RequestWith(ctx, c)
	if err != nil {
		w.Fatal(err)
	}
	return kerr.ErrorForCode(got.Topics[0].Partitions[0].ErrorCode)
}
