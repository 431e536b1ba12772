package window

import (
	"encoding/binary"
	"slices"
)

// index finds records by the hash of their key: open addressing over words of 32 bits of the hash and 32 of where the record is, without
// pointers. Its segments double up to a size and then split one by one, so that no event waits for all of it to be laid out anew.
type index struct {
	segments []*segment // by the first bits of the tag
	depth    uint       // how many bits
	arena    *arena
	n        int
}

type segment struct {
	words []uint64 // tag 32, ref + 1; 0: free
	n     int
	depth uint
}

const (
	segmentLeast = 8
	segmentMost  = 4096
	deepest      = 20
)

// tag is the bits of a hash by which an index goes. The hash is keyed: nobody can make ids whose tags collide.
func (h *id) tag() uint32 { return binary.LittleEndian.Uint32(h[8:]) }

func newIndex(a *arena) index {
	return index{arena: a, segments: []*segment{{words: make([]uint64, segmentLeast)}}}
}

func (x *index) segment(tag uint32) *segment { return x.segments[tag>>(32-x.depth)] }

func (x *index) add(tag, ref uint32) {
	s := x.segment(tag)
	for (s.n+1)*4 > len(s.words)*3 {
		if len(s.words) < segmentMost || s.depth == deepest {
			s.grow(x.arena)
			continue
		}
		x.split(tag)
		s = x.segment(tag)
	}
	s.put(uint64(tag)<<32 | uint64(ref+1))
	x.n++
}

func (s *segment) put(word uint64) {
	mask := len(s.words) - 1
	i := int(word>>32) & mask
	for s.words[i] != 0 {
		i = (i + 1) & mask
	}
	s.words[i] = word
	s.n++
}

func (s *segment) grow(a *arena) {
	old := s.words
	s.words, s.n = a.words(2*len(old)), 0
	for _, w := range old {
		if w != 0 {
			s.put(w)
		}
	}
}

// split makes two of tag's segment, by the next bit of the tags.
func (x *index) split(tag uint32) {
	s := x.segment(tag)
	if s.depth == x.depth {
		doubled := make([]*segment, 2*len(x.segments))
		for i, s := range x.segments {
			doubled[2*i], doubled[2*i+1] = s, s
		}
		x.segments = doubled
		x.depth++
	}
	halves := [2]*segment{}
	words := slices.Clone(s.words)
	clear(s.words)
	halves[0] = &segment{words: s.words, depth: s.depth + 1}
	halves[1] = &segment{words: x.arena.words(segmentMost), depth: s.depth + 1}
	for _, w := range words {
		if w != 0 {
			halves[w>>(63-s.depth)&1].put(w)
		}
	}
	run := 1 << (x.depth - s.depth)
	from := int(tag>>(32-x.depth)) &^ (run - 1)
	for i := range run {
		x.segments[from+i] = halves[i*2/run]
	}
}

// at is the segment and the place of a record that is in the index.
func (x *index) at(tag, ref uint32) (*segment, int) {
	s := x.segment(tag)
	mask, word := len(s.words)-1, uint64(tag)<<32|uint64(ref+1)
	i := int(tag) & mask
	for s.words[i] != word {
		i = (i + 1) & mask
	}
	return s, i
}

func (x *index) move(tag, from, to uint32) {
	s, i := x.at(tag, from)
	s.words[i] = uint64(tag)<<32 | uint64(to+1)
}

// remove takes a record out and closes the gap, so that no search ends too early.
func (x *index) remove(tag, ref uint32) {
	s, gap := x.at(tag, ref)
	mask := len(s.words) - 1
	for i := (gap + 1) & mask; s.words[i] != 0; i = (i + 1) & mask {
		home := int(s.words[i]>>32) & mask
		if (i-home)&mask >= (i-gap)&mask {
			s.words[gap] = s.words[i]
			gap = i
		}
	}
	s.words[gap] = 0
	s.n--
	x.n--
}
