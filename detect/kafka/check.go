package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/segmentio/kafka-go"

	"doorward/detect"
)

// Fingerprint is what a record is known again by: see detect.Record.Fingerprint.
func Fingerprint(r detect.Record) uint64 { return r.Fingerprint() }

// check compares a partition's log with what was read of it: next is the offset to read next, at the position behind the last record that
// was read. *GapError: records from next on are gone unread. *RecreatedError: it is another log. Nothing else would notice: the broker
// just answers from whatever it has (reference: architecture 2.3d, 2.6).
func (c *Client) check(ctx context.Context, part int, next int64, at detect.Position) error {
	first, last, err := c.ends(ctx, at.Topic, part)
	if err != nil {
		return fmt.Errorf("look at topic %s, partition %d: %w", at.Topic, part, err)
	}
	recreated := func(format string, args ...any) error {
		return &RecreatedError{Topic: at.Topic, Partition: part, Offset: next, Problem: fmt.Sprintf(format, args...)}
	}
	switch {
	case last < next:
		return recreated("it ends at %d", last)
	case first > next:
		return &GapError{Topic: at.Topic, Partition: part, From: next, To: first}
	case at.Fingerprint == 0 || at.Offset == 0 || first > at.Offset-1:
		return nil // nothing to compare
	}
	rec, err := c.record(ctx, at.Topic, part, at.Offset-1)
	if err != nil {
		return fmt.Errorf("look at topic %s, partition %d, record %d: %w", at.Topic, part, at.Offset-1, err)
	}
	if rec == nil {
		policy, err := c.setting(ctx, at.Topic, "cleanup.policy")
		if err != nil {
			return fmt.Errorf("look at the settings of topic %s: %w", at.Topic, err)
		}
		if strings.Contains(policy, "compact") {
			return nil // compacted away: newer records of the key took its place
		}
		return recreated("record %d, which was read, is not there", at.Offset-1)
	}
	if rec.Fingerprint() != at.Fingerprint {
		return recreated("record %d is another one than was read", at.Offset-1)
	}
	return nil
}

// record reads one record; nil when the log has none at this offset.
func (c *Client) record(ctx context.Context, topic string, part int, offset int64) (rec *detect.Record, err error) {
	l := c.lane(topic, part, detect.Position{Topic: topic, Offset: offset})
	l.wait = 0
	var b batch
	err = c.again(ctx, func(ctx context.Context) error { return l.ask(ctx, &b) })
	switch {
	case err != nil:
		return nil, err
	case len(b.records) > 0 && b.records[0].Offset == offset:
		return &b.records[0], nil
	case len(b.records) == 0 && b.broken != nil:
		return nil, &BatchError{Topic: topic, Partition: part, Offset: b.next, Err: b.broken}
	}
	return nil, nil
}

// ends are the first offset of a partition and the one behind its last.
func (c *Client) ends(ctx context.Context, topic string, part int) (first, last int64, err error) {
	err = c.again(ctx, func(ctx context.Context) error {
		r, err := c.api.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{
			topic: {kafka.FirstOffsetOf(part), kafka.LastOffsetOf(part)}}})
		if err != nil {
			return err
		}
		for _, p := range r.Topics[topic] {
			if p.Partition == part {
				first, last = p.FirstOffset, p.LastOffset
				return p.Error
			}
		}
		return errors.New("the broker does not tell its offsets")
	})
	return first, last, err
}
