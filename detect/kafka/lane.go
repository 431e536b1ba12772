package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

	"doorward/detect"
)

// Sizes of a fetch (reference: architecture 2.5).
const fetchBytes = 1 << 20

// lane reads one partition of one topic.
type lane struct {
	c    *Client
	next int64           // what to read next
	at   detect.Position // behind the last record read: next, unless holes or a transaction's end came after it
	part int
	dec  decoder
	// doubt says that the broker was away or moved since the last answer: the log is checked before anything of it is handed out, as a
	// broker that came back empty may have grown past our offset meanwhile.
	doubt bool
	wait  time.Duration // how long the broker may hold back an answer without records
	good  time.Time     // when the last good answer came; zero: nobody asks (Away)
	ill   bool          // Away has been told of a failure since
}

func (c *Client) lane(topic string, part int, at detect.Position) *lane {
	return &lane{c: c, next: at.Offset, at: at, part: part, dec: decoder{topic: topic, part: part}, wait: pollTime}
}

// badTries is how often a batch that can't be read is asked for again: the network or the page cache may be at fault.
const badTries = 3

// fill fetches into b, which may stay empty when there is nothing to read. What a moving broker answers is retried until ctx ends; every
// error but ctx's is final.
func (l *lane) fill(ctx context.Context, b *batch) error {
	bad := 0
	for try := 1; ; try++ {
		err := l.ask(ctx, b)
		if err == nil && l.doubt {
			if err = l.c.check(ctx, l.part, l.next, l.at); err == nil {
				l.doubt = false
			}
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && (b.broken == nil || b.next > l.next):
			l.advance(b)
			l.well()
			return nil
		case err == nil, errors.Is(err, errMalformed):
			if err == nil {
				err = b.broken
			}
			if bad++; bad == badTries {
				return &BatchError{Topic: l.at.Topic, Partition: l.part, Offset: l.next, Err: err}
			}
		case errors.Is(err, kafka.OffsetOutOfRange):
			// A check that finds nothing wrong means that a replica was asked that lags behind: ask again.
			if err := l.c.check(ctx, l.part, l.next, l.at); err != nil && !transient(err) {
				return err
			}
		case !transient(err):
			return fmt.Errorf("read topic %s, partition %d, offset %d: %w", l.at.Topic, l.part, l.next, err)
		}
		l.doubt = true
		l.ails(err)
		l.c.trouble(l.at.Topic, l.part, err)
		if !wait(ctx, backoff(try)) {
			return ctx.Err()
		}
	}
}

// ask fetches once. After an error the buffer is left to whoever may still write to it.
func (l *lane) ask(ctx context.Context, b *batch) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	req := &fetchRequest{topic: l.at.Topic, part: int32(l.part), offset: l.next, maxBytes: fetchBytes,
		maxWait: int32(l.wait / time.Millisecond), client: l.c.cfg.ClientID, buf: b.raw}
	b.raw = nil
	if cap(b.inflated) > keepInflated {
		b.inflated = nil
	}
	m, err := l.c.transport.RoundTrip(ctx, l.c.addr, req)
	if err != nil {
		return err
	}
	b.raw = m.(*fetchResponse).body
	return l.dec.decode(b, l.next)
}

func (l *lane) advance(b *batch) {
	l.next = b.next
	if n := len(b.records); n > 0 {
		last := &b.records[n-1]
		l.at.Offset, l.at.Fingerprint = last.Offset+1, last.Fingerprint()
	}
}

// trouble logs that a partition can't be read now, at most once in ten seconds for all partitions.
func (c *Client) trouble(topic string, part int, err error) {
	c.mu.Lock()
	quiet := time.Since(c.troubled) < 10*time.Second
	if !quiet {
		c.troubled = time.Now()
	}
	c.mu.Unlock()
	if !quiet {
		c.cfg.Log.Warn("kafka: a partition can't be read now, trying again", "topic", topic, "partition", part, "err", err)
	}
}
