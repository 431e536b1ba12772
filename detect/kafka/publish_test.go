package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"doorward/detect"
)

// The vectors are from Apache Kafka's UtilsTest.testMurmur2, and CRC-32's check value.
func TestPartitioners(t *testing.T) {
	for key, want := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536, "a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		if got := int32(detect.Murmur2([]byte(key))); got != want {
			t.Errorf("murmur2(%q) = %d, Java says %d", key, got, want)
		}
	}
	if got, want := PartitionOf(CRC32, []byte("123456789"), 1000), int(uint32(0xcbf43926)%1000); got != want {
		t.Errorf("crc32: partition %d, want %d", got, want)
	}
	parts := make([]int, 8)
	for i := range parts {
		parts[i] = i
	}
	for i := range 1000 {
		key := fmt.Appendf(nil, "acct-%d", i)
		m := kafka.Message{Key: key}
		if got, want := PartitionOf(Murmur2, key, 8), (kafka.Murmur2Balancer{Consistent: true}).Balance(m, parts...); got != want {
			t.Fatalf("%s: murmur2 gives %d, kafka-go %d", key, got, want)
		}
		if got, want := PartitionOf(CRC32, key, 8), (kafka.CRC32Balancer{Consistent: true}).Balance(m, parts...); got != want {
			t.Fatalf("%s: crc32 gives %d, kafka-go %d", key, got, want)
		}
	}
}

// What is published comes out where it belongs, in order per key, with nothing, empty and full values told apart.
func TestPublish(t *testing.T) {
	t.Parallel()
	for _, partitioner := range []string{Murmur2, CRC32} {
		t.Run(partitioner, func(t *testing.T) {
			each(t, func(t *testing.T, b target) {
				name := topic(t)
				c := b.with(t, Config{Partitions: 4, Inputs: []string{name}, Group: name, Partitioner: partitioner})
				var want []detect.Message
				for i := range 200 {
					want = append(want, detect.Message{Topic: name, Partition: -1, Key: fmt.Appendf(nil, "acct-%d", i%20), Value: fmt.Appendf(nil, "%d", i),
						Headers: []detect.Header{{Key: "ce_id", Value: fmt.Appendf(nil, "id-%d", i)}, {Key: "empty", Value: []byte{}}}})
				}
				want = append(want, detect.Message{Topic: name, Partition: 3, Key: []byte("acct-0"), Value: nil},
					detect.Message{Topic: name, Partition: 2, Key: nil, Value: []byte{}})
				start := time.Now()
				if err := c.Publish(within(t, 20*time.Second), want); err != nil {
					t.Fatalf("publish: %v", err)
				}
				t.Logf("published in %v", time.Since(start))
				byPartition := map[int][]detect.Message{}
				for _, m := range want {
					if m.Partition < 0 {
						m.Partition = c.Partition(m.Key)
					}
					byPartition[m.Partition] = append(byPartition[m.Partition], m)
				}
				got := map[int][]detect.Message{}
				if err := c.ReadCompacted(within(t, 20*time.Second), name, func(r detect.Record) error {
					got[r.Partition] = append(got[r.Partition], detect.Message{Topic: r.Topic, Partition: r.Partition, Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value), Headers: clone(r.Headers)})
					return nil
				}); err != nil {
					t.Fatalf("read: %v", err)
				}
				if !reflect.DeepEqual(got, byPartition) {
					t.Errorf("read %v\nwant %v", got, byPartition)
				}
				last, err := c.LastOffsets(within(t, 10*time.Second), name)
				if err != nil || len(last) != 4 || last[0]+last[1]+last[2]+last[3] != int64(len(want)) {
					t.Errorf("last offsets %v, %v", last, err)
				}
			})
		})
	}
}

func clone(hs []detect.Header) (out []detect.Header) {
	for _, h := range hs {
		out = append(out, detect.Header{Key: h.Key, Value: bytes.Clone(h.Value)})
	}
	return out
}

