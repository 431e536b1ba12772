package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"doorward/detect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// target is a broker that the suite runs against: kfake in this process always, Apache Kafka when DOORWARD_TEST_BROKERS names it.
type target struct {
	brokers []string
	fake    *kfake.Cluster // nil: a real one
}

var topicNumber atomic.Int64

// topic is a name that no test and no earlier run has used.
func topic(t *testing.T) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}, t.Name())
	return fmt.Sprintf("%s-%d-%d", name, time.Now().UnixNano(), topicNumber.Add(1))
}

// each runs a test against every broker there is.
func each(t *testing.T, f func(t *testing.T, b target)) {
	t.Run("kfake", func(t *testing.T) { f(t, fake(t)) })
	if list := os.Getenv("DOORWARD_TEST_BROKERS"); list != "" {
		t.Run("apache", func(t *testing.T) { f(t, target{brokers: strings.Split(list, ",")}) })
	}
}

func fake(t *testing.T, opts ...kfake.Opt) target {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatalf("start kfake: %v", err)
	}
	t.Cleanup(c.Close)
	return target{brokers: c.ListenAddrs(), fake: c}
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// connect is a client of b whose input topics exist, with n partitions each.
func (b target) connect(t *testing.T, n int, inputs ...string) *Client {
	t.Helper()
	return b.with(t, Config{Partitions: n, Inputs: inputs, Group: topic(t)})
}

func (b target) with(t *testing.T, cfg Config) *Client {
	t.Helper()
	ctx := within(t, 30*time.Second)
	cfg.Brokers = b.brokers
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	c, err := Connect(ctx, cfg)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(c.Close)
	if len(cfg.Inputs) > 0 {
		if _, _, err := c.EnsureTopics(ctx, nil); err != nil {
			t.Fatalf("topics: %v", err)
		}
	}
	return c
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// producer is an independent client, to write what other people's programs write.
func (b target) producer(t *testing.T, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	p, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner())}, opts...)...)
	if err != nil {
		t.Fatalf("producer: %v", err)
	}
	t.Cleanup(p.Close)
	return p
}

// write produces values to partition 0, each in a batch of its own, keyed by its value.
func (b target) write(t *testing.T, topic string, values ...string) {
	t.Helper()
	p := b.producer(t)
	for _, v := range values {
		if err := p.ProduceSync(within(t, 20*time.Second), &kgo.Record{Topic: topic, Key: []byte(v), Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatalf("produce: %v", err)
		}
	}
}

// open is a source of shard 0 at the positions.
func open(t *testing.T, c *Client, at ...detect.Position) *source {
	t.Helper()
	s := &source{c: c}
	if err := s.Open(within(t, 30*time.Second), at); err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(s.close)
	return s
}

// read fetches until n records came, as "value" strings, and the position behind the last of each topic.
func read(t *testing.T, s *source, n int) (values []string, at map[string]detect.Position) {
	t.Helper()
	at = map[string]detect.Position{}
	ctx := within(t, 30*time.Second)
	for len(values) < n {
		rs, err := s.Fetch(ctx)
		if err != nil {
			t.Fatalf("fetch after %d of %d records: %v", len(values), n, err)
		}
		for _, r := range rs {
			values = append(values, string(r.Value))
			at[r.Topic] = detect.Position{Topic: r.Topic, Offset: r.Offset + 1, Fingerprint: r.Fingerprint()}
		}
	}
	return values, at
}

// quiet fails when records come within a few polls.
func quiet(t *testing.T, s *source) {
	t.Helper()
	for range 2 {
		rs, err := s.Fetch(within(t, 10*time.Second))
		if err != nil || len(rs) > 0 {
			t.Fatalf("%d records and error %v where nothing was to come", len(rs), err)
		}
	}
}

// fails fetches until an error comes and returns it.
func fails(t *testing.T, s *source) error {
	t.Helper()
	ctx := within(t, 30*time.Second)
	for {
		if _, err := s.Fetch(ctx); err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				t.Fatal("no error within 30 s")
			}
			return err
		}
	}
}

// until polls a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx := within(t, 40*time.Second)
	for !ok() {
		if !wait(ctx, 10*time.Millisecond) {
			t.Fatalf("not within 40 s: %s", what)
		}
	}
}
