package detect

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"doorward/rules/event"
)

// repeatsKept is how many identities a shard remembers, to know a repeat (EVENTS.md, "Repeats": the last million of its partition).
const repeatsKept = 1 << 20

// seen knows the identities of a shard's last events by a keyed 64-bit hash: a repeat among them is certain to be known; a new event is
// taken for a repeat with a chance of one in 2^44, and nobody without the key can make one.
type seen struct {
	key   [16]byte
	kept  uint64
	ring  []uint64 // identity number n is at n % kept; grows up to that
	index hashes   // what is in the ring
	count uint64   // identities added since the beginning
	fresh []uint64
	text  []byte // room for what is hashed

	ahead   []hashed
	next    int    // in ahead
	touched uint64 // so that reading is not left out
}

type hashed struct {
	event *event.Event
	hash  uint64
}

func newSeen(key [16]byte, kept int) *seen {
	return &seen{key: key, kept: uint64(kept), index: newHashes()}
}

// hash is the keyed hash of an event's identity; it is never 0.
func (s *seen) hash(e *event.Event) uint64 {
	b := append(s.text[:0], s.key[:]...)
	b = append(b, e.Source...)
	b = append(b, 0)
	b = append(b, e.ID...)
	sum := sha256.Sum256(b)
	s.text = b
	return max(1, binary.BigEndian.Uint64(sum[:]))
}

// lookAhead brings near what add will want for events that come in this order: see window.Memory.Warm. It keeps their hashes.
func (s *seen) lookAhead(events []*event.Event) {
	s.ahead = s.ahead[:0]
	for _, e := range events {
		s.ahead = append(s.ahead, hashed{e, s.hash(e)})
	}
	s.next = 0
	touched := uint64(0)
	for i := range s.ahead { // a loop of its own, so that the processor waits for many at once
		touched += s.index.words[s.index.home(s.ahead[i].hash)]
	}
	if len(s.ring) == int(s.kept) { // what will leave
		for i := range s.ahead {
			touched += s.index.words[s.index.home(s.ring[(s.count+uint64(i))%s.kept])]
		}
	}
	s.touched = touched
}

// of is the hash of an event, at hand when it was looked ahead to.
func (s *seen) of(e *event.Event) uint64 {
	for ; s.next < len(s.ahead); s.next++ { // the ones between were not to be taken
		if a := s.ahead[s.next]; a.event == e {
			return a.hash
		}
	}
	return s.hash(e)
}

// add remembers h and reports whether it was known.
func (s *seen) add(h uint64) (repeat bool) {
	if s.index.has(h) {
		return true
	}
	s.put(h)
	s.fresh = append(s.fresh, h)
	return false
}

func (s *seen) put(h uint64) {
	at := int(s.count % s.kept)
	if at == len(s.ring) {
		s.ring = append(s.ring, h)
	} else {
		s.index.remove(s.ring[at])
		s.ring[at] = h
	}
	s.index.add(h)
	s.count++
}

// dirty appends what was added since the last call: the number of the first identity, how many, then each.
func (s *seen) dirty(dst []byte) []byte {
	dst = encodeSeen(dst, s.count-uint64(len(s.fresh)), s.fresh)
	s.fresh = s.fresh[:0]
	return dst
}

// seenPage is how many identities a checkpoint's page holds: 256 KiB.
const seenPage = 32 << 10

// oldest is the number of the oldest identity remembered: where a checkpoint starts.
func (s *seen) oldest() uint64 { return s.count - uint64(len(s.ring)) }

// page holds the identities from number from on, and where the next page starts; more is false when there is none. What was added
// after a checkpoint began is in deltas too, which does no harm.
func (s *seen) page(from uint64) (page []byte, next uint64, more bool) {
	from = max(from, s.oldest())
	next = min(from+seenPage, s.count)
	hashes := make([]uint64, 0, next-from)
	for n := from; n < next; n++ {
		hashes = append(hashes, s.ring[n%s.kept])
	}
	return encodeSeen(nil, from, hashes), next, next < s.count
}

func encodeSeen(dst []byte, first uint64, hashes []uint64) []byte {
	dst = binary.BigEndian.AppendUint64(dst, first)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(hashes)))
	for _, h := range hashes {
		dst = binary.BigEndian.AppendUint64(dst, h)
	}
	return dst
}

// seenLoad gathers pages and deltas, in any order, into what a seen held.
type seenLoad struct {
	kept    uint64
	numbers []uint64 // the number of the identity in each slot, plus one
	hashes  []uint64
	count   uint64
}

func (l *seenLoad) take(b []byte) error {
	if len(b) < 12 || (len(b)-12)%8 != 0 || int(binary.BigEndian.Uint32(b[8:])) != (len(b)-12)/8 {
		return errors.New("identities of a checkpoint or delta are damaged")
	}
	first := binary.BigEndian.Uint64(b)
	for i := 12; i < len(b); i += 8 {
		n := first + uint64(i-12)/8
		at := int(n % l.kept)
		for at >= len(l.numbers) {
			l.numbers, l.hashes = append(l.numbers, 0), append(l.hashes, 0)
		}
		if n+1 > l.numbers[at] {
			l.numbers[at], l.hashes[at] = n+1, binary.BigEndian.Uint64(b[i:])
		}
		l.count = max(l.count, n+1)
	}
	return nil
}

// into fills s with the last identities, oldest first.
func (l *seenLoad) into(s *seen) {
	*s = *newSeen(s.key, int(l.kept))
	start := uint64(0)
	if l.count > l.kept {
		start = l.count - l.kept
	}
	s.count = start
	s.ring = make([]uint64, 0, len(l.hashes))
	if start > 0 {
		s.ring = s.ring[:l.kept:l.kept]
	}
	s.index.room(len(l.hashes))
	for n := start; n < l.count; n++ {
		h := l.hashes[n%l.kept]
		if at := int(n % l.kept); at < len(s.ring) {
			s.ring[at] = h
		} else {
			s.ring = append(s.ring, h)
		}
		if h != 0 && !s.index.has(h) {
			s.index.add(h)
		}
		s.count++
	}
}
