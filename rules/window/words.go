package window

import "unsafe"

// Words is n zeroed words, a power of two, for a table that is read at random: in huge pages where that pays.
func Words(n int) []uint64 {
	b := hugeBytes(8 * n)
	return unsafe.Slice((*uint64)(unsafe.Pointer(&b[0])), n)
}
