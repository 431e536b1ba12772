package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"doorward/detect"
)

// What one Fetch hands out at most: a shard decides and commits it as one.
const (
	fetchRecords   = 2000
	fetchValueSize = 4 << 20
)

// source is a shard's input: partition n of every input topic. A goroutine per topic reads one batch ahead; everything else happens in
// the shard's goroutine.
type source struct {
	c     *Client
	shard int

	stop  context.CancelFunc
	ended sync.WaitGroup
	ready chan *ahead

	used    []*ahead        // batches that pending is made of
	pending []detect.Record // fetched, not yet handed out
	merged  []detect.Record // memory for pending when it comes from several topics
	failed  error
}

// ahead is a batch on its way between a lane's goroutine and the shard's.
type ahead struct {
	batch
	home chan *ahead // where it goes back to
	err  error
}

var _ detect.Source = (*source)(nil)

// Open follows detect.Source. It may be called again, to start over at other positions.
func (s *source) Open(ctx context.Context, at []detect.Position) error {
	s.close()
	from := map[string]detect.Position{}
	for _, p := range at {
		from[p.Topic] = p
	}
	var lanes []*lane
	for _, topic := range s.c.cfg.Inputs {
		p, known := from[topic]
		delete(from, topic)
		if !known {
			first, _, err := s.c.ends(ctx, topic, s.shard)
			if err != nil {
				return fmt.Errorf("find the start of topic %s, partition %d: %w", topic, s.shard, err)
			}
			p = detect.Position{Topic: topic, Offset: first}
		} else if err := s.c.check(ctx, s.shard, p.Offset, p); err != nil {
			return err
		}
		l := s.c.lane(topic, s.shard, p)
		l.good = time.Now()
		lanes = append(lanes, l)
	}
	for topic := range from {
		s.c.cfg.Log.Warn("kafka: a topic that was read before is no input any more", "topic", topic, "shard", s.shard)
	}
	ctx, s.stop = context.WithCancel(ctx)
	s.ready = make(chan *ahead, 2*len(lanes))
	for _, l := range lanes {
		home := make(chan *ahead, 2)
		home <- &ahead{home: home}
		home <- &ahead{home: home}
		s.ended.Add(1)
		go func() {
			defer s.ended.Done()
			l.run(ctx, home, s.ready)
		}()
	}
	return nil
}

// run fills batches and passes them on until ctx ends or the partition can't be read. ready has room for every batch there is.
func (l *lane) run(ctx context.Context, home, ready chan *ahead) {
	for {
		var a *ahead
		select {
		case a = <-home:
		case <-ctx.Done():
			return
		}
		for {
			if a.err = l.fill(ctx, &a.batch); ctx.Err() != nil {
				return
			}
			if a.err != nil || len(a.records) > 0 {
				break
			}
		}
		ready <- a
		if a.err != nil {
			return
		}
	}
}

// close ends the reading ahead and forgets what was read.
func (s *source) close() {
	if s.stop != nil {
		s.stop()
		s.ended.Wait()
		s.c.forget(s.shard)
	}
	s.stop, s.ready, s.used, s.pending, s.failed = nil, nil, nil, nil, nil
}

// Fetch follows detect.Source.
func (s *source) Fetch(ctx context.Context) ([]detect.Record, error) {
	if s.ready == nil {
		return nil, errors.New("kafka: a source is opened before it is read")
	}
	if len(s.pending) == 0 {
		if s.failed != nil {
			return nil, s.failed
		}
		if err := s.take(ctx); err != nil {
			return nil, err
		}
	}
	n, size := 0, 0
	for n < len(s.pending) && n < fetchRecords && size < fetchValueSize {
		size += len(s.pending[n].Value)
		n++
	}
	out := s.pending[:n:n]
	s.pending = s.pending[n:]
	if n == 0 {
		return nil, s.failed
	}
	return out, nil
}

// take gives back what was used and waits for new batches.
func (s *source) take(ctx context.Context) error {
	for _, a := range s.used {
		a.home <- a
	}
	s.used = s.used[:0]
	t := time.NewTimer(pollTime)
	defer t.Stop()
	select {
	case a := <-s.ready:
		s.use(a)
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	for more := true; more; {
		select {
		case a := <-s.ready:
			s.use(a)
		default:
			more = false
		}
	}
	s.merge()
	return nil
}

func (s *source) use(a *ahead) {
	if a.err != nil {
		s.failed = a.err
		return
	}
	s.used = append(s.used, a)
}

// merge makes pending of the used batches: by offset within a topic, by arrival between topics. Batches of one topic stand in used in
// their order.
func (s *source) merge() {
	switch len(s.used) {
	case 0:
		return
	case 1:
		s.pending = s.used[0].records
		return
	}
	var heads [][][]detect.Record // per topic, its batches
	index := map[chan *ahead]int{}
	total := 0
	for _, a := range s.used {
		i, ok := index[a.home]
		if !ok {
			i = len(heads)
			index[a.home] = i
			heads = append(heads, nil)
		}
		heads[i] = append(heads[i], a.records)
		total += len(a.records)
	}
	s.merged = s.merged[:0]
	for range total {
		best := -1
		for i, h := range heads {
			if len(h) > 0 && (best < 0 || h[0][0].Time.Before(heads[best][0][0].Time)) {
				best = i
			}
		}
		h := heads[best]
		s.merged = append(s.merged, h[0][0])
		if h[0] = h[0][1:]; len(h[0]) == 0 {
			heads[best] = h[1:]
		}
	}
	s.pending = s.merged
}
