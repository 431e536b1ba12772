package kafka

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"doorward/detect"
)

// What another client writes, with every codec, comes out as it went in.
func TestFetchCodecs(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b target) {
		name := topic(t)
		c := b.connect(t, 2, name)
		var want []detect.Record
		for i, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
			p := b.producer(t, kgo.ProducerBatchCompression(codec))
			var rs []*kgo.Record
			for j := range 50 {
				r := &kgo.Record{Topic: name, Key: fmt.Appendf(nil, "key-%d", j), Value: bytes.Repeat([]byte{byte(i), byte(j)}, 300),
					Headers: []kgo.RecordHeader{{Key: "content-type", Value: []byte("application/json")}, {Key: "n", Value: []byte{byte(j)}}}}
				if j == 7 {
					r.Key, r.Value, r.Headers = nil, nil, nil
				}
				rs = append(rs, r)
			}
			if err := p.ProduceSync(within(t, 20*time.Second), rs...).FirstErr(); err != nil {
				t.Fatalf("produce: %v", err)
			}
			for _, r := range rs {
				w := detect.Record{Topic: name, Offset: int64(len(want)), Key: r.Key, Value: r.Value}
				for _, h := range r.Headers {
					w.Headers = append(w.Headers, detect.Header{Key: h.Key, Value: h.Value})
				}
				want = append(want, w)
			}
		}
		s := open(t, c)
		ctx := within(t, 30*time.Second)
		for n := 0; n < len(want); {
			rs, err := s.Fetch(ctx)
			if err != nil {
				t.Fatalf("fetch: %v", err)
			}
			for _, r := range rs {
				if d := time.Since(r.Time); d < -time.Minute || d > time.Minute {
					t.Fatalf("record %d: time %v is not about now", r.Offset, r.Time)
				}
				r.Time = time.Time{}
				if !reflect.DeepEqual(r, want[n]) {
					t.Fatalf("record %d: got %+v, want %+v", n, r, want[n])
				}
				n++
			}
		}
		quiet(t, s)
	})
}

// Aborted transactions never come out, committed ones do, one that is open holds back what is behind it.
func TestFetchTransactions(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b target) {
		name := topic(t)
		c := b.connect(t, 1, name)
		tx := func(id string, commit kgo.TransactionEndTry, values ...string) {
			p := b.producer(t, kgo.TransactionalID(id+name))
			ctx := within(t, 30*time.Second)
			if err := p.BeginTransaction(); err != nil {
				t.Fatalf("begin: %v", err)
			}
			for _, v := range values {
				if err := p.ProduceSync(ctx, &kgo.Record{Topic: name, Value: []byte(v)}).FirstErr(); err != nil {
					t.Fatalf("produce: %v", err)
				}
			}
			if err := p.EndTransaction(ctx, commit); err != nil {
				t.Fatalf("end: %v", err)
			}
		}
		b.write(t, name, "a")
		tx("one", kgo.TryAbort, "x", "y")
		b.write(t, name, "b")
		tx("two", kgo.TryCommit, "c", "d")
		tx("one", kgo.TryAbort, "z")
		tx("one", kgo.TryCommit, "e")

		held := b.producer(t, kgo.TransactionalID("held"+name))
		if err := held.BeginTransaction(); err != nil {
			t.Fatalf("begin: %v", err)
		}
		if err := held.ProduceSync(within(t, 30*time.Second), &kgo.Record{Topic: name, Value: []byte("f")}).FirstErr(); err != nil {
			t.Fatalf("produce: %v", err)
		}
		b.write(t, name, "g")

		s := open(t, c)
		got, at := read(t, s, 5)
		if strings.Join(got, "") != "abcde" {
			t.Fatalf("got %q, want abcde", got)
		}
		quiet(t, s)
		if err := held.EndTransaction(within(t, 30*time.Second), kgo.TryCommit); err != nil {
			t.Fatalf("end: %v", err)
		}
		if got, _ := read(t, s, 2); strings.Join(got, "") != "fg" {
			t.Fatalf("after the commit: %q, want fg", got)
		}
		// The position behind e is not the end of e's transaction: opening there is no gap and no other log.
		if got, _ := read(t, open(t, c, at[name]), 2); strings.Join(got, "") != "fg" {
			t.Fatalf("reopened: %q, want fg", got)
		}
	})
}