// A message that its topic does not take is named; those around it in the same request are written.
func TestPublishTooLarge(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b target) {
		name := topic(t)
		c := b.connect(t, 1, topic(t))
		if err := c.create(within(t, 10*time.Second), []Topic{{Name: name, Config: map[string]string{"max.message.bytes": "20000"}}}, nil, 1); err != nil {
			t.Fatal(err)
		}
		var ms []detect.Message
		for i := range 40 { // more than the limit together, each below it
			ms = append(ms, detect.Message{Topic: name, Partition: 0, Value: noise(i, 5000)})
		}
		if err := c.Publish(within(t, 20*time.Second), ms); err != nil {
			t.Fatalf("many small ones: %v", err)
		}
		ms = []detect.Message{{Topic: name, Partition: 0, Value: []byte("a")}, {Topic: name, Partition: 0, Value: noise(99, 50000)}}
		err := c.Publish(within(t, 20*time.Second), ms)
		var large *TooLargeError
		if !errors.As(err, &large) || large.Index != 1 || large.Topic != name || large.Size < 50000 {
			t.Errorf("got %v, want message 1 named", err)
		}
		n := 0
		c.ReadCompacted(within(t, 10*time.Second), name, func(r detect.Record) error { n++; return nil })
		if n != 41 {
			t.Errorf("%d messages are in the topic, want the 41 that fit", n)
		}
	})
}

// noise is bytes that do not compress, the same for the same seed.
func noise(seed, n int) []byte {
	out := make([]byte, n)
	x := uint64(seed)*2654435761 + 88172645463325252
	for i := range out {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		out[i] = byte(x)
	}
	return out
}

// A broker that moves or loses an answer does not lose a message and does not turn the order around.
func TestPublishTroubles(t *testing.T) {
	t.Parallel()
	for _, code := range []*kerr.Error{kerr.NotLeaderForPartition, kerr.NotEnoughReplicas, kerr.RequestTimedOut, kerr.UnknownTopicOrPartition} {
		t.Run(code.Message, func(t *testing.T) {
			t.Parallel()
			b := fake(t)
			name := topic(t)
			c := b.connect(t, 1, name)
			b.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: code, Count: 2})
			for i := range 3 {
				if err := c.Publish(within(t, 20*time.Second), []detect.Message{{Topic: name, Partition: 0, Value: fmt.Append(nil, i)}}); err != nil {
					t.Fatalf("publish: %v", err)
				}
			}
			var got string
			c.ReadCompacted(within(t, 10*time.Second), name, func(r detect.Record) error { got += string(r.Value); return nil })
			// A timed out request may have been written: twice is fine, lost or out of order is not.
			if got = strings.ReplaceAll(got, "00", "0"); strings.ReplaceAll(got, "00", "0") != "012" {
				t.Errorf("the topic holds %s", got)
			}
		})
	}
	t.Run("no such topic", func(t *testing.T) {
		t.Parallel()
		b := fake(t)
		c := b.connect(t, 1, topic(t))
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		err := c.Publish(ctx, []detect.Message{{Topic: "nowhere", Partition: -1}})
		if err == nil || !strings.Contains(err.Error(), "nowhere") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("not allowed", func(t *testing.T) {
		t.Parallel()
		b := fake(t)
		name := topic(t)
		c := b.connect(t, 1, name)
		b.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed, Count: -1})
		start := time.Now()
		err := c.Publish(within(t, 20*time.Second), []detect.Message{{Topic: name, Partition: 0}})
		if !errors.Is(err, kafka.TopicAuthorizationFailed) || !strings.Contains(err.Error(), name) || time.Since(start) > time.Second {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}

func TestEnsureTopics(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b target) {
		in, out := topic(t), topic(t)
		c := b.with(t, Config{})
		c.cfg.Inputs, c.cfg.Partitions = []string{in}, 5
		ctx := within(t, 30*time.Second)
		state := Topic{Name: out, Config: map[string]string{"cleanup.policy": "compact"}}
		n, warnings, err := c.EnsureTopics(ctx, []Topic{state})
		if err != nil || n != 5 || len(warnings) != 0 {
			t.Fatalf("%d partitions, %q, %v", n, warnings, err)
		}
		for topic, want := range map[string]string{in: "LogAppendTime", out: "CreateTime"} {
			if v, err := c.setting(ctx, topic, "message.timestamp.type"); v != want || err != nil {
				t.Errorf("%s: message.timestamp.type %q, %v, want %s", topic, v, err, want)
			}
		}
		if v, _ := c.setting(ctx, out, "cleanup.policy"); v != "compact" {
			t.Errorf("cleanup.policy %q", v)
		}
		// A second start finds them, and makes a new input topic like the old one.
		more := topic(t)
		c.cfg.Inputs, c.cfg.Partitions = []string{more, in}, 8
		if n, warnings, err = c.EnsureTopics(ctx, []Topic{state}); err != nil || n != 5 || len(warnings) != 0 {
			t.Errorf("again: %d partitions, %q, %v", n, warnings, err)
		}
		if c.Partition([]byte("acct-42")) != PartitionOf(Murmur2, []byte("acct-42"), 5) {
			t.Error("keys are not spread over the topics' partitions")
		}
		// Other people's topics: their clock is warned of, their number of partitions is not negotiable, a state topic that forgets is said.
		if err := c.create(ctx, []Topic{{Name: "theirs-" + in}}, nil, 1); err != nil {
			t.Fatal(err)
		}
		c.cfg.Inputs = []string{in, "theirs-" + in}
		_, _, err = c.EnsureTopics(ctx, nil)
		var differ *PartitionsError
		if !errors.As(err, &differ) || *differ != (PartitionsError{Topic: "theirs-" + in, Have: 8, Was: 5, Other: in}) {
			t.Errorf("different numbers of partitions: %v", err)
		}
		c.cfg.Inputs = []string{"theirs-" + in}
		_, warnings, err = c.EnsureTopics(ctx, []Topic{{Name: "theirs-" + in, Config: map[string]string{"cleanup.policy": "compact"}}})
		if err != nil || len(warnings) != 2 || !strings.Contains(warnings[0], "CreateTime") || !strings.Contains(warnings[1], "compact") {
			t.Errorf("warnings %q, %v", warnings, err)
		}
	})
}

