package badger

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"doorward/store"

	badgerdb "github.com/dgraph-io/badger/v4"
)

// request is a batch, or a claim, that waits for the committer.
type request struct {
	batch *store.Batch // nil for a claim
	shard int
	owner string

	bytes, keys int64 // what it takes of a transaction, at most
	state       atomic.Int32
	done        chan answer
}

// A request is queued until the committer takes it or its maker withdraws it; whoever is first wins, so that a cancelled commit is
// either certainly not applied or answered as it went.
const (
	queued int32 = iota
	taken
	withdrawn
)

func (r *request) take() bool {
	return r.state.CompareAndSwap(queued, taken) || r.state.Load() == taken
}

type answer struct {
	positions []uint64
	epoch     uint64
	err       error
}

// counters are what the committer did.
type counters struct{ groups, batches, refused atomic.Uint64 }

// Stats says how well commits are grouped.
type Stats struct {
	Groups  uint64 // transactions synced
	Batches uint64 // batches and claims that were applied in them
	Refused uint64 // batches that were fenced or met a conflict
}

// Stats returns the counts since the store was opened.
func (d *DB) Stats() Stats {
	return Stats{Groups: d.stats.groups.Load(), Batches: d.stats.batches.Load(), Refused: d.stats.refused.Load()}
}

// Commit implements store.Engine. A cancelled ctx is answered with its error only when the batch was withdrawn before the committer took
// it, so nothing was applied; otherwise the outcome is told. Errors other than ErrBroken leave nothing applied.
func (d *DB) Commit(ctx context.Context, b *store.Batch) ([]uint64, error) {
	r := &request{batch: b, shard: b.Shard, done: make(chan answer, 1)}
	if err := r.measure(); err != nil {
		return nil, err
	}
	a := d.submit(ctx, r)
	return a.positions, a.err
}

// Claim implements store.Engine.
func (d *DB) Claim(ctx context.Context, shard int, owner string) (uint64, error) {
	if err := validShard(shard); err != nil {
		return 0, err
	}
	r := &request{shard: shard, owner: owner, bytes: int64(len(owner)) + 16 + perKey, keys: 1, done: make(chan answer, 1)}
	a := d.submit(ctx, r)
	return a.epoch, a.err
}

func (d *DB) submit(ctx context.Context, r *request) answer {
	if err := ctx.Err(); err != nil {
		return answer{err: err}
	}
	if err := d.guard.allow(r.bytes); err != nil {
		return answer{err: err}
	}
	if err := d.queue(ctx, r); err != nil {
		return answer{err: err}
	}
	select {
	case a := <-r.done:
		return a
	case <-ctx.Done():
		if r.state.CompareAndSwap(queued, withdrawn) {
			return answer{err: ctx.Err()}
		}
		return <-r.done
	}
}

func (d *DB) queue(ctx context.Context, r *request) error {
	d.intake.RLock()
	defer d.intake.RUnlock()
	if d.closing {
		return store.ErrClosed
	}
	select {
	case d.requests <- r:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// committer is the one goroutine that writes. While it waits for the disk, requests gather; it takes all of them at once.
func (d *DB) committer() {
	var waiting []*request
	for {
		if len(waiting) == 0 {
			r, open := <-d.requests
			if !open {
				return
			}
			waiting = append(waiting, r)
		}
		waiting = d.gather(waiting)
		waiting = d.commitGroup(waiting)
	}
}

func (d *DB) gather(waiting []*request) []*request {
	for len(waiting) < cap(d.requests) {
		select {
		case r, open := <-d.requests:
			if !open {
				return waiting
			}
			waiting = append(waiting, r)
		default:
			return waiting
		}
	}
	return waiting
}

// commitGroup applies as many of the waiting requests as one transaction takes, and returns the rest. A crash before Commit returns
// leaves nothing or, with the log already synced, all of the group, of which nobody was told: both are what Commit promises.
func (d *DB) commitGroup(waiting []*request) (rest []*request) {
	if d.broken != nil { // only this goroutine sets it
		for _, r := range waiting {
			r.done <- answer{err: d.broken}
		}
		return nil
	}
	g := newGroup(d.b.NewTransaction(true))
	defer g.txn.Discard()
	for i, r := range waiting {
		if !g.fits(r) {
			rest = append(rest, waiting[i:]...)
			break
		}
		if !r.take() {
			continue
		}
		if err := g.apply(r); err != nil {
			// The transaction holds half of r. Nothing was sent, so the others begin anew without it.
			r.done <- answer{err: fmt.Errorf("writing a batch: %w", err)}
			return append(g.requests(), waiting[i+1:]...)
		}
	}
	if err := d.flush(g); err != nil {
		for _, j := range g.judged {
			if j.answer.err == nil {
				j.answer = answer{err: err}
			}
		}
	}
	for _, j := range g.judged {
		d.count(j.answer.err)
		j.request.done <- j.answer
	}
	return rest
}

func (d *DB) count(err error) {
	if err == nil {
		d.stats.batches.Add(1)
	} else {
		d.stats.refused.Add(1)
	}
}

// flush puts the group on disk.
func (d *DB) flush(g *group) error {
	if !g.writes {
		return nil
	}
	if d.numbers != nil {
		if err := d.numbers.put(g.txn); err != nil {
			return fmt.Errorf("numbering a commit: %w", err)
		}
	}
	d.commit.Lock()
	defer d.commit.Unlock()
	err := g.txn.Commit()
	switch {
	case err == nil:
		d.stats.groups.Add(1)
		if d.numbers != nil {
			d.numbers.acknowledge()
		}
		return nil
	case errors.Is(err, badgerdb.ErrTxnTooBig), errors.Is(err, badgerdb.ErrBlockedWrites), errors.Is(err, badgerdb.ErrDBClosed):
		return fmt.Errorf("committing: %w", err) // Badger says so before it writes anything
	}
	d.broken = fmt.Errorf("%w (%w); restart doorward, and look at the disk of %s", ErrBroken, err, d.dir)
	d.log.Error("a write failed, the store stops until it is opened again", "dir", d.dir, "err", err)
	return d.broken
}
