package baseline

import (
	"encoding/binary"
	"math"
	"slices"
)

// recordSize is an account's record: 552 bytes, as that of the prototype which the budget comes from.
const recordSize = 552

// record is what is remembered of an account: rings of ten minutes, of a day and of a month, recent devices, addresses and payees, places.
type record struct {
	last, first int64 // unix ms
	lat, lon    float32
	failed      [10]uint16 // wrong passwords by minute
	logins      [24]uint16 // by hour
	payments    [24]uint16 // by hour
	sums        [24]uint64 // minor units by hour
	days        [30]uint16 // events by day
	devices     [16]uint32 // hashes, newest first
	addresses   [16]uint32
	payees      [6]uint32
	events      uint32
	resets      uint32
}

func (r *record) encode(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(b, uint64(r.last))
	b = le.AppendUint64(b, uint64(r.first))
	b = le.AppendUint32(b, math.Float32bits(r.lat))
	b = le.AppendUint32(b, math.Float32bits(r.lon))
	for _, ring := range [][]uint16{r.failed[:], r.logins[:], r.payments[:], r.days[:]} {
		for _, n := range ring {
			b = le.AppendUint16(b, n)
		}
	}
	for _, n := range r.sums {
		b = le.AppendUint64(b, n)
	}
	for _, set := range [][]uint32{r.devices[:], r.addresses[:], r.payees[:]} {
		for _, n := range set {
			b = le.AppendUint32(b, n)
		}
	}
	b = le.AppendUint32(b, r.events)
	return le.AppendUint32(b, r.resets)
}

func (r *record) decode(b []byte) {
	if len(b) != recordSize {
		panic("baseline: a record has one size, and nobody else writes to this store")
	}
	le := binary.LittleEndian
	at := 0
	u64 := func() uint64 { at += 8; return le.Uint64(b[at-8:]) }
	u32 := func() uint32 { at += 4; return le.Uint32(b[at-4:]) }
	r.last, r.first = int64(u64()), int64(u64())
	r.lat, r.lon = math.Float32frombits(u32()), math.Float32frombits(u32())
	for _, ring := range [][]uint16{r.failed[:], r.logins[:], r.payments[:], r.days[:]} {
		for i := range ring {
			at += 2
			ring[i] = le.Uint16(b[at-2:])
		}
	}
	for i := range r.sums {
		r.sums[i] = u64()
	}
	for _, set := range [][]uint32{r.devices[:], r.addresses[:], r.payees[:]} {
		for i := range set {
			set[i] = u32()
		}
	}
	r.events, r.resets = u32(), u32()
}

// Times of the rings, ms.
const (
	minute = 60_000
	hour   = 60 * minute
	day    = 24 * hour
)

// move empties the parts of the rings that have passed.
func (r *record) move(now int64) {
	turn(r.failed[:], r.last/minute, now/minute)
	turn(r.logins[:], r.last/hour, now/hour)
	turn(r.payments[:], r.last/hour, now/hour)
	turn(r.sums[:], r.last/hour, now/hour)
	turn(r.days[:], r.last/day, now/day)
	r.last = max(r.last, now)
}

func turn[T uint16 | uint64](ring []T, from, to int64) {
	for n := int64(len(ring)); from < to && n > 0; n-- {
		from++
		ring[from%int64(len(ring))] = 0
	}
}

func total[T uint16 | uint64](ring []T) (sum float64) {
	for _, n := range ring {
		sum += float64(n)
	}
	return sum
}

// remember puts a hash in front of a set and reports whether it was there.
func remember(set []uint32, h uint32) bool {
	at := slices.Index(set, h)
	if at < 0 {
		copy(set[1:], set)
		set[0] = h
		return false
	}
	copy(set[1:at+1], set[:at])
	set[0] = h
	return true
}