func TestFetchEmptyThenLive(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b target) {
		name := topic(t)
		s := open(t, b.connect(t, 1, name))
		quiet(t, s)
		start := time.Now()
		b.write(t, name, "a")
		if got, _ := read(t, s, 1); got[0] != "a" {
			t.Fatalf("got %q", got)
		}
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("a record took %v to come through", d)
		}
	})
}

// Two topics come out merged: in order within each, by arrival between them.
func TestFetchMergesTopics(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b target) {
		one, two := topic(t), topic(t)
		c := b.connect(t, 1, one, two)
		for i := range 20 {
			b.write(t, one, fmt.Sprintf("one %02d", i))
			b.write(t, two, fmt.Sprintf("two %02d", i))
		}
		s := open(t, c)
		got, _ := read(t, s, 40)
		next := map[string]int{}
		for _, v := range got {
			var n int
			which := v[:3]
			fmt.Sscanf(v[4:], "%d", &n)
			if n != next[which] {
				t.Fatalf("%s came after %d of its topic: %q", v, next[which], got)
			}
			next[which]++
		}
	})
}

func TestMergeByArrival(t *testing.T) {
	at := func(topic string, ms ...int64) *ahead {
		a := &ahead{}
		for _, m := range ms {
			a.records = append(a.records, detect.Record{Topic: topic, Time: time.UnixMilli(m)})
		}
		return a
	}
	x1, x2, y := at("x", 1, 5), at("x", 4, 9), at("y", 2, 3, 5, 6)
	x1.home, y.home = make(chan *ahead, 2), make(chan *ahead, 2)
	x2.home = x1.home
	s := &source{used: []*ahead{x1, y, x2}}
	s.merge()
	var got string
	for _, r := range s.pending {
		got += fmt.Sprintf("%s%d ", r.Topic, r.Time.UnixMilli())
	}
	if want := "x1 y2 y3 x5 x4 y5 y6 x9 "; got != want {
		t.Errorf("merged to %q, want %q", got, want)
	}
}

// A backlog comes in pieces that a shard can commit, none lost and none twice, whatever the batches were.
func TestFetchBacklog(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b target) {
		name := topic(t)
		c := b.connect(t, 1, name)
		p := b.producer(t, kgo.ProducerBatchCompression(kgo.ZstdCompression()))
		const n = 12000
		for i := range n {
			p.Produce(context.Background(), &kgo.Record{Topic: name, Value: fmt.Appendf(nil, "%d %0300d", i, i)}, func(_ *kgo.Record, err error) {
				if err != nil {
					t.Errorf("produce: %v", err)
				}
			})
		}
		if err := p.Flush(within(t, 30*time.Second)); err != nil {
			t.Fatalf("flush: %v", err)
		}
		s := open(t, c)
		ctx := within(t, 30*time.Second)
		for next := 0; next < n; {
			rs, err := s.Fetch(ctx)
			if err != nil || len(rs) > fetchRecords {
				t.Fatalf("fetch: %d records, %v", len(rs), err)
			}
			for _, r := range rs {
				var got int
				fmt.Sscanf(string(r.Value), "%d", &got)
				if got != next || r.Offset != int64(next) {
					t.Fatalf("record %d at offset %d where %d was to come", got, r.Offset, next)
				}
				next++
			}
		}
		quiet(t, s)
	})
}

