package window

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// A trace is the slices in which something happened, as far as a reader of any slice up to [Ahead] ago can ask: the newest, which of the
// 63 before it, and the newest before those. From it, "the newest up to s" is exact for every s >= newest - Ahead.
const traceSize = 4 + 8 + 4 // newest, bitmap (bit k: newest - k), before

func traceNewest(b []byte) int64 { return seconds(b) }

// traceAdd notes slice at, which is never older than the newest.
func traceAdd(b []byte, at int64) {
	newest, seen := seconds(b), binary.LittleEndian.Uint64(b[4:])
	if newest < 0 {
		putSeconds(b, at)
		binary.LittleEndian.PutUint64(b[4:], 1)
		return
	}
	d := at - newest
	switch {
	case d <= 0:
		return
	case d < Ahead:
		if out := seen >> (Ahead - d); out != 0 {
			putSeconds(b[12:], newest-(Ahead-d)-int64(bits.TrailingZeros64(out)))
		}
		seen = seen<<d | 1
	default:
		putSeconds(b[12:], newest)
		seen = 1
	}
	putSeconds(b, at)
	binary.LittleEndian.PutUint64(b[4:], seen)
}

// traceAsOf is the newest slice up to s, -1: none.
func traceAsOf(b []byte, s int64) int64 {
	newest := seconds(b)
	if newest <= s {
		return newest
	}
	d := newest - s
	if d < Ahead {
		if m := binary.LittleEndian.Uint64(b[4:]) >> d; m != 0 {
			return s - int64(bits.TrailingZeros64(m))
		}
	}
	if before := seconds(b[12:]); before <= s {
		return before
	}
	return -1
}

// countDistinct counts the different values of s, which it may reorder.
func countDistinct(s []uint32) int {
	slices.Sort(s)
	return len(slices.Compact(s))
}
