package window

import "unsafe"

// arena hands out the bytes of slabs and of the index. Once a shard has much, it takes them from blocks that the kernel is asked to back with
// huge pages: records are met at random, and most of what that costs is looking up where their pages are.
type arena struct {
	small int // bytes that were handed out one by one
	block []byte
}

const (
	hugePage   = 2 << 20
	arenaSmall = 4 << 20 // before blocks are taken: a small store needs none
	arenaBlock = 8 << 20
)

// bytes gives n zeroed bytes.
func (a *arena) bytes(n int) []byte {
	if n > hugePage || a.small < arenaSmall {
		a.small += n
		return make([]byte, n)
	}
	if len(a.block) < n {
		a.block = hugeBytes(arenaBlock)
	}
	b := a.block[:n:n]
	a.block = a.block[n:]
	return b
}

// hugeBytes is n zeroed bytes, a power of two, on huge pages of their own when they are enough for some.
func hugeBytes(n int) []byte {
	if n < hugePage {
		return make([]byte, n)
	}
	b := make([]byte, n+hugePage)
	at := int(-uintptr(unsafe.Pointer(&b[0])) % hugePage)
	b = b[at : at+n : at+n]
	adviseHuge(b)
	return b
}

// words gives n zeroed words.
func (a *arena) words(n int) []uint64 {
	if n < segmentMost {
		return make([]uint64, n)
	}
	b := a.bytes(8 * n)
	return unsafe.Slice((*uint64)(unsafe.Pointer(&b[0])), n)
}
