package window

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// id is a key's or value's keyed hash: ids are never stored in clear, and nobody without the key can make two that collide.
type id [16]byte

// hasher is SipHash-2-4 with 128 bits of output (Aumasson and Bernstein, 2012, and their reference code of 2014).
type hasher struct{ k0, k1 uint64 }

func newHasher(key [16]byte) hasher {
	return hasher{binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:])}
}

func (h hasher) sum(s string) id { return sum(h, unsafe.Slice(unsafe.StringData(s), len(s))) }

func sum(h hasher, s []byte) (out id) {
	v0, v1, v2, v3 := h.k0^0x736f6d6570736575, h.k1^0x646f72616e646f6d^0xee, h.k0^0x6c7967656e657261, h.k1^0x7465646279746573
	w, all := uint64(len(s))<<56, s
	for ; len(s) >= 8; s = s[8:] {
		w := binary.LittleEndian.Uint64(s)
		v3 ^= w
		v0, v1, v2, v3 = round(round(v0, v1, v2, v3))
		v0 ^= w
	}
	if n := len(all); n >= 8 { // the last bytes, by the last word that there is
		w |= binary.LittleEndian.Uint64(all[n-8:]) >> 8 >> (56 - 8*(n&7))
	} else {
		for i, c := range s {
			w |= uint64(c) << (8 * i)
		}
	}
	v3 ^= w
	v0, v1, v2, v3 = round(round(v0, v1, v2, v3))
	v0 ^= w
	v2 ^= 0xee
	v0, v1, v2, v3 = round(round(round(round(v0, v1, v2, v3))))
	binary.LittleEndian.PutUint64(out[:8], v0^v1^v2^v3)
	v1 ^= 0xdd
	v0, v1, v2, v3 = round(round(round(round(v0, v1, v2, v3))))
	binary.LittleEndian.PutUint64(out[8:], v0^v1^v2^v3)
	return out
}

func round(v0, v1, v2, v3 uint64) (uint64, uint64, uint64, uint64) {
	v0 += v1
	v1 = bits.RotateLeft64(v1, 13) ^ v0
	v0 = bits.RotateLeft64(v0, 32)
	v2 += v3
	v3 = bits.RotateLeft64(v3, 16) ^ v2
	v0 += v3
	v3 = bits.RotateLeft64(v3, 21) ^ v0
	v2 += v1
	v1 = bits.RotateLeft64(v1, 17) ^ v2
	v2 = bits.RotateLeft64(v2, 32)
	return v0, v1, v2, v3
}

// short is the 32 bits by which a set tells a field's values apart: among 64 values two collide once in two million sets, which reads
// one too few. 0 means "no value" and is never given.
func (h hasher) short(s string) uint32 {
	sum := h.sum(s)
	return sum.short()
}

func (h *id) short() uint32 { return max(1, binary.LittleEndian.Uint32(h[:4])) }
