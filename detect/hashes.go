package detect

import "doorward/rules/window"

// hashes is a set of hashes other than 0, by open addressing, in one piece of memory without pointers.
type hashes struct {
	words []uint64 // 0: free
	n     int
}

const leastHashes = 1 << 10

func newHashes() hashes { return hashes{words: window.Words(leastHashes)} }

// home is where the search for h begins. Hashes are keyed, so that nobody can choose many with one home.
func (s *hashes) home(h uint64) int { return int(h) & (len(s.words) - 1) }

func (s *hashes) has(h uint64) bool {
	for i := s.home(h); s.words[i] != 0; i = (i + 1) & (len(s.words) - 1) {
		if s.words[i] == h {
			return true
		}
	}
	return false
}

// add puts in a hash that is not in the set.
func (s *hashes) add(h uint64) {
	s.room(s.n + 1)
	i := s.home(h)
	for s.words[i] != 0 {
		i = (i + 1) & (len(s.words) - 1)
	}
	s.words[i] = h
	s.n++
}

// room makes the set large enough for n hashes, at most two thirds full.
func (s *hashes) room(n int) {
	size := len(s.words)
	for n*3 > size*2 {
		size *= 2
	}
	if size == len(s.words) {
		return
	}
	old := s.words
	*s = hashes{words: window.Words(size)}
	for _, h := range old {
		if h != 0 {
			s.add(h)
		}
	}
}

// remove takes a hash out, if it is there, and closes the gap, so that no search ends too early.
func (s *hashes) remove(h uint64) {
	mask := len(s.words) - 1
	gap := s.home(h)
	for s.words[gap] != h {
		if s.words[gap] == 0 {
			return
		}
		gap = (gap + 1) & mask
	}
	for i := (gap + 1) & mask; s.words[i] != 0; i = (i + 1) & mask {
		if (i-s.home(s.words[i]))&mask >= (i-gap)&mask {
			s.words[gap] = s.words[i]
			gap = i
		}
	}
	s.words[gap] = 0
	s.n--
}
