package outbox

import (
	"context"
	"time"
)

// sweeper deletes rows that have been published, one commit at a time beside the publishing: a verdict must not wait for the deletion of those
// before it. It belongs to the goroutine of Run; the commits run in one of their own, at most one at a time.
type sweeper struct {
	published [][]byte // still to be deleted
	sweeping  bool
	swept     chan swept
	failed    error
}

// swept is how a commit of deletions went.
type swept struct {
	keys  [][]byte
	begun time.Time
	err   error
}

// sweptAtOnce bounds the keys of one commit.
const sweptAtOnce = 4096

// lastSweep is how long a relay that ends may take to delete what it has published, so that a planned restart publishes nothing again.
const lastSweep = 2 * time.Second

// sweep begins to delete what has been published, unless that is under way.
func (r *Relay) sweep(ctx context.Context) {
	s := &r.sweeper
	if s.sweeping || len(s.published) == 0 {
		return
	}
	n := min(len(s.published), sweptAtOnce)
	keys := s.published[:n:n]
	s.published = s.published[n:]
	s.sweeping = true
	go func() { // ends with its commit, for which finish waits
		begun := time.Now()
		s.swept <- swept{keys, begun, r.delete(ctx, keys)}
	}()
}

// sweptUp takes the outcome of a deletion in; the keys of one that failed are deleted again.
func (r *Relay) sweptUp(s swept) error {
	r.sweeper.sweeping = false
	if s.err != nil {
		r.sweeper.published = append(s.keys, r.sweeper.published...)
		return s.err
	}
	if s.begun.After(r.proved) {
		r.proved = s.begun
	}
	return nil
}

// lookAtSweep says how the last deletion went, if it has ended, and goes on with what is left.
func (r *Relay) lookAtSweep(ctx context.Context) error {
	err := r.sweeper.failed
	r.sweeper.failed = nil
	select {
	case s := <-r.sweeper.swept:
		err = r.sweptUp(s)
	default:
	}
	if err == nil {
		r.sweep(ctx)
	}
	return err
}

// finish waits for the deletion under way and deletes the rest. What it can't is published again by the next owner, under the same ids.
func (r *Relay) finish(ctx context.Context) {
	s := &r.sweeper
	if s.sweeping {
		if err := r.sweptUp(<-s.swept); err != nil {
			r.cfg.Log.Debug("published rows stay for the next owner", "shard", r.cfg.Shard, "err", err)
		}
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), lastSweep)
	defer stop()
	for len(s.published) > 0 {
		n := min(len(s.published), sweptAtOnce)
		if err := r.delete(ctx, s.published[:n]); err != nil {
			r.cfg.Log.Debug("published rows stay for the next owner", "shard", r.cfg.Shard, "err", err)
			return
		}
		s.published = s.published[n:]
	}
}
