package detect

import (
	"context"

	"doorward/store"
)

// checkpoint is the state of the background checkpoint: all windows and identities, written a page with each commit while events go on.
// A crash in the middle leaves pages that no progress names; the next load finds and deletes them.
type checkpoint struct {
	recordBytes int // the most that one event changes in the windows
	since       int // bytes of deltas since the newest checkpoint began

	running bool
	start   uint64 // sequence at which it began; it is the checkpoint's number
	written uint32 // pages
	windows int    // pages of windows taken
	seen    uint64 // identity to go on from
	phase   int
	cleanup [][]byte // keys that the newest whole checkpoint has made useless
}

const (
	phaseWindows = iota
	phaseSeen
	phaseDone
)

// checkpointAfter is how many bytes of deltas there are before all of it is written anew: it bounds both the disk they take and the
// time a restart needs to read them.
const checkpointAfter = 64 << 20

// pagesPerCommit bounds what a checkpoint adds to one commit: 4 pages of about 256 KiB.
const pagesPerCommit = 4

// cleanupPerCommit is how many useless keys one commit deletes.
const cleanupPerCommit = 2000

// putPages adds the running checkpoint's next pages to a batch, begins a checkpoint when it is time, and returns what to do when the
// batch is in the store.
func (s *Shard) putPages(b *store.Batch) (stored func()) {
	c := &s.checkpoint
	if n := min(len(c.cleanup), cleanupPerCommit); n > 0 {
		b.Delete = append(b.Delete, c.cleanup[:n]...)
		c.cleanup = c.cleanup[n:]
	}
	if !c.running {
		if c.since < s.config.Checkpoint || len(c.cleanup) > 0 {
			return func() {}
		}
		*c = checkpoint{recordBytes: c.recordBytes, running: true, start: s.progress.Sequence, seen: s.evaluator.seen.oldest()}
	}
	for range pagesPerCommit {
		if c.phase == phaseDone {
			break
		}
		s.putPage(b)
	}
	if c.phase != phaseDone {
		return func() {}
	}
	s.progress.Checkpoint = c.start
	return func() {
		c.running = false
		s.findUseless()
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
	b.Put = append(b.Put, store.Pair{Key: pieceKey(store.KindCheckpoint, s.n, c.start, c.written), Value: piece(kind, s.progress.Layout, content)})
	c.written++
}

// findUseless lists what no load will read any more: pages of other checkpoints than the newest whole one, and the deltas up to its start.
// They are deleted a few with each commit; what a crash leaves is found again.
func (s *Shard) findUseless() {
	c, shard := &s.checkpoint, store.Shard(s.n)
	keep := func(k, _ []byte) bool {
		c.cleanup = append(c.cleanup, append([]byte(nil), k...))
		return true
	}
	pages := store.Key(store.KindCheckpoint, shard)
	newest := store.Key(store.KindCheckpoint, shard, s.progress.Checkpoint)
	for _, r := range [][2][]byte{
		{store.Key(store.KindDelta, shard), store.Key(store.KindDelta, shard, s.progress.Checkpoint+1)},
		{pages, newest},
		{store.After(newest), store.After(pages)},
	} {
		if err := s.config.Store.Scan(context.Background(), r[0], r[1], false, keep); err != nil {
			s.config.Log.Warn("old checkpoints stay a while longer", "shard", s.n, "problem", err)
		}
	}
}