// Reading goes on at the stored position, and only on the log that was read before.
func TestOpenPositions(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b target) {
		name := topic(t)
		c := b.connect(t, 1, name)
		b.write(t, name, "a", "b", "c", "d")
		s := open(t, c)
		_, at := read(t, s, 4)
		behind := at[name]

		b.write(t, name, "e")
		if got, _ := read(t, open(t, c, behind), 1); got[0] != "e" {
			t.Errorf("reopened at %d: got %q, want e", behind.Offset, got)
		}
		s = open(t, c)
		s.Open(within(t, 10*time.Second), []detect.Position{{Topic: name, Offset: 2}})
		if got, _ := read(t, s, 3); strings.Join(got, "") != "cde" {
			t.Errorf("opened again at 2: got %q", got)
		}

		check := func(what string, at detect.Position, want any) error {
			t.Helper()
			err := (&source{c: c}).Open(within(t, 30*time.Second), []detect.Position{at})
			if !errors.As(err, want) {
				t.Errorf("%s: %v, want a %T", what, err, want)
			}
			return err
		}
		var recreated *RecreatedError
		check("behind the end", detect.Position{Topic: name, Offset: 6}, &recreated)
		if recreated != nil && (recreated.Topic != name || recreated.Partition != 0 || recreated.Offset != 6) {
			t.Errorf("behind the end: %+v", recreated)
		}
		other := behind
		other.Fingerprint++
		check("another record before", other, &recreated)

		b.deleteBefore(t, name, 3)
		var gap *GapError
		check("gone unread", detect.Position{Topic: name, Offset: 1}, &gap)
		if gap == nil || *gap != (GapError{Topic: name, Partition: 0, From: 1, To: 3}) {
			t.Errorf("gone unread: %+v, want records 1 and 2 lost", gap)
		}
		if got, _ := read(t, open(t, c, detect.Position{Topic: name, Offset: 3, Fingerprint: 12345}), 2); strings.Join(got, "") != "de" {
			t.Errorf("at the log's start, where the record before is gone by retention: %q", got)
		}
		if got, _ := read(t, open(t, c), 2); strings.Join(got, "") != "de" {
			t.Errorf("without a position: %q, want what is there", got)
		}
	})
}

// deleteBefore deletes the records of partition 0 before an offset.
func (b target) deleteBefore(t *testing.T, topic string, offset int64) {
	t.Helper()
	r := kmsg.NewPtrDeleteRecordsRequest()
	r.TimeoutMillis = 5000
	r.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: 0, Offset: offset}}}}
	resp, err := r.RequestWith(within(t, 20*time.Second), b.producer(t))
	if err != nil {
		t.Fatalf("delete records: %v", err)
	}
	if code := resp.Topics[0].Partitions[0].ErrorCode; code != 0 {
		t.Fatalf("delete records: %v", kerr.ErrorForCode(code))
	}
}

// remake deletes a topic and makes it again with the values.
func (b target) remake(t *testing.T, c *Client, topic string, values ...string) {
	t.Helper()
	r := kmsg.NewPtrDeleteTopicsRequest()
	r.TimeoutMillis = 5000
	r.TopicNames = []string{topic}
	r.Topics = []kmsg.DeleteTopicsRequestTopic{{Topic: &topic}}
	if _, err := r.RequestWith(within(t, 20*time.Second), b.producer(t)); err != nil {
		t.Fatalf("delete topic: %v", err)
	}
	until(t, "the topic is gone and made again", func() bool {
		create := kmsg.NewPtrCreateTopicsRequest()
		create.TimeoutMillis = 5000
		create.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: topic, NumPartitions: 1, ReplicationFactor: 1}}
		resp, err := create.RequestWith(within(t, 20*time.Second), b.producer(t))
		return err == nil && resp.Topics[0].ErrorCode == 0
	})
	b.write(t, topic, values...)
}

