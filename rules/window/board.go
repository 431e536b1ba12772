package window

import "sync/atomic"

// Board is where the memories of a process find one another. A memory joins at its first Take, Advance or SetClock, so that nobody reads
// one that is still being restored; until then others read the one it replaces.
type Board struct{ members []atomic.Pointer[Memory] }

// NewBoard makes a board for so many shards.
func NewBoard(shards int) *Board { return &Board{make([]atomic.Pointer[Memory], shards)} }

// Leave takes m off the board, when its shard moves to another process.
func (b *Board) Leave(m *Memory) { b.members[m.shard].CompareAndSwap(m, nil) }

func (m *Memory) join() {
	if !m.joined && m.board != nil && m.shard < len(m.board.members) {
		m.board.members[m.shard].Store(m)
	}
	m.joined = true
}
