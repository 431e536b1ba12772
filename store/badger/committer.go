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
	batch *store.Batch // nil for a claim and a move
	shard int
	owner string
	move  *move // the engine's own: values that go to another segment

	bytes, keys int64 // what it takes of a transaction, at most
	bulk        int64 // bytes of its values that go to a segment first
	pages       bool  // checkpoint pages among them
	state       atomic.Int32
	done        chan answer

	// What became of its bulk values, once their writer is done with them.
	refs   []ref      // for each put, or each key of the move
	pinned *segment   // where they lie
	failed error      // why they lie nowhere
	unsafe bool       // failed is a sync's error: nothing that follows can be trusted
	with   []*request // written in the same round; they come along

	ranged [][]byte // bulk keys that its ranges deleted
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
	if d.bulk != nil {
		r.measureBulk()
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
	if err := d.guard.allow(r.bytes + r.bulk); err != nil {
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
	to := d.requests
	switch {
	case r.pages:
		to = d.pages.in
	case r.bulk > 0:
		to = d.deltas.in
	}
	select {
	case to <- r:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// roundBytes bounds what one sync of bulk values waits for: a few commits of every shard.
const roundBytes = 16 << 20

// write puts the bulk values of a stream on disk before the committer sees their requests, so that the disk writes the next ones while
// Badger commits the last, and a request without any waits for none. A crash in between leaves values that nobody names.
func (d *DB) write(s *stream) {
	for r := range s.in {
		round, size := []*request{r}, r.bulk
	gather:
		for size < roundBytes {
			select {
			case r, open := <-s.in:
				if !open {
					break gather
				}
				round, size = append(round, r), size+r.bulk
			default:
				break gather
			}
		}
		if err := s.write(round); err != nil {
			for _, r := range round {
				r.failed, r.unsafe = err, true
			}
		}
		r.with = round[1:]
		d.requests <- r
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
			waiting = append(append(waiting, r), r.with...)
		}
		waiting = d.gather(waiting)
		waiting = d.commitGroup(waiting)
		d.sweep()
	}
}

// sweep removes bulk segments that are done with, and has the values of one that is nearly so moved.
func (d *DB) sweep() {
	if d.bulk == nil || d.broken != nil {
		return
	}
	victim, err := d.bulk.sweep()
	if err != nil {
		d.log.Warn("old bulk values stay on the disk", "dir", d.dir, "err", err)
	}
	if victim == nil {
		return
	}
	r := d.bulk.moveOf(victim)
	d.intake.RLock()
	defer d.intake.RUnlock()
	if d.closing || d.guard.allow(r.bytes+r.bulk) != nil {
		return
	}
	select {
	case d.pages.in <- r:
		d.bulk.moveBegun()
	default: // busy; there will be another time
	}
}

func (d *DB) gather(waiting []*request) []*request {
	for len(waiting) < cap(d.requests) {
		select {
		case r, open := <-d.requests:
			if !open {
				return waiting
			}
			waiting = append(append(waiting, r), r.with...)
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
			d.answer(r, answer{err: d.broken})
		}
		return nil
	}
	g := newGroup(d.b.NewTransaction(true), d.bulk, d.absent)
	defer g.txn.Discard()
	for i, r := range waiting {
		if r.failed != nil {
			if r.unsafe {
				d.commit.Lock()
				d.breakDown(r.failed)
				d.commit.Unlock()
				return append(g.requests(), waiting[i:]...)
			}
			d.answer(r, answer{err: fmt.Errorf("writing a batch: %w", r.failed)})
			continue
		}
		if !g.fits(r) {
			rest = append(rest, waiting[i:]...)
			break
		}
		if !r.take() {
			d.bulk.unpin(r)
			continue
		}
		if err := g.apply(r); err != nil {
			// The transaction holds half of r. Nothing was sent, so the others begin anew without it.
			d.answer(r, answer{err: fmt.Errorf("writing a batch: %w", err)})
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
		d.answer(j.request, j.answer)
	}
	return rest
}

// answer ends a request.
func (d *DB) answer(r *request, a answer) {
	if d.bulk != nil {
		d.bulk.unpin(r)
		if r.move != nil {
			d.bulk.moveDone(r, a.err)
			if a.err != nil {
				d.log.Warn("bulk values could not be moved and keep their segment", "dir", d.dir, "err", a.err)
			}
		}
	}
	r.done <- a
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
	if err := d.guard.now(); err != nil { // the requests may have waited while a neighbour filled the disk
		return err
	}
	if d.numbers != nil {
		if err := d.numbers.put(g.txn); err != nil {
			return fmt.Errorf("numbering a commit: %w", err)
		}
	}
	if err := d.commitTxn(g.txn); err != nil {
		return err
	}
	d.stats.groups.Add(1)
	if d.numbers != nil {
		d.numbers.acknowledge()
	}
	if d.bulk != nil {
		d.bulk.settle(g.applied())
	}
	return nil
}

func (d *DB) commitTxn(txn *badgerdb.Txn) error {
	d.commit.Lock()
	defer d.commit.Unlock()
	err := txn.Commit()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, badgerdb.ErrTxnTooBig), errors.Is(err, badgerdb.ErrBlockedWrites), errors.Is(err, badgerdb.ErrDBClosed):
		return fmt.Errorf("committing: %w", err) // Badger says so before it writes anything
	}
	return d.breakDown(err)
}

// breakDown stops the engine; commit is held.
func (d *DB) breakDown(err error) error {
	d.broken = fmt.Errorf("%w (%w); restart doorward, and look at the disk of %s", ErrBroken, err, d.dir)
	d.log.Error("a write failed, the store stops until it is opened again", "dir", d.dir, "err", err)
	return d.broken
}
