package badger

import (
	"cmp"
	"fmt"
	"os"

	"doorward/store"
)

// The disk that bulk values take is bounded: a segment goes when nothing in it has a name, and where segments live on for a few values,
// because one shard is slower than the others, those are written again. Beside the live bytes there are at most as many dead ones again
// and slackSegments segments more.
const slackSegments = 4

// moveAtOnce bounds the values that are moved in one transaction, in bytes.
const moveAtOnce = 4 << 20

// BulkStats are the bytes of bulk values.
type BulkStats struct {
	Live    int64  // that records name
	Disk    int64  // that the segments take
	Written uint64 // since the store was opened
	Moved   uint64 // of these, values that were written again so that a segment could go
}

// Bulk tells how much the bulk values take.
func (d *DB) Bulk() (s BulkStats) {
	if d.bulk == nil {
		return s
	}
	k := d.bulk
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, g := range k.segments {
		s.Live += g.live
		s.Disk += g.size
	}
	s.Written, s.Moved = k.written, k.moved
	return s
}

// enter keeps every segment that is there now until leave. It comes before the snapshot begins.
func (k *bulk) enter() (leave func()) {
	if k == nil {
		return func() {}
	}
	k.mu.Lock()
	at := k.clock
	k.reading[at]++
	k.mu.Unlock()
	return func() {
		k.mu.Lock()
		if k.reading[at]--; k.reading[at] == 0 {
			delete(k.reading, at)
		}
		k.mu.Unlock()
	}
}

// settle counts what a transaction that is on disk made of the bulk records.
func (k *bulk) settle(applied []*request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.clock++
	for _, r := range applied {
		switch {
		case r.move != nil:
			k.settleMove(r)
		case r.batch != nil:
			k.settleBatch(r)
		}
	}
}

func (k *bulk) settleBatch(r *request) {
	for _, key := range r.batch.Delete {
		k.release(key)
	}
	for _, key := range r.ranged {
		k.release(key)
	}
	for i, p := range r.batch.Put {
		k.release(p.Key)
		if r.refs != nil && r.refs[i].length > 0 {
			k.name(string(p.Key), r.refs[i])
		}
	}
}

func (k *bulk) settleMove(r *request) {
	for i, key := range r.move.keys {
		if !r.move.gone[i] {
			k.release(key)
			k.name(string(key), r.refs[i])
			k.moved += uint64(r.refs[i].length)
		}
	}
}

func (k *bulk) name(key string, r ref) {
	k.live[key] = r
	k.segments[r.segment].live += int64(r.length)
}

func (k *bulk) release(key []byte) {
	if !store.Bulk(key[0]) {
		return
	}
	r, ok := k.live[string(key)]
	if !ok {
		return
	}
	delete(k.live, string(key))
	if s := k.segments[r.segment]; s != nil {
		s.live -= int64(r.length)
	}
}

// unpin says that a request is answered: only records hold its segment from now on.
func (k *bulk) unpin(r *request) {
	if r.pinned == nil {
		return
	}
	k.mu.Lock()
	r.pinned.pins--
	k.mu.Unlock()
	r.pinned = nil
}

// sweep removes the segments in which nothing is named, as far as no reader can still hold a name, and picks the one to empty when the
// others take too much.
func (k *bulk) sweep() (victim *segment, err error) {
	k.mu.Lock()
	oldest := k.clock
	for at := range k.reading {
		oldest = min(oldest, at)
	}
	var gone []*segment
	for n, s := range k.segments {
		if !s.sealed || s.live > 0 || s.pins > 0 {
			continue
		}
		if s.dead == 0 {
			s.dead = k.clock
		}
		if s.dead <= oldest {
			delete(k.segments, n)
			gone = append(gone, s)
		}
	}
	if !k.moving {
		victim = k.emptiest()
	}
	k.mu.Unlock()
	for _, s := range gone {
		if e := cmp.Or(os.Remove(s.file.Name()), s.file.Close()); e != nil {
			err = fmt.Errorf("removing a bulk segment: %w", e)
		}
	}
	return victim, err
}

// emptiest is the sealed segment with the fewest named bytes, when all of them together take more than they may.
func (k *bulk) emptiest() (victim *segment) {
	var live, disk int64
	for _, s := range k.segments {
		live += s.live
		disk += s.size
		if s.sealed && !s.stuck && s.live > 0 && (victim == nil || s.live < victim.live) {
			victim = s
		}
	}
	if disk <= 2*live+slackSegments*k.capacity || victim == nil || 2*victim.live > victim.size {
		return nil
	}
	return victim
}

// move is a part of a segment's values on their way to another.
type move struct {
	from *segment
	keys [][]byte
	refs []ref  // as they were when the move was made
	gone []bool // no longer named so when the committer came to it
}

// moveOf gathers values of a segment to move. It is the committer's, like live.
func (k *bulk) moveOf(from *segment) *request {
	m := &move{from: from}
	r := &request{move: m, shard: store.NoShard, pages: true, done: make(chan answer, 1)}
	for key, at := range k.live {
		if at.segment != from.number || r.bulk >= moveAtOnce {
			continue
		}
		m.keys, m.refs = append(m.keys, []byte(key)), append(m.refs, at)
		r.keys++
		r.bytes += int64(len(key) + refSize + perKey)
		r.bulk += int64(at.length)
	}
	m.gone = make([]bool, len(m.keys))
	return r
}

func (k *bulk) moveBegun() {
	k.mu.Lock()
	k.moving = true
	k.mu.Unlock()
}

// copyValues reads the values of a move and puts them where they go.
func (k *bulk) copyValues(m *move, put func(key, value []byte) (ref, error)) (refs []ref, err error) {
	refs = make([]ref, len(m.keys))
	var buf []byte
	for i, key := range m.keys {
		if buf, err = k.read(key, m.refs[i], buf); err != nil {
			return nil, err
		}
		if refs[i], err = put(key, buf); err != nil {
			return nil, err
		}
	}
	return refs, nil
}

// moveDone lets the next move begin; one that failed is not tried again, its segment stays until its values lose their names.
func (k *bulk) moveDone(r *request, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.moving = false
	if err != nil {
		r.move.from.stuck = true
	}
}
