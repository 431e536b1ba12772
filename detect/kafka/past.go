package kafka

import (
	"context"
	"errors"
	"fmt"

	"doorward/detect"
)

// Past reads again, by offset, what shards have taken from their topics. Each partition is read once, forwards; it is for one goroutine.
type Past struct {
	c     *Client
	lanes map[pastKey]*pastLane
}

type pastKey struct {
	topic string
	shard int
}

type pastLane struct {
	*lane
	end  int64           // where the committed records end
	left []detect.Record // read, not yet handed out
}

// Past makes a reader of the past.
func (c *Client) Past() *Past { return &Past{c: c, lanes: map[pastKey]*pastLane{}} }

// Records are the records of a topic that are left from one offset to another, both included; good until the next call. Offsets must not go
// back from call to call. *GapError: the topic has let go of some of them. *RecreatedError: it never had them.
func (p *Past) Records(ctx context.Context, shard int, topic string, from, to int64) ([]detect.Record, error) {
	l, err := p.lane(ctx, shard, topic, from)
	if err != nil {
		return nil, err
	}
	if to >= l.end {
		return nil, &RecreatedError{Topic: topic, Partition: shard, Offset: to, Problem: fmt.Sprintf("it ends at %d", l.end)}
	}
	var out []detect.Record
	for {
		for len(l.left) > 0 && l.left[0].Offset <= to {
			if l.left[0].Offset >= from {
				out = append(out, l.left[0])
			}
			l.left = l.left[1:]
		}
		if len(l.left) > 0 || l.next > to {
			return out, nil
		}
		var b batch // its own memory: what is handed out may come of several
		if err := l.fill(ctx, &b); err != nil {
			return nil, err
		}
		l.left = b.records
	}
}

func (p *Past) lane(ctx context.Context, shard int, topic string, from int64) (*pastLane, error) {
	key := pastKey{topic, shard}
	if l := p.lanes[key]; l != nil {
		return l, nil
	}
	first, end, err := p.c.committed(ctx, topic, shard)
	if err != nil {
		return nil, fmt.Errorf("look at topic %s, partition %d: %w", topic, shard, err)
	}
	if first > from {
		return nil, &GapError{Topic: topic, Partition: shard, From: from, To: first}
	}
	l := &pastLane{lane: p.c.lane(topic, shard, detect.Position{Topic: topic, Offset: from}), end: end}
	l.lane.wait = 0
	p.lanes[key] = l
	return l, nil
}

// IsGone reports whether an error says that a topic does not hold any more what was read of it.
func IsGone(err error) bool {
	var gap *GapError
	var other *RecreatedError
	return errors.As(err, &gap) || errors.As(err, &other)
}
