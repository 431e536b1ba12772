package window

import (
	"encoding/binary"
	"math"

	"doorward/rules/geo"
)

// Speed and distance between this event's place and the last known one before it, among the spec's types. An event without a place leaves
// the last one as it is, so that hiding the place between two logins hides no journey. Late events neither move it nor are measured.
const (
	minJourney = 1.0       // km; nearer is the same place: addresses are not located better
	minTime    = 60 * 1000 // ms; the least time in the divisor, so that two logins at once are fast, not infinite
	microdeg   = 1e6       // places are kept in microdegrees, 0.1 m
)

var speedKind = kind{funcs: []Func{Speed, Distance},
	size: func(c *cell) { c.fixed(16) },
	observe: func(w *opened, o *occasion, c *cell) (n note) {
		if o.timing != OnTime || !o.place.HasPoint {
			return n
		}
		b := w.ready(c, 16)
		if before := millis(b); before >= 0 {
			n.ok = true
			n.x = geo.Kilometres(geo.Place{Lat: degrees(b[8:]), Lon: degrees(b[12:]), HasPoint: true}, *o.place)
			n.y = n.x / (float64(max(minTime, o.at-before)) / 3_600_000)
			if n.x < minJourney {
				n.y = 0
			}
		}
		putMillis(b, o.at)
		putDegrees(b[8:], o.place.Lat)
		putDegrees(b[12:], o.place.Lon)
		return n
	},
	read: func(_ []byte, _ *occasion, _ *cell, n note, f Func) float64 {
		if f == Distance {
			return n.x
		}
		return n.y
	},
}

func degrees(b []byte) float64 { return float64(int32(binary.LittleEndian.Uint32(b))) / microdeg }

func putDegrees(b []byte, d float64) {
	binary.LittleEndian.PutUint32(b, microdegrees(d))
}

func microdegrees(d float64) uint32 {
	return uint32(int32(math.Round(max(-360, min(360, d)) * microdeg)))
}
