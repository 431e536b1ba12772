package window

import (
	"sync/atomic"
	"unsafe"
)

// Board is where the memories of a process find one another. A memory joins at its first Take, Advance or SetClock, so that nobody reads
// one that is still being restored; until then others read the one it replaces.
type Board struct {
	members  []atomic.Pointer[Memory]
	presence []presence // by position in Keys
}

// NewBoard makes a board for so many shards.
func NewBoard(shards int) *Board {
	b := &Board{members: make([]atomic.Pointer[Memory], shards), presence: make([]presence, len(Keys))}
	return b
}

// Leave takes m off the board, when its shard moves to another process.
func (b *Board) Leave(m *Memory) { b.members[m.shard].CompareAndSwap(m, nil) }

func (m *Memory) join() {
	if !m.joined && m.board != nil && m.shard < len(m.board.members) {
		m.board.members[m.shard].Store(m)
	}
	m.joined = true
}

// presence says, for every key of a kind, which shards may have a record of it, or have had one: most addresses and devices are met by one
// shard alone, and the others need not be searched. A byte for the keys that share a hash, a bit for the shards that are equal modulo 8; no
// bit is ever taken back. A shard sets its bit before it makes the record, so who knows a slice of it as closed finds the bit of every record
// in it; a bit that is set for nothing costs a search and changes nothing.
type presence struct {
	words atomic.Pointer[[]atomic.Uint32]
}

const (
	presenceLeast = 1 << 10 // bytes
	presenceMost  = 1 << 22
)

// size makes room for so many keys, unless there is some already.
func (p *presence) size(keys int) {
	if p.words.Load() != nil {
		return
	}
	n := presenceLeast
	for n < presenceMost && n < 4*keys {
		n *= 2
	}
	b := hugeBytes(n)
	words := unsafe.Slice((*atomic.Uint32)(unsafe.Pointer(&b[0])), n/4)
	p.words.CompareAndSwap(nil, &words)
}

// place is the word of h and its byte there.
func (p *presence) place(h *id) (*atomic.Uint32, uint) {
	words := *p.words.Load()
	at := uint32(h[4]) | uint32(h[5])<<8 | uint32(h[6])<<16 | uint32(h[7])<<24
	return &words[at>>2&uint32(len(words)-1)], uint(at & 3 * 8)
}

// bits are the shards, modulo 8, that may have h.
func (p *presence) bits(h *id) uint32 {
	w, shift := p.place(h)
	return w.Load() >> shift & 0xff
}

// mine is where one shard says what it has; the zero value says nothing.
type mine struct {
	in  *presence
	bit uint32
}

func (m mine) note(h *id) {
	if m.in == nil {
		return
	}
	w, shift := m.in.place(h)
	if bit := m.bit << shift; w.Load()&bit == 0 {
		w.Or(bit)
	}
}
