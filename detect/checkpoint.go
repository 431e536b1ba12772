package detect

import (
	"context"
	"fmt"

	"doorward/store"
)

// checkpoint is the state of the background checkpoint: all windows and identities, written a page at a time while events go on. A crash in
// the middle leaves pages that no progress names; the next load finds and deletes them.
type checkpoint struct {
	recordBytes int // the most that one act changes in the windows
	since       int // bytes of deltas since the newest checkpoint began

	running bool
	start   uint64 // sequence at which it began; it is the checkpoint's number
	written uint32 // pages
	windows int    // pages of windows taken
	seen    uint64 // identity to go on from
	phase   int
	due     int // bytes of pages that may be written now
	size    int // bytes of the pages so far
	last    int // of the checkpoint before; 0: unknown

	useless []store.Range // what the newest whole checkpoint has made useless
}

const (
	phaseWindows = iota
	phaseSeen
	phaseDone
)

// All of a shard's memory is written anew when the deltas since the last time have come to three quarters of that, and to least: so what is
// on the disk is bounded by what is in memory, and so is what a restart reads. While it is being written every byte of deltas brings three of
// pages, so that it is whole before a third as many deltas have come again, and no commit gets long.
const (
	leastDeltas   = 16 << 20
	pagesPerDelta = 3
	deltasOfPages = 4.0 / 3
	idlePages     = 1 << 20 // bytes of pages that an idle shard writes a second
	uselessAtOnce = 500     // keys of a range that one commit deletes
)

// checkpointIsDue reports whether a checkpoint is to begin.
func (s *Shard) checkpointIsDue() bool {
	c := &s.checkpoint
	if c.running || len(c.useless) > 0 {
		return false
	}
	if s.config.Checkpoint > 0 {
		return c.since >= s.config.Checkpoint
	}
	return c.since >= leastDeltas && float64(c.since)*deltasOfPages >= float64(c.last)
}

// putPages adds the running checkpoint's next pages to a batch with so many bytes of deltas, begins a checkpoint when it is time, and returns
// what to do when the batch is in the store.
func (s *Shard) putPages(b *store.Batch, deltas int) (stored func() error) {
	c := &s.checkpoint
	b.DeleteRange = append(b.DeleteRange, c.useless...)
	stored = s.lookForUseless
	if len(c.useless) == 0 {
		stored = func() error { return nil }
	}
	if s.checkpointIsDue() {
		*c = checkpoint{recordBytes: c.recordBytes, running: true, start: s.progress.Sequence, seen: s.evaluator.seen.oldest(), last: c.last}
	}
	if !c.running {
		return stored
	}
	c.due += pagesPerDelta * deltas
	for c.due > 0 && c.phase != phaseDone {
		s.putPage(b)
	}
	if c.phase != phaseDone {
		return stored
	}
	s.progress.Checkpoint = c.start
	return func() error {
		c.running, c.last = false, c.size
		return s.findUseless()
	}
}

// putPage adds one page.
func (s *Shard) putPage(b *store.Batch) {
	c := &s.checkpoint
	var content []byte
	var more bool
	kind := byte(pieceWindows)
	if c.phase == phaseWindows {
		content, more = s.evaluator.memory.Page(c.windows)
		c.windows++
	} else {
		kind = pieceSeen
		content, c.seen, more = s.evaluator.seen.page(c.seen)
	}
	if !more {
		c.phase++
	}
	if len(content) == 0 {
		return
	}
	c.size += len(content)
	c.due -= len(content)
	b.Put = append(b.Put, store.Pair{Key: pieceKey(store.KindCheckpoint, s.n, c.start, c.written), Value: piece(kind, s.progress.Layout, content)})
	c.written++
}

// findUseless notes what no load will read any more: pages of other checkpoints than the newest whole one, and the deltas up to its start.
// They are deleted some with each commit; what a crash leaves is found again.
func (s *Shard) findUseless() error {
	shard := store.Shard(s.n)
	pages := store.Key(store.KindCheckpoint, shard)
	newest := store.Key(store.KindCheckpoint, shard, s.progress.Checkpoint)
	s.checkpoint.useless = []store.Range{
		{From: store.Key(store.KindDelta, shard), To: store.Key(store.KindDelta, shard, s.progress.Checkpoint+1), Most: uselessAtOnce},
		{From: pages, To: newest, Most: uselessAtOnce},
		{From: store.After(newest), To: store.After(pages), Most: uselessAtOnce},
	}
	return s.lookForUseless()
}

// lookForUseless finds where what is left of each range begins.
func (s *Shard) lookForUseless() error {
	left := s.checkpoint.useless[:0]
	for _, r := range s.checkpoint.useless {
		var first []byte
		err := s.config.Store.Scan(context.Background(), r.From, r.To, false, func(key, _ []byte) bool {
			first = append(first, key...)
			return false
		})
		if err != nil {
			return fmt.Errorf("look for old checkpoints: %w", err)
		}
		if first != nil {
			r.From = first
			left = append(left, r)
		}
	}
	s.checkpoint.useless = left
	return nil
}
