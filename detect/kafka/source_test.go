package kafka

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

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
