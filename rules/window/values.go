package window

import (
	"doorward/rules/event"
	"doorward/rules/geo"
)

// occasion is an event as windows of a key take it: at in ms of event time and now the account's newest, or both the slice.
type occasion struct {
	event   *event.Event
	place   *geo.Place
	timing  Timing
	at, now int64
	values  *values
}

// value is the hash of the event's value of c's field, 0: none.
func (o *occasion) value(c *cell) uint32 { return o.values.of(c.field) }

// values hashes an event's fields once, when they are first asked for.
type values struct {
	source
	hash  hasher
	read  []func(*source) string
	h     []uint32
	ready []bool
}

func (v *values) of(field int) uint32 {
	if !v.ready[field] {
		v.ready[field], v.h[field] = true, 0
		if s := v.read[field](&v.source); s != "" {
			v.h[field] = v.hash.short(s)
		}
	}
	return v.h[field]
}
