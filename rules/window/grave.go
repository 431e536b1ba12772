package window

import (
	"cmp"
	"slices"
)

// grave is a record across accounts as it was before slice at, in which it was evicted, or changed for the first time after a [jump].
// Others may still read this shard as of an earlier slice, and must see that record whether or not this shard has moved on; so it is kept
// for Ahead ticks.
type grave struct {
	id      id
	at      int64
	born    int64 // tick
	rec     []byte
	written bool // by a delta
}

// jump is how many slices a shard's clock may move at once before it counts as an idle shard's jump. A jump is one tick, a smaller step
// as many ticks as slices: readers lag by how long they take, not by how long the shard was idle. A window's rings, though, roll on with the
// slices; so for Ahead ticks after a jump a record keeps a copy of what it was before it.
const jump = Ahead / 2

// graves are kept in the order of their slices.
type graves struct {
	byID  map[id][]*grave // oldest first
	queue []*grave
	gone  int // how many have left the queue, so that pages can count them
	base  int // gone when the first page was written
	loose bool
}

func (g *graves) bury(d *grave) {
	for _, o := range g.byID[d.id] {
		if o.at == d.at {
			return // twice in a slice: the first is what earlier slices saw
		}
	}
	g.byID[d.id] = append(g.byID[d.id], d)
	g.queue = append(g.queue, d)
}

// asOf is the record as it was at slice s, if it has left or jumped since.
func (g *graves) asOf(h id, s int64) []byte {
	if len(g.queue) == 0 {
		return nil
	}
	for _, d := range g.byID[h] {
		if d.at > s {
			return d.rec
		}
	}
	return nil
}

// purge drops those that no reader can ask for any more at a tick.
func (g *graves) purge(tick int64) {
	n := 0
	for n < len(g.queue) && g.queue[n].born <= tick-Ahead {
		d := g.queue[n]
		if rest := g.byID[d.id][1:]; len(rest) > 0 {
			g.byID[d.id] = rest
		} else {
			delete(g.byID, d.id)
		}
		g.queue[n] = nil
		n++
	}
	g.queue = g.queue[n:]
	g.gone += n
}

func (g *graves) settle() {
	if !g.loose {
		return
	}
	g.loose = false
	slices.SortStableFunc(g.queue, func(a, b *grave) int { return cmp.Or(cmp.Compare(a.at, b.at), slices.Compare(a.id[:], b.id[:])) })
	for _, s := range g.byID {
		slices.SortStableFunc(s, func(a, b *grave) int { return cmp.Compare(a.at, b.at) })
	}
}
