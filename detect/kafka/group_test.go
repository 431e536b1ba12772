package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"doorward/detect"
	"doorward/store"
)

func TestBalancer(t *testing.T) {
	parts := []kafka.Partition{{Topic: "b", ID: 1}, {Topic: "a", ID: 1}, {Topic: "a", ID: 0}, {Topic: "b", ID: 0}, {Topic: "other", ID: 0}}
	all := map[string][]int{"a": {0, 1}, "b": {0, 1}}
	member := func(id, claim string) kafka.GroupMember {
		return kafka.GroupMember{ID: id, Topics: []string{"a", "b"}, UserData: []byte(claim)}
	}
	for _, tt := range []struct {
		name    string
		members []kafka.GroupMember
		holder  string
	}{
		{"one with the store", []kafka.GroupMember{member("m", `{"store":"s"}`)}, "m"},
		{"one without", []kafka.GroupMember{member("m", `{}`)}, ""},
		{"nonsense", []kafka.GroupMember{member("m", "\x00\x01"), member("n", `{"store":"s"}`)}, "n"},
		{"the store among others", []kafka.GroupMember{member("a", `{}`), member("b", `{"store":"s"}`), member("c", ``)}, "b"},
		{"two stores: who serves goes on", []kafka.GroupMember{member("a", `{"store":"r"}`), member("b", `{"store":"s","since":5}`)}, "b"},
		{"two that serve: the first", []kafka.GroupMember{member("a", `{"store":"r","since":6}`), member("b", `{"store":"s","since":5}`)}, "b"},
		{"two that come up: by name", []kafka.GroupMember{member("a", `{"store":"s"}`), member("b", `{"store":"r"}`)}, "b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 { // whatever the order
				got := balancer{}.AssignGroups(tt.members, parts)
				for _, m := range tt.members {
					want := map[string][]int{}
					if m.ID == tt.holder {
						want = all
					}
					if !reflect.DeepEqual(got[m.ID], want) {
						t.Errorf("%s gets %v, want %v", m.ID, got[m.ID], want)
					}
				}
				slices.Reverse(tt.members)
			}
		})
	}
}

// running starts Run; stop ends it and fails the test when it did not end well.
func running(t *testing.T, c *Client, run RunShard) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx, run) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("run: %v", err)
				}
			case <-time.After(20 * time.Second):
				t.Error("run did not end within 20 s")
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// shardLog is what shards of one or more clients did.
type shardLog struct {
	mu     sync.Mutex
	now    map[string]int // client/shard -> running
	values []string
	starts map[int]int
}

func (l *shardLog) run(name string, c *Client) RunShard {
	return func(ctx context.Context, shard int, src detect.Source) error {
		key := fmt.Sprint(name, shard)
		l.mu.Lock()
		if l.now == nil {
			l.now, l.starts = map[string]int{}, map[int]int{}
		}
		l.now[key]++
		l.starts[shard]++
		l.mu.Unlock()
		defer func() { l.mu.Lock(); l.now[key]--; l.mu.Unlock() }()
		if err := src.Open(ctx, nil); err != nil {
			return err
		}
		at := map[string]detect.Position{}
		for {
			rs, err := src.Fetch(ctx)
			if err != nil {
				return err
			}
			l.mu.Lock()
			for _, r := range rs {
				l.values = append(l.values, string(r.Value))
				at[r.Topic] = detect.Position{Topic: r.Topic, Offset: r.Offset + 1}
			}
			l.mu.Unlock()
			var ps []detect.Position
			for _, p := range at {
				ps = append(ps, p)
			}
			c.SetProgress(shard, ps)
		}
	}
}

func (l *shardLog) running(name string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, v := range l.now {
		if strings.HasPrefix(k, name) {
			n += v
		}
	}
	return n
}

func (l *shardLog) started(shard int) int { l.mu.Lock(); defer l.mu.Unlock(); return l.starts[shard] }

func (l *shardLog) seen() int { l.mu.Lock(); defer l.mu.Unlock(); return len(l.values) }

func messages(topic string, n int) (out []detect.Message) {
	for i := range n {
		out = append(out, detect.Message{Topic: topic, Partition: -1, Key: fmt.Appendf(nil, "acct-%d", i), Value: fmt.Append(nil, i)})
	}
	return out
}

