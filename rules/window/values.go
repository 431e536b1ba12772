package window

import (
	"slices"

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

// values hashes an event's keys and fields once each, when they are first asked for. A field that is a key too has its hash.
type values struct {
	source
	hash  hasher
	read  []func(*source) string
	keyed []int // by field: the key it is, -1: none
	h     []uint32
	ready []uint32 // round in which h was made
	round uint32   // of the event
	keys  *hashed  // of the event
	own   hashed   // room for one that nobody has looked ahead to
}

// hashed is the hashes of an event's keys.
type hashed struct {
	event *event.Event
	has   byte // a bit for each key that the event has
	made  byte // a bit for each of them that is in ids
	ids   [keyCount]id
}

// keyFields are the fields whose values are keys, by position in Keys.
var keyFields = [keyCount]string{"account", "ip", "network", "device", "counterparty", "instrument"}

const keyCount = 6

func newValues(h hasher, fields []string) values {
	v := values{hash: h, h: make([]uint32, len(fields)), ready: make([]uint32, len(fields))}
	for _, f := range fields {
		v.read = append(v.read, fieldOf(f))
		v.keyed = append(v.keyed, slices.Index(keyFields[:], f))
	}
	return v
}

// set goes on to an event; keys are its hashes where somebody has looked ahead to it, else nil.
func (v *values) set(e *event.Event, p *geo.Place, keys *hashed) {
	v.source.set(e, p)
	v.turn()
	if v.keys = keys; keys == nil {
		v.keys = &v.own
		v.own.of(&v.source)
	}
}

// of begins with the event of s.
func (h *hashed) of(s *source) {
	h.event, h.has, h.made = s.event, 0, 0
	for k := range Keys {
		if keyText(Keys[k], s) != "" || len(keyBytes(Keys[k], s)) > 0 {
			h.has |= 1 << k
		}
	}
}

// turn forgets the hashes of the event before.
func (v *values) turn() {
	if v.round++; v.round == 0 {
		clear(v.ready)
		v.round = 1
	}
}

func (v *values) of(field int) uint32 {
	if v.ready[field] == v.round {
		return v.h[field]
	}
	v.ready[field], v.h[field] = v.round, 0
	if k := v.keyed[field]; k >= 0 {
		if v.has(k) {
			v.h[field] = v.id(k).short()
		}
	} else if s := v.read[field](&v.source); s != "" {
		v.h[field] = v.hash.short(s)
	}
	return v.h[field]
}

// has reports whether the event has such a key.
func (v *values) has(k int) bool { return v.keys.has>>k&1 != 0 }

// id is the hash of a key of the event.
func (v *values) id(k int) *id {
	h := v.keys
	if h.made>>k&1 == 0 {
		h.made |= 1 << k
		if b := keyBytes(Keys[k], &v.source); len(b) > 0 {
			h.ids[k] = sum(v.hash, b)
		} else {
			h.ids[k] = v.hash.sum(keyText(Keys[k], &v.source))
		}
	}
	return &h.ids[k]
}
