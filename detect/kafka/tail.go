package kafka

import (
	"context"
	"fmt"

	"github.com/segmentio/kafka-go"

	"doorward/detect"
)

// Tail reads one partition from an offset on (negative: from its start), calling f with the records as they come, until ctx ends, f
// fails or the partition can't be read. The records are good during the call. *GapError, *RecreatedError as for a shard's source.
func (c *Client) Tail(ctx context.Context, topic string, partition int, from int64, f func([]detect.Record) error) error {
	if from < 0 {
		first, _, err := c.ends(ctx, topic, partition)
		if err != nil {
			return fmt.Errorf("find the start of topic %s, partition %d: %w", topic, partition, err)
		}
		from = first
	}
	l := c.lane(topic, partition, detect.Position{Topic: topic, Offset: from})
	l.doubt = true
	var b batch
	for {
		if err := l.fill(ctx, &b); err != nil {
			return err
		}
		if len(b.records) == 0 {
			continue
		}
		if err := f(b.records); err != nil {
			return err
		}
	}
}

// LastOffsets is the offset behind the last record of each of a topic's partitions.
func (c *Client) LastOffsets(ctx context.Context, topic string) ([]int64, error) {
	n, err := c.partitionsOf(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("look at topic %s: %w", topic, err)
	}
	out := make([]int64, n)
	for p := range out {
		if _, out[p], err = c.ends(ctx, topic, p); err != nil {
			return nil, fmt.Errorf("look at topic %s, partition %d: %w", topic, p, err)
		}
	}
	return out, nil
}

// ReadCompacted reads a topic once, each partition from its start to where its committed records end now, and calls f for every record
// that is left; of a key the last one counts, and one without a value says that the key is gone.
func (c *Client) ReadCompacted(ctx context.Context, topic string, f func(detect.Record) error) error {
	n, err := c.partitionsOf(ctx, topic)
	if err != nil {
		return fmt.Errorf("read topic %s: %w", topic, err)
	}
	for part := range n {
		if err := c.readOnce(ctx, topic, part, f); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) readOnce(ctx context.Context, topic string, part int, f func(detect.Record) error) error {
	first, end, err := c.committed(ctx, topic, part)
	if err != nil {
		return fmt.Errorf("look at topic %s, partition %d: %w", topic, part, err)
	}
	return c.ReadRange(ctx, topic, part, first, end, f)
}

// Bounds are, for each partition of a topic, its first offset and the one where its committed records end.
func (c *Client) Bounds(ctx context.Context, topic string) ([]detect.Bounds, error) {
	n, err := c.partitionsOf(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("look at topic %s: %w", topic, err)
	}
	all := make([]detect.Bounds, n)
	err = c.again(ctx, func(ctx context.Context) error {
		var ask []kafka.OffsetRequest
		for part := range n {
			ask = append(ask, kafka.FirstOffsetOf(part), kafka.LastOffsetOf(part))
		}
		r, err := c.api.ListOffsets(ctx, &kafka.ListOffsetsRequest{IsolationLevel: kafka.ReadCommitted, Topics: map[string][]kafka.OffsetRequest{topic: ask}})
		if err != nil {
			return err
		}
		told := 0
		for _, p := range r.Topics[topic] {
			if p.Error != nil {
				return p.Error
			}
			if p.Partition >= 0 && p.Partition < n {
				all[p.Partition] = detect.Bounds{First: p.FirstOffset, End: p.LastOffset}
				told++
			}
		}
		if told != n {
			return kafka.UnknownTopicOrPartition
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look at the ends of topic %s: %w", topic, err)
	}
	return all, nil
}

// ReadRange reads a partition's committed records from an offset that is there up to, and not with, another. What a cleaner has taken is
// left out.
func (c *Client) ReadRange(ctx context.Context, topic string, part int, from, end int64, f func(detect.Record) error) error {
	l := c.lane(topic, part, detect.Position{Topic: topic, Offset: from})
	l.wait = 0
	var b batch
	for nothing := 0; l.next < end && nothing < 3; nothing++ {
		before := l.next
		if err := l.fill(ctx, &b); err != nil {
			return err
		}
		for _, r := range b.records {
			if r.Offset >= end {
				return nil
			}
			if err := f(r); err != nil {
				return err
			}
		}
		if l.next > before {
			nothing = 0 // a cleaner may have taken the very last batches: three empty answers are the end, too
		}
	}
	return nil
}

// committed are a partition's first offset and the one where its committed records end.
func (c *Client) committed(ctx context.Context, topic string, part int) (first, end int64, err error) {
	err = c.again(ctx, func(ctx context.Context) error {
		r, err := c.api.ListOffsets(ctx, &kafka.ListOffsetsRequest{IsolationLevel: kafka.ReadCommitted,
			Topics: map[string][]kafka.OffsetRequest{topic: {kafka.FirstOffsetOf(part), kafka.LastOffsetOf(part)}}})
		if err != nil {
			return err
		}
		for _, p := range r.Topics[topic] {
			if p.Partition == part {
				first, end = p.FirstOffset, p.LastOffset
				return p.Error
			}
		}
		return kafka.UnknownTopicOrPartition
	})
	return first, end, err
}
