package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"doorward/detect"
)

// What one request carries at most, below a broker's default limit of 1 MiB.
const (
	produceBytes   = 900 << 10
	produceRecords = 1000
	compressFrom   = 2 << 10 // below, compressing costs more than it saves
)

// outgoing is a message with its place among those that were given.
type outgoing struct {
	*detect.Message
	index int
}

type destination struct {
	topic     string
	partition int
}

// Publish follows detect.Publish: in order per partition (so per key), acknowledged by all replicas in sync, tried again for as long as a
// moving broker takes; a try whose answer was lost may write twice. *TooLargeError: a message that its topic does not take.
func (c *Client) Publish(ctx context.Context, messages []detect.Message) error {
	counts := map[string]int{}
	for i := range messages {
		counts[messages[i].Topic] = 0
	}
	for topic := range counts {
		n, err := c.partitionsOf(ctx, topic)
		if err != nil {
			return fmt.Errorf("publish to %s: %w", topic, err)
		}
		counts[topic] = n
	}
	queues := map[destination][]outgoing{}
	for i := range messages {
		m := &messages[i]
		d := destination{m.Topic, m.Partition}
		if d.partition < 0 {
			d.partition = PartitionOf(c.cfg.Partitioner, m.Key, counts[m.Topic])
		}
		queues[d] = append(queues[d], outgoing{m, i})
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for d, queue := range queues {
		all.Go(func() {
			if err := c.send(ctx, d, queue); err != nil {
				mu.Lock()
				failed = errors.Join(failed, err)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return failed
}

func (c *Client) partitionsOf(ctx context.Context, topic string) (n int, err error) {
	err = c.again(ctx, func(ctx context.Context) error {
		m, err := c.api.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
		if err != nil {
			return err
		}
		if len(m.Topics) != 1 || m.Topics[0].Error != nil || len(m.Topics[0].Partitions) == 0 {
			return kafka.UnknownTopicOrPartition
		}
		n = len(m.Topics[0].Partitions)
		return nil
	})
	return n, err
}

// send writes a queue to its partition, request after request.
func (c *Client) send(ctx context.Context, d destination, queue []outgoing) error {
	for len(queue) > 0 {
		n, size := 0, 0
		for n < len(queue) && n < produceRecords && (n == 0 || size+queue[n].size() <= produceBytes) {
			size += queue[n].size()
			n++
		}
		if err := c.produce(ctx, d, queue[:n], size); err != nil {
			return err
		}
		queue = queue[n:]
	}
	return nil
}

// produce writes a few messages with one request; when the broker finds them too long, in halves, until the one that is stands alone.
func (c *Client) produce(ctx context.Context, d destination, queue []outgoing, size int) error {
	codec := kafka.Compression(codecNone)
	if size >= compressFrom {
		codec = kafka.Snappy
	}
	base := int64(-1)
	err := c.again(ctx, func(ctx context.Context) error {
		r, err := c.api.Produce(ctx, &kafka.ProduceRequest{Topic: d.topic, Partition: d.partition, RequiredAcks: kafka.RequireAll,
			Records: kafka.NewRecordReader(records(queue)...), Compression: codec})
		if err != nil {
			return err
		}
		base = r.BaseOffset
		return r.Error
	})
	tooLarge := errors.Is(err, kafka.MessageSizeTooLarge) || errors.Is(err, kafka.RecordListTooLarge)
	switch {
	case err == nil:
		if c.cfg.Acked != nil && base >= 0 {
			c.cfg.Acked(d.topic, d.partition, base, len(queue), queue[len(queue)-1].Message)
		}
		return nil
	case tooLarge && len(queue) == 1:
		return &TooLargeError{Topic: d.topic, Index: queue[0].index, Size: queue[0].size()}
	case tooLarge:
		half := len(queue) / 2
		if err := c.produce(ctx, d, queue[:half], size/2); err != nil {
			return err
		}
		return c.produce(ctx, d, queue[half:], size/2)
	}
	return fmt.Errorf("publish to %s, partition %d: %w", d.topic, d.partition, err)
}

func (m outgoing) size() int {
	n := len(m.Key) + len(m.Value) + 16
	for _, h := range m.Headers {
		n += len(h.Key) + len(h.Value) + 4
	}
	return n
}

// records are made anew for each try: a record's bytes are read once. A key or value that is nil is none; an empty one is empty.
func records(queue []outgoing) []kafka.Record {
	out := make([]kafka.Record, len(queue))
	for i, m := range queue {
		if m.Key != nil {
			out[i].Key = protocol.NewBytes(m.Key)
		}
		if m.Value != nil {
			out[i].Value = protocol.NewBytes(m.Value)
		}
		for _, h := range m.Headers {
			out[i].Headers = append(out[i].Headers, kafka.Header{Key: h.Key, Value: h.Value})
		}
	}
	return out
}