// A fresh broker's answers are waited out; a user that may not create topics is told what to create.
func TestEnsureTopicsTroubles(t *testing.T) {
	t.Parallel()
	b := fake(t)
	name := topic(t)
	c := b.with(t, Config{})
	c.cfg.Inputs, c.cfg.Partitions = []string{name}, 3
	b.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Err: kerr.NotController, Count: 2})
	if _, _, err := c.EnsureTopics(within(t, 20*time.Second), nil); err != nil {
		t.Fatalf("a moving controller: %v", err)
	}
	other := topic(t)
	c.cfg.Inputs = []string{name, other}
	b.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	_, _, err := c.EnsureTopics(within(t, 20*time.Second), nil)
	for _, want := range []string{other, "3 partitions", "message.timestamp.type=LogAppendTime"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

// A compacted topic is read to its end, over the holes.
func TestReadCompacted(t *testing.T) {
	t.Parallel()
	b := fake(t)
	name := topic(t)
	c := b.connect(t, 1, topic(t))
	ctx := within(t, 30*time.Second)
	if err := c.create(ctx, []Topic{{Name: name, Config: map[string]string{"cleanup.policy": "compact", "segment.bytes": "2000"}}}, nil, 1); err != nil {
		t.Fatal(err)
	}
	n, err := c.partitionsOf(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	p := b.producer(t, kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)))
	for i := range 300 {
		if err := p.ProduceSync(ctx, &kgo.Record{Topic: name, Key: fmt.Appendf(nil, "k%d", i%10), Value: fmt.Appendf(nil, "%0100d", i)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	b.fake.Compact()
	got, total := map[string]string{}, 0
	if err := c.ReadCompacted(ctx, name, func(r detect.Record) error {
		got[string(r.Key)] = strings.TrimLeft(string(r.Value), "0")
		total++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 10 || total >= 300 {
		t.Errorf("%d keys in %d records of %d partitions, want 10 keys and fewer than 300 records", len(got), total, n)
	}
	for i := range 10 {
		if want := fmt.Sprint(290 + i); got[fmt.Sprintf("k%d", i)] != want {
			t.Errorf("k%d is %q, want its last value %s", i, got[fmt.Sprintf("k%d", i)], want)
		}
	}
	empty := topic(t)
	if err := c.create(ctx, []Topic{{Name: empty}}, nil, 1); err != nil {
		t.Fatal(err)
	}
	if err := c.ReadCompacted(ctx, empty, func(detect.Record) error { t.Error("a record in an empty topic"); return nil }); err != nil {
		t.Error(err)
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b target) {
		name := topic(t)
		c := b.connect(t, 1, name)
		b.write(t, name, "a", "b", "c")
		ctx, cancel := context.WithCancel(within(t, 20*time.Second))
		defer cancel()
		var got string
		err := c.Tail(ctx, name, 0, 1, func(rs []detect.Record) error {
			for _, r := range rs {
				got += string(r.Value)
			}
			if strings.HasSuffix(got, "c") {
				cancel()
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) || got != "bc" {
			t.Errorf("got %q, %v", got, err)
		}
		var recreated *RecreatedError
		if err := c.Tail(within(t, 20*time.Second), name, 0, 9, nil); !errors.As(err, &recreated) {
			t.Errorf("behind the end: %v", err)
		}
		b.deleteBefore(t, name, 2)
		var gap *GapError
		if err := c.Tail(within(t, 20*time.Second), name, 0, 0, nil); !errors.As(err, &gap) || gap.To != 2 {
			t.Errorf("gone: %v", err)
		}
	})
}