// A topic that is deleted and made again under a running shard ends it, also when the new log has grown past where it was.
func TestRecreatedWhileReading(t *testing.T) {
	for name, values := range map[string]string{"shorter": "x", "longer": "x y z u v w"} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, b target) {
				name := topic(t)
				c := b.connect(t, 1, name)
				b.write(t, name, "a", "b", "c")
				s := open(t, c)
				read(t, s, 3)
				b.remake(t, c, name, strings.Fields(values)...)
				var recreated *RecreatedError
				if err := fails(t, s); !errors.As(err, &recreated) || recreated.Topic != name || recreated.Offset != 3 {
					t.Errorf("got %v, want a RecreatedError at offset 3", err)
				}
			})
		})
	}
}

// What a moving broker answers is waited out, and nothing is lost or doubled by it.
func TestFetchTroubles(t *testing.T) {
	t.Parallel()
	for _, code := range []*kerr.Error{kerr.NotLeaderForPartition, kerr.LeaderNotAvailable, kerr.UnknownTopicOrPartition, kerr.RequestTimedOut, kerr.FencedLeaderEpoch, kerr.KafkaStorageError} {
		t.Run(code.Message, func(t *testing.T) {
			t.Parallel()
			b := fake(t)
			name := topic(t)
			c := b.connect(t, 1, name)
			s := open(t, c)
			b.write(t, name, "a")
			read(t, s, 1)
			h := b.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: name, Err: code, Count: 3})
			b.write(t, name, "b", "c")
			if got, _ := read(t, s, 2); strings.Join(got, "") != "bc" {
				t.Errorf("got %q, want bc", got)
			}
			if h.Hits() != 3 {
				t.Errorf("the broker answered so %d times, want 3", h.Hits())
			}
			quiet(t, s)
		})
	}
	t.Run("the leader moves", func(t *testing.T) {
		t.Parallel()
		b := fake(t, kfake.NumBrokers(3))
		name := topic(t)
		c := b.connect(t, 1, name)
		s := open(t, c)
		var want []string
		for i := range 3 {
			if err := b.fake.MoveTopicPartition(name, 0, int32(i%3)); err != nil {
				t.Fatalf("move: %v", err)
			}
			v := fmt.Sprint(i)
			b.write(t, name, v)
			want = append(want, v)
			if got, _ := read(t, s, 1); got[0] != v {
				t.Fatalf("got %q, want %s", got, v)
			}
		}
	})
	t.Run("the broker restarts", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		broker, err := Embedded(dir, "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { broker.Close() }()
		b := target{brokers: []string{broker.Addr()}}
		name := topic(t)
		c := b.connect(t, 1, name)
		s := open(t, c)
		b.write(t, name, "a")
		read(t, s, 1)
		broker.Close()
		quiet(t, s) // a shard goes on applying acts while the broker is away
		if broker, err = Embedded(dir, b.brokers[0]); err != nil {
			t.Fatal(err)
		}
		b.write(t, name, "b")
		if got, _ := read(t, s, 1); got[0] != "b" {
			t.Errorf("got %q, want b", got)
		}
	})
	t.Run("not allowed", func(t *testing.T) {
		t.Parallel()
		b := fake(t)
		name := topic(t)
		s := open(t, b.connect(t, 1, name))
		b.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: name, Err: kerr.TopicAuthorizationFailed, Count: -1})
		if err := fails(t, s); !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "Authorization") {
			t.Errorf("got %v, want the topic and the reason", err)
		}
	})
}

