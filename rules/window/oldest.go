package window

import (
	"bytes"
	"cmp"
	"math"
	"slices"
)

// oldest gives the least recently changed record, which is the one with the least stamp: a growing sequence stamps every change, so the
// order of changes need not be kept as they happen. Of a large table it looks for a few thousand of the least stamps at once; a record that
// is changed later has a greater one than all of them, so the first that still has its stamp is the least of all. Equal stamps, which a
// growing sequence never makes within a key, go by hash.
type oldest struct {
	queue  []aged
	sample []uint64
}

type aged struct {
	stamp uint64
	id    id
}

// sampled is how many records are asked to guess which stamps are low.
const sampled = 512

func (o *oldest) forget() { o.queue = nil }

// next gives the ref of the record to leave. There must be one.
func (o *oldest) next(t *table) uint32 {
	for {
		for len(o.queue) > 0 {
			a := o.queue[0]
			o.queue = o.queue[1:]
			if ref, ok := t.find(&a.id); ok && stamp(t.rec(ref)) == a.stamp {
				return ref
			}
		}
		o.fill(t)
	}
}

func (o *oldest) fill(t *table) {
	limit := o.guess(t)
	o.queue = o.queue[:0:0]
	t.live(0, len(t.slabs), func(rec []byte) {
		if s := stamp(rec); s <= limit {
			o.queue = append(o.queue, aged{s, id(rec[:16])})
		}
	})
	slices.SortFunc(o.queue, func(a, b aged) int {
		if c := cmp.Compare(a.stamp, b.stamp); c != 0 {
			return c
		}
		return bytes.Compare(a.id[:], b.id[:])
	})
}

// guess is a stamp that about a thirty-second of the records are not above. It only says how many are looked for at once, not which leaves.
func (o *oldest) guess(t *table) uint64 {
	if t.len() < 16*sampled {
		return math.MaxUint64
	}
	o.sample = o.sample[:0]
	for _, s := range t.index.segments {
		for i := 0; i < len(s.words) && len(o.sample) < 64*sampled; i += max(1, len(s.words)*len(t.index.segments)/(4*sampled)) {
			if w := s.words[i]; w != 0 {
				o.sample = append(o.sample, stamp(t.rec(uint32(w)-1)))
			}
		}
	}
	if len(o.sample) == 0 {
		return math.MaxUint64
	}
	slices.Sort(o.sample)
	return o.sample[len(o.sample)/32]
}
