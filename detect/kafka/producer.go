package kafka

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress/lz4"
	"github.com/segmentio/kafka-go/protocol"
)

// Producer is a load generator's way to write: record batches that are encoded as they grow, one request for all that go to one broker,
// acknowledged by all replicas in sync, and no garbage. It measures an engine beside it on the same machine, so that it has to be cheap.
// Records carry the time their maker gives them, so that a backlog of hours can be written in a minute. One goroutine calls Send for a
// partition at a time.
type Producer struct {
	c      *Client
	topic  string
	single bool // the cluster has one broker: every partition's leader
	frames sync.Pool
}

// Producer makes a producer to a topic that exists.
func (c *Client) Producer(ctx context.Context, topic string) (*Producer, error) {
	_, brokers, err := c.counts(ctx, []string{topic})
	if err != nil {
		return nil, fmt.Errorf("look at topic %s: %w", topic, err)
	}
	return &Producer{c: c, topic: topic, single: brokers == 1}, nil
}

// RecordBatch gathers records for one partition. The zero value with its Partition is ready.
type RecordBatch struct {
	Partition int

	records     []byte // encoded
	n           int
	first, last int64  // timestamps, ms
	wire        []byte // the batch as it is sent
	packed      bytes.Buffer
}

// Len is how many records there are, Size how many bytes they take before compression.
func (b *RecordBatch) Len() int  { return b.n }
func (b *RecordBatch) Size() int { return len(b.records) }

// Reset forgets the records and keeps the memory.
func (b *RecordBatch) Reset() { b.records, b.n = b.records[:0], 0 }

// Add appends a record. key and value are copied.
func (b *RecordBatch) Add(at time.Time, key, value []byte) {
	ms := at.UnixMilli()
	if b.n == 0 {
		b.first, b.last = ms, ms
	}
	b.last = max(b.last, ms)
	time, number := ms-b.first, int64(b.n)
	size := 1 + varintSize(time) + varintSize(number) + varintSize(int64(len(key))) + len(key) + varintSize(int64(len(value))) + len(value) + 1
	r := binary.AppendVarint(b.records, int64(size))
	r = append(r, 0) // attributes
	r = binary.AppendVarint(r, time)
	r = binary.AppendVarint(r, number)
	r = append(binary.AppendVarint(r, int64(len(key))), key...)
	r = append(binary.AppendVarint(r, int64(len(value))), value...)
	b.records = append(r, 0) // headers
	b.n++
}

func varintSize(v int64) int {
	u := uint64(v<<1) ^ uint64(v>>63)
	n := 1
	for ; u >= 0x80; u >>= 7 {
		n++
	}
	return n
}

// packer is what the batches of a load are compressed with, as producers of many small JSON texts are.
var packer = lz4.Codec{}

// encode makes the batch as it is sent (Kafka's message format, version 2).
func (b *RecordBatch) encode() error {
	records, attributes := b.records, uint16(0)
	if len(records) >= compressFrom {
		b.packed.Reset()
		w := packer.NewWriter(&b.packed)
		if _, err := w.Write(records); err != nil {
			return fmt.Errorf("compress a batch: %w", err)
		}
		if err := w.Close(); err != nil {
			return fmt.Errorf("compress a batch: %w", err)
		}
		records, attributes = b.packed.Bytes(), codecLZ4
	}
	w := be.AppendUint64(b.wire[:0], 0) // the broker gives the offset
	w = be.AppendUint32(w, uint32(batchHead-12+len(records)))
	w = be.AppendUint32(w, 0) // leader epoch
	w = append(w, 2)
	w = be.AppendUint32(w, 0) // checksum, below
	w = be.AppendUint16(w, attributes)
	w = be.AppendUint32(w, uint32(b.n-1))
	w = be.AppendUint64(w, uint64(b.first))
	w = be.AppendUint64(w, uint64(b.last))
	w = be.AppendUint64(w, ^uint64(0)) // no producer id
	w = be.AppendUint16(w, ^uint16(0))
	w = be.AppendUint32(w, ^uint32(0))
	w = be.AppendUint32(w, uint32(b.n))
	w = append(w, records...)
	be.PutUint32(w[17:], crc32.Checksum(w[21:], castagnoli))
	b.wire = w
	return nil
}

// Send writes the batches, at most one for each partition, and returns when all are acknowledged. A try whose answer was lost may have
// written. The batches are the producer's until Send returns, and empty afterwards.
func (p *Producer) Send(ctx context.Context, batches ...*RecordBatch) error {
	for _, b := range batches {
		if err := b.encode(); err != nil {
			return err
		}
	}
	if p.single || len(batches) == 1 {
		if err := p.send(ctx, batches); err != nil {
			return err
		}
	} else {
		failed := make([]error, len(batches))
		var all sync.WaitGroup
		for i := range batches {
			all.Go(func() { failed[i] = p.send(ctx, batches[i:i+1]) })
		}
		all.Wait()
		if err := errors.Join(failed...); err != nil {
			return err
		}
	}
	for _, b := range batches {
		b.Reset()
	}
	return nil
}