// A batch that can't be read is asked for again, then ends the partition by name; what came before it is handed out.
func TestFetchBrokenBatch(t *testing.T) {
	t.Parallel()
	b := fake(t)
	name := topic(t)
	c := b.connect(t, 1, name)
	b.write(t, name, "a", "b") // so that the checks of the log find it long enough
	good := rawBatch{base: 0, records: recs(0, "a")}.bytes()
	bad := rawBatch{base: 1, records: recs(0, "b")}.bytes()
	bad[len(bad)-1] ^= 0x40
	var mended atomic.Bool
	asked := atomic.Int64{}
	b.fake.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.fake.KeepControl()
		f := req.(*kmsg.FetchRequest)
		if mended.Load() {
			return nil, nil, false
		}
		set := bad
		if f.Topics[0].Partitions[0].FetchOffset == 0 {
			set = append(bytes.Clone(good), bad...)
		} else {
			asked.Add(1)
		}
		resp := f.ResponseKind().(*kmsg.FetchResponse)
		resp.Topics = []kmsg.FetchResponseTopic{{Topic: name, Partitions: []kmsg.FetchResponseTopicPartition{{HighWatermark: 2, LastStableOffset: 2, RecordBatches: set}}}}
		return resp, nil, true
	})
	s := open(t, c)
	if got, _ := read(t, s, 1); got[0] != "a" {
		t.Fatalf("got %q, want a", got)
	}
	err := fails(t, s)
	var broken *BatchError
	if !errors.As(err, &broken) || broken.Topic != name || broken.Partition != 0 || broken.Offset != 1 {
		t.Fatalf("got %v, want a BatchError at offset 1", err)
	}
	if asked.Load() < badTries {
		t.Errorf("asked %d times for it, want %d", asked.Load(), badTries)
	}
	if again := fails(t, s); again.Error() != err.Error() {
		t.Errorf("the next fetch says %v, want the same", again)
	}
	mended.Store(true)
	if got, _ := read(t, open(t, c, detect.Position{Topic: name, Offset: 1}), 1); got[0] != "b" {
		t.Errorf("mended: got %q, want b", got)
	}
}

// One batch that the network broke once is read at the second try.
func TestFetchBrokenOnce(t *testing.T) {
	t.Parallel()
	b := fake(t)
	name := topic(t)
	c := b.connect(t, 1, name)
	bad := rawBatch{base: 0, records: recs(0, "a")}.bytes()
	bad[30] ^= 1
	b.fake.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		resp.Topics = []kmsg.FetchResponseTopic{{Topic: name, Partitions: []kmsg.FetchResponseTopicPartition{{RecordBatches: bad}}}}
		return resp, nil, true
	})
	b.write(t, name, "a")
	if got, _ := read(t, open(t, c), 1); got[0] != "a" {
		t.Errorf("got %q, want a", got)
	}
}

// A batch of the largest size that a topic takes comes through, though it is larger than what a fetch asks for.
func TestFetchLargeBatch(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b target) {
		name := topic(t)
		c := b.with(t, Config{Partitions: 1, Inputs: []string{name}, Group: name})
		big := topic(t)
		ctx := within(t, 20*time.Second)
		if err := c.create(ctx, []Topic{{Name: big, Config: map[string]string{"max.message.bytes": "8000000"}}}, nil, 1); err != nil {
			t.Fatal(err)
		}
		value := make([]byte, 5<<20)
		rand.Read(value)
		p := b.producer(t, kgo.ProducerBatchMaxBytes(7<<20), kgo.MaxBufferedBytes(20<<20))
		if err := p.ProduceSync(ctx, &kgo.Record{Topic: big, Value: value}).FirstErr(); err != nil {
			t.Fatalf("produce: %v", err)
		}
		stop := errors.New("enough")
		err := c.Tail(ctx, big, 0, -1, func(rs []detect.Record) error {
			if len(rs) != 1 || !bytes.Equal(rs[0].Value, value) {
				t.Errorf("got %d records, the value differs", len(rs))
			}
			return stop
		})
		if !errors.Is(err, stop) {
			t.Fatal(err)
		}
	})
}

func TestFetchEndsWithContext(t *testing.T) {
	b := fake(t)
	c := b.connect(t, 1, topic(t))
	s := open(t, c)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Fetch(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	start := time.Now()
	s.close()
	if d := time.Since(start); d > time.Second {
		t.Errorf("closing took %v", d)
	}
	if _, err := s.Fetch(context.Background()); err == nil {
		t.Error("a closed source hands out records")
	}
}