// The member that holds the store gets every shard of both topics; one without gets none, and still none when the holder leaves.
func TestRebalance(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b target) {
		t.Parallel()
		one, two := topic(t), topic(t)
		cfg := Config{Partitions: 4, Inputs: []string{one, two}, Group: topic(t)}
		spare := b.with(t, cfg)
		cfg.Store = "store-1"
		holder := b.with(t, cfg)
		holder.commitEvery = 50 * time.Millisecond
		var log shardLog
		heard := &counting{}
		holder.cfg.Log = slog.New(heard)
		stop := running(t, holder, log.run("holder", holder))
		until(t, "the holder runs 4 shards", func() bool { return log.running("holder") == 4 })
		running(t, spare, log.run("spare", spare))
		until(t, "the spare one has joined", func() bool { return heard.count("shards assigned") >= 2 })
		for shard := range 4 {
			if n := log.started(shard); n != 1 {
				t.Errorf("shard %d was started %d times, want once: a rebalance that leaves it is no reason", shard, n)
			}
		}
		if err := holder.Publish(within(t, 20*time.Second), append(messages(one, 50), messages(two, 50)...)); err != nil {
			t.Fatalf("publish: %v", err)
		}
		until(t, "100 records are taken", func() bool { return log.seen() >= 100 })
		if got := holder.Serving(); !slices.Equal(got, []int{0, 1, 2, 3}) {
			t.Errorf("serving %v", got)
		}
		if n := log.running("spare"); n != 0 {
			t.Errorf("the member without a store runs %d shards", n)
		}
		until(t, "Kafka knows the progress", func() bool { return committed(t, spare, one) == 50 && committed(t, spare, two) == 50 })
		stop()
		if n := log.running("holder"); n != 0 {
			t.Errorf("%d shards run on after the end", n)
		}
		// The next holder takes over from the start of what the store says, here nothing.
		next := b.with(t, cfg)
		running(t, next, log.run("next", next))
		until(t, "the next holder has read all", func() bool { return log.running("next") == 4 && log.seen() >= 200 })
		if n := log.running("spare"); n != 0 {
			t.Errorf("the member without a store runs %d shards", n)
		}
	})
}

// committed is the sum of a topic's offsets that the group has committed to Kafka.
func committed(t *testing.T, c *Client, topic string) (sum int64) {
	t.Helper()
	r, err := c.api.OffsetFetch(within(t, 10*time.Second), &kafka.OffsetFetchRequest{GroupID: c.cfg.Group, Topics: map[string][]int{topic: {0, 1, 2, 3}}})
	if err != nil {
		t.Logf("offset fetch: %v", err)
		return -1
	}
	for _, p := range r.Topics[topic] {
		sum += max(p.CommittedOffset, 0)
	}
	return sum
}

// An error of one shard stops it, names it, and leaves the others alone; a fenced one makes the member join again.
func TestShardErrors(t *testing.T) {
	t.Parallel()
	b := fake(t)
	name := topic(t)
	c := b.with(t, Config{Partitions: 3, Inputs: []string{name}, Group: name, Store: "s"})
	var log shardLog
	good := log.run("c", c)
	broken := errors.New("account on two partitions")
	var mu sync.Mutex
	fenced := 0
	running(t, c, func(ctx context.Context, shard int, src detect.Source) error {
		switch shard {
		case 1:
			return broken
		case 2:
			mu.Lock()
			fenced++
			first := fenced == 1
			mu.Unlock()
			if first {
				return fmt.Errorf("commit: %w", store.ErrFenced)
			}
		}
		return good(ctx, shard, src)
	})
	until(t, "the fenced shard runs again", func() bool { return log.running("c") == 2 })
	if got := c.Stopped(); len(got) != 1 || !errors.Is(got[1], broken) {
		t.Errorf("stopped: %v, want shard 1", got)
	}
	if got := c.Serving(); !slices.Equal(got, []int{0, 2}) {
		t.Errorf("serving %v", got)
	}
	if err := c.Publish(within(t, 10*time.Second), []detect.Message{{Topic: name, Partition: 0, Value: []byte("a")}, {Topic: name, Partition: 2, Value: []byte("b")}}); err != nil {
		t.Fatal(err)
	}
	until(t, "the others go on", func() bool { return log.seen() == 2 })
}

// A shard whose log was recreated says so in Stopped.
func TestRunStopsRecreated(t *testing.T) {
	t.Parallel()
	b := fake(t)
	name := topic(t)
	c := b.with(t, Config{Partitions: 1, Inputs: []string{name}, Group: name, Store: "s"})
	running(t, c, func(ctx context.Context, shard int, src detect.Source) error {
		return src.Open(ctx, []detect.Position{{Topic: name, Offset: 99}})
	})
	until(t, "the shard is stopped", func() bool { return len(c.Stopped()) == 1 })
	var recreated *RecreatedError
	if err := c.Stopped()[0]; !errors.As(err, &recreated) {
		t.Errorf("stopped for %v", err)
	}
}

// Partitions that are added to an input topic end Run with a clear error.
func TestPartitionsAdded(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b target) {
		t.Parallel()
		name := topic(t)
		c := b.with(t, Config{Partitions: 2, Inputs: []string{name}, Group: name, Store: "s"})
		c.watchEvery = 100 * time.Millisecond
		var log shardLog
		ended := make(chan error, 1)
		go func() { ended <- c.Run(within(t, 60*time.Second), log.run("c", c)) }()
		until(t, "both shards run", func() bool { return log.running("c") == 2 })
		r, err := c.api.CreatePartitions(within(t, 10*time.Second), &kafka.CreatePartitionsRequest{Topics: []kafka.TopicPartitionsConfig{{Name: name, Count: 3}}})
		if err != nil || r.Errors[name] != nil {
			t.Fatalf("add a partition: %v %v", err, r)
		}
		var changed *PartitionsError
		if err := <-ended; !errors.As(err, &changed) || *changed != (PartitionsError{Topic: name, Have: 3, Was: 2}) {
			t.Errorf("run ended with %v", err)
		}
		if n := log.running("c"); n != 0 {
			t.Errorf("%d shards run on", n)
		}
	})
}