func (p *Producer) send(ctx context.Context, batches []*RecordBatch) error {
	err := p.c.again(ctx, func(ctx context.Context) error {
		frame, ok := p.frames.Get().(*[]byte)
		if !ok {
			frame = new([]byte)
		}
		req := &produceRequest{topic: p.topic, batches: batches, client: p.c.cfg.ClientID, frame: *frame}
		if _, err := p.c.transport.RoundTrip(ctx, p.c.addr, req); err != nil {
			return err // the frame is left to whoever may still write it
		}
		*frame = req.frame
		p.frames.Put(frame)
		return nil
	})
	if err != nil {
		return fmt.Errorf("produce to %s: %w", p.topic, err)
	}
	return nil
}

// produceVersion is known to brokers from 2.1 to 4.x, and the last one without flexible encoding is 8.
const produceVersion = 7

// produceRequest is a protocol.RawExchanger like fetchRequest: what is sent is written as it stands.
type produceRequest struct {
	topic   string
	batches []*RecordBatch
	client  string
	frame   []byte
}

type produceResponse struct{}

var _ protocol.RawExchanger = (*produceRequest)(nil)

func (*produceResponse) ApiKey() protocol.ApiKey                { return protocol.Produce }
func (*produceRequest) ApiKey() protocol.ApiKey                 { return protocol.Produce }
func (*produceRequest) Required(map[protocol.ApiKey]int16) bool { return true }

// Broker is the leader of the first batch's partition, which Producer makes sure is that of all.
func (r *produceRequest) Broker(c protocol.Cluster) (protocol.Broker, error) {
	return (&fetchRequest{topic: r.topic, part: int32(r.batches[0].Partition)}).Broker(c)
}

// RawExchange follows protocol.RawExchanger.
func (r *produceRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	const correlation = 9
	text := func(b []byte, s string) []byte { return append(be.AppendUint16(b, uint16(len(s))), s...) }
	b := append(r.frame[:0], 0, 0, 0, 0)
	b = be.AppendUint16(b, uint16(protocol.Produce))
	b = be.AppendUint16(b, produceVersion)
	b = be.AppendUint32(b, correlation)
	b = text(b, r.client)
	b = be.AppendUint16(b, ^uint16(0)) // no transaction
	b = be.AppendUint16(b, ^uint16(0)) // acks: all
	b = be.AppendUint32(b, uint32(requestTime/time.Millisecond))
	b = be.AppendUint32(b, 1)
	b = text(b, r.topic)
	b = be.AppendUint32(b, uint32(len(r.batches)))
	for _, one := range r.batches {
		b = be.AppendUint32(b, uint32(one.Partition))
		b = append(be.AppendUint32(b, uint32(len(one.wire))), one.wire...)
	}
	be.PutUint32(b, uint32(len(b)-4))
	r.frame = b
	if _, err := rw.Write(b); err != nil {
		return nil, fmt.Errorf("send records: %w", err)
	}
	var head [8]byte
	if _, err := io.ReadFull(rw, head[:]); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	n := int64(int32(be.Uint32(head[:]))) - 4
	if n < 0 || n > 1<<20 || be.Uint32(head[4:]) != correlation {
		return nil, fmt.Errorf("an answer of %d bytes: %w", n, errMalformed)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(rw, body); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return &produceResponse{}, produced(body)
}

// produced is the first error that a produce response tells.
func produced(body []byte) error {
	r := cursor{b: body}
	for topics := r.i32(); topics > 0 && !r.bad; topics-- {
		r.skip(int(r.i16()))
		for n := r.i32(); n > 0 && !r.bad; n-- {
			r.skip(4)
			if code := r.i16(); code != 0 && !r.bad {
				return kafka.Error(code)
			}
			r.skip(24) // offset, time, log start
		}
	}
	if r.bad {
		return fmt.Errorf("answer to records: %w", errMalformed)
	}
	return nil
}

// Create makes those of the topics that are missing, with the configured number of partitions and exactly the settings given.
func (c *Client) Create(ctx context.Context, topics []Topic) error {
	counts, brokers, err := c.counts(ctx, nil)
	if err != nil {
		return fmt.Errorf("read the list of topics: %w", err)
	}
	return c.create(ctx, topics, counts, brokers)
}

// Delete deletes topics; one that is not there is no error.
func (c *Client) Delete(ctx context.Context, topics []string) error {
	return c.again(ctx, func(ctx context.Context) error {
		r, err := c.api.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: slices.Clone(topics)})
		if err != nil {
			return fmt.Errorf("delete topics: %w", err)
		}
		for name, err := range r.Errors {
			if err != nil && !errors.Is(err, kafka.UnknownTopicOrPartition) {
				return fmt.Errorf("delete topic %s: %w", name, err)
			}
		}
		return nil
	})
}
