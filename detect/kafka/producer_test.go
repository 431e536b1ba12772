package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"doorward/detect"
)

// TestProducer: what a load generator sends comes out whole and in order, with the times it was given, small batches and compressed ones.
func TestProducer(t *testing.T) {
	each(t, func(t *testing.T, b target) {
		ctx := within(t, 30*time.Second)
		name := topic(t)
		c := b.connect(t, 4, topic(t))
		if err := c.Create(ctx, []Topic{{Name: name, Config: map[string]string{"message.timestamp.type": "CreateTime"}}}); err != nil {
			t.Fatal(err)
		}
		p, err := c.Producer(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-3 * time.Hour).Truncate(time.Millisecond)
		batches := make([]*RecordBatch, 4)
		for i := range batches {
			batches[i] = &RecordBatch{Partition: i}
		}
		sent := 0
		for _, n := range []int{4, 4000, 1} {
			for range n {
				batches[sent%4].Add(at.Add(time.Duration(sent)*time.Millisecond), []byte(fmt.Sprint("key-", sent)), []byte(strings.Repeat("x", sent%300)))
				sent++
			}
			ready := slices.DeleteFunc(slices.Clone(batches), func(b *RecordBatch) bool { return b.Len() == 0 })
			if err := p.Send(ctx, ready...); err != nil {
				t.Fatal(err)
			}
			for _, b := range ready {
				if b.Len() != 0 || b.Size() != 0 {
					t.Errorf("a batch that was sent holds %d records", b.Len())
				}
			}
		}
		next, got := [4]int{0, 1, 2, 3}, 0
		if err := c.ReadCompacted(ctx, name, func(r detect.Record) error {
			i := next[r.Partition]
			next[r.Partition] += 4
			got++
			if string(r.Key) != fmt.Sprint("key-", i) || !bytes.Equal(r.Value, []byte(strings.Repeat("x", i%300))) || !r.Time.Equal(at.Add(time.Duration(i)*time.Millisecond)) {
				t.Fatalf("partition %d, offset %d: %s at %v, want record %d", r.Partition, r.Offset, r.Key, r.Time, i)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if got != sent {
			t.Errorf("%d of %d records came out", got, sent)
		}
		if err := c.Delete(ctx, []string{name}); err != nil {
			t.Fatal(err)
		}
		if err := c.Delete(ctx, []string{name}); err != nil {
			t.Errorf("deleting what is gone: %v", err)
		}
	})
}

// TestProducerIsToldOfErrors: what the broker refuses comes back, and is not lost silently.
func TestProducerIsToldOfErrors(t *testing.T) {
	answer := func(code int16) []byte {
		b := be.AppendUint32(nil, 1)
		b = append(be.AppendUint16(b, 1), 't')
		b = be.AppendUint32(b, 2)
		for _, c := range []int16{0, code} {
			b = be.AppendUint32(b, 0)
			b = be.AppendUint16(b, uint16(c))
			b = append(b, make([]byte, 24)...)
		}
		return be.AppendUint32(b, 0) // throttle
	}
	if err := produced(answer(0)); err != nil {
		t.Error(err)
	}
	if err := produced(answer(10)); !errors.Is(err, kafka.MessageSizeTooLarge) {
		t.Errorf("got %v", err)
	}
	for n := range len(answer(0)) - 5 {
		if err := produced(answer(0)[:n]); !errors.Is(err, errMalformed) {
			t.Fatalf("an answer cut after %d bytes: %v", n, err)
		}
	}
}