// A process that was killed is replaced at once: its member is removed from the group by the next one with the same store.
func TestReplaceKilled(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b target) {
		t.Parallel()
		name := topic(t)
		cfg := Config{Partitions: 2, Inputs: []string{name}, Group: name, Store: "s"}
		c := b.with(t, cfg)
		killed, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{ID: name, Brokers: b.brokers, Topics: []string{name}, SessionTimeout: 30 * time.Second,
			RebalanceTimeout: 30 * time.Second, GroupBalancers: []kafka.GroupBalancer{balancer{func() claim { return claim{Store: "s", Since: 1} }}}})
		if err != nil {
			t.Fatal(err)
		}
		gen, err := killed.Next(within(t, 20*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		gen.Start(func(context.Context) { <-release }) // it is in the group and never rejoins, as if it was dead
		defer killed.Close()
		defer close(release)
		var log shardLog
		start := time.Now()
		running(t, c, log.run("c", c))
		until(t, "the new one runs", func() bool { return log.running("c") == 2 })
		if d := time.Since(start); d > 8*time.Second {
			t.Errorf("took %v, so it waited for the session", d)
		}
	})
}

// Shards run on while the broker is away, so that an owner is let back in, go on reading when it is back, and end quickly when asked to.
func TestRunBrokerAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broker, err := Embedded(dir, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { broker.Close() }()
	b := target{brokers: []string{broker.Addr()}}
	name := topic(t)
	away := &counting{}
	c := b.with(t, Config{Partitions: 2, Inputs: []string{name}, Group: name, Store: "s", Log: slog.New(away)})
	var log shardLog
	stop := running(t, c, log.run("c", c))
	until(t, "both shards run", func() bool { return log.running("c") == 2 })
	broker.Close()
	until(t, "the member has noticed that it is out of the group", func() bool { return away.count("not in the group") > 0 })
	until(t, "both shards say that nothing can be read", func() bool { return len(c.Away()) == 2 })
	if err := c.Away()[1]; !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "since") {
		t.Errorf("it says %q", err)
	}
	if n := log.running("c"); n != 2 {
		t.Errorf("%d shards run while the broker is away, want 2", n)
	}
	if broker, err = Embedded(dir, b.brokers[0]); err != nil {
		t.Fatal(err)
	}
	if err := c.Publish(within(t, 20*time.Second), []detect.Message{{Topic: name, Partition: 1, Value: []byte("a")}}); err != nil {
		t.Fatalf("publish: %v", err)
	}
	until(t, "records come again", func() bool { return log.seen() > 0 })
	if x, y := log.started(0), log.started(1); x != 1 || y != 1 {
		t.Errorf("the shards were started %d and %d times, want once", x, y)
	}
	until(t, "nothing is away any more", func() bool { return len(c.Away()) == 0 })
	broker.Close()
	start := time.Now()
	stop()
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("ending without a broker took %v", d)
	}
}

// counting is a log that is only looked at.
type counting struct {
	mu    sync.Mutex
	lines []string
}

func (l *counting) Enabled(context.Context, slog.Level) bool { return true }
func (l *counting) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *counting) WithGroup(string) slog.Handler            { return l }
func (l *counting) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, r.Message)
	return nil
}

func (l *counting) count(part string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

// A shard that is given to somebody else stops here before anything else happens.
func TestShardGivenUp(t *testing.T) {
	t.Parallel()
	b := fake(t)
	name := topic(t)
	cfg := Config{Partitions: 2, Inputs: []string{name}, Group: name, Store: "young"}
	young := b.with(t, cfg)
	cfg.Store = "old"
	old := b.with(t, cfg)
	old.served(time.UnixMilli(1)) // it has served since long ago, so that it is preferred
	var log shardLog
	running(t, young, log.run("young", young))
	until(t, "the young one runs", func() bool { return log.running("young") == 2 })
	running(t, old, log.run("old", old))
	until(t, "the old one has taken over", func() bool { return log.running("old") == 2 && log.running("young") == 0 })
	if got := young.Serving(); len(got) != 0 {
		t.Errorf("the young one serves %v", got)
	}
}

// A member that is not allowed into the group says so and ends.
func TestGroupRefuses(t *testing.T) {
	b := fake(t)
	name := topic(t)
	c := b.with(t, Config{Partitions: 1, Inputs: []string{name}, Group: name, Store: "s"})
	b.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, Err: kerr.GroupAuthorizationFailed, Count: -1, TopLevel: true})
	err := c.Run(within(t, 20*time.Second), nil)
	if !errors.Is(err, kafka.GroupAuthorizationFailed) || !strings.Contains(err.Error(), name) {
		t.Errorf("got %v", err)
	}
}

func TestRunNeedsTopics(t *testing.T) {
	c := fake(t).with(t, Config{Group: "g"})
	if err := c.Run(context.Background(), nil); err == nil {
		t.Error("Run without EnsureTopics began")
	}
}
