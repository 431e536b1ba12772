package detect

import (
	"context"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"doorward/rules/window"
)

// paceSpan is how far shards may be from one another while they catch up, in seconds. The windows across accounts can be read as of
// any of the last 64 slices of a shard (rules/window); staying within 60 keeps that exact.
const paceSpan = 60

// Pace keeps the shards of a process close enough to one another that each can read the others' windows as of a closed slice. It
// decides when a shard goes on, never what it sees: that is written in the shard's log.
type Pace struct {
	turns  atomic.Uint64 // see turn (log.go)
	mu     sync.Mutex
	move   chan struct{} // closed and made anew when something changed
	shards []paceShard

	loads chan struct{} // one for each shard that loads its memory now
}

type paceShard struct {
	busy   bool    // inside a batch
	asOf   []int64 // busy: as of which slice each shard is read
	limit  int64   // busy: the newest arrival that this batch may take in
	clock  int64   // second of the newest arrival that was taken in
	closed int64   // last closed slice that is committed; noSlice: none
}

// noSlice stands for a shard that has not closed any slice.
const noSlice = math.MinInt64

// NewPace makes the pace of a process's shards.
func NewPace(shards int) *Pace {
	p := &Pace{move: make(chan struct{}), shards: make([]paceShard, shards), loads: make(chan struct{}, runtime.GOMAXPROCS(0))}
	for i := range p.shards {
		p.shards[i].clock, p.shards[i].closed = noSlice, noSlice
	}
	return p
}

// load lets as many shards load their memory at once as there are processors: so the first goes on after its share of the time, and not
// all of them at its end.
func (p *Pace) load(ctx context.Context, load func(context.Context) error) error {
	select {
	case p.loads <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.loads }()
	return load(ctx)
}

// enter waits until no other busy shard would be left more than paceSpan behind by a record that arrived at t, then makes the shard busy.
func (p *Pace) enter(ctx context.Context, shard int, t time.Time, closed int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shards[shard].closed = closed
	for !p.clear(shard, t.Unix()) {
		move := p.move
		p.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-move:
		}
		p.mu.Lock()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	s := &p.shards[shard]
	s.busy, s.asOf = true, make([]int64, len(p.shards))
	for i := range p.shards {
		s.asOf[i] = p.shards[i].closed
	}
	s.clock = max(s.clock, t.Unix())
	s.limit = closed + paceSpan
	if closed == noSlice || t.Unix()-closed-1 > window.Ahead/2 { // a jump, which counts as one slice (rules/window)
		s.limit = t.Unix() + paceSpan - 1
	}
	return nil
}

// may reports whether the shard may take in a record that arrived at t within its batch, or, between batches, close its slices up to t.
// One batch is no longer than paceSpan: who enters in the middle of it reads this shard as of its last commit.
func (p *Pace) may(shard int, t time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := &p.shards[shard]; s.busy && t.Unix() > s.limit || !p.clear(shard, t.Unix()) {
		return false
	}
	p.shards[shard].clock = max(p.shards[shard].clock, t.Unix())
	return true
}

// clear reports whether every other busy shard reads this one, and stands, within paceSpan of second. A shard whose clock is there
// already may always go on.
func (p *Pace) clear(shard int, second int64) bool {
	if second <= p.shards[shard].clock {
		return true
	}
	for i := range p.shards {
		o := &p.shards[i]
		if i == shard || !o.busy {
			continue
		}
		if asOf := o.asOf[shard]; asOf != noSlice && second > asOf+paceSpan || o.clock != noSlice && second > o.clock+paceSpan {
			return false
		}
	}
	return true
}

// asOf is the last closed slice of each shard, for a batch that begins now.
func (p *Pace) asOf(shard int) []int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shards[shard].busy {
		return p.shards[shard].asOf
	}
	asOf := make([]int64, len(p.shards))
	for i := range p.shards {
		asOf[i] = p.shards[i].closed
	}
	return asOf
}

// committed says which slice is closed now; the others may read as of it.
func (p *Pace) committed(shard int, closed, clock int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shards[shard].closed, p.shards[shard].clock = closed, max(clock, p.shards[shard].clock)
}

// leave ends the shard's batch.
func (p *Pace) leave(shard int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shards[shard].busy, p.shards[shard].asOf = false, nil
	close(p.move)
	p.move = make(chan struct{})
}

// newest is the newest arrival that any shard has taken in; the zero time when there is none.
func (p *Pace) newest() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	newest := int64(noSlice)
	for i := range p.shards {
		newest = max(newest, p.shards[i].clock)
	}
	if newest == noSlice {
		return time.Time{}
	}
	return time.Unix(newest, 0).UTC()
}
