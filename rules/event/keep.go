package event

import "unsafe"

// shared is b as a string, without a copy. It changes when b does.
func shared(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// How much room for strings is made at a time: little for a decoder that reads one event, more for one that reads on.
const (
	leastRoom = 64
	mostRoom  = 4 << 10
)

// room returns an empty slice to append a string to. Strings with escapes share a piece of memory, one behind the other, and nothing is
// ever written twice: they stay good as long as they are held.
func (s *scanner) room() []byte {
	if cap(s.spare) < leastRoom {
		s.chunk = min(max(2*s.chunk, leastRoom), mostRoom)
		s.spare = make([]byte, 0, s.chunk)
	}
	return s.spare
}

// keep makes a string of what was appended to room.
func (s *scanner) keep(b []byte) string {
	s.spare = b[len(b):]
	return shared(b)
}
