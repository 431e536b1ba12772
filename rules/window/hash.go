package window

import (
	"encoding/binary"
	"math/bits"
)

// id is a key's or value's keyed hash: ids are never stored in clear, and nobody without the key can make two that collide.
type id [16]byte

// hasher is SipHash-2-4 with 128 bits of output (Aumasson and Bernstein, 2012, and their reference code of 2014).
type hasher struct{ k0, k1 uint64 }

func newHasher(key [16]byte) hasher {
	return hasher{binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:])}
}

func (h hasher) sum(s string) id { return sum(h, s) }

func sum[T string | []byte](h hasher, s T) (out id) {
	v0, v1, v2, v3 := h.k0^0x736f6d6570736575, h.k1^0x646f72616e646f6d^0xee, h.k0^0x6c7967656e657261, h.k1^0x7465646279746573
	n := len(s)
	for ; len(s) >= 8; s = s[8:] {
		w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		v3 ^= w
		v0, v1, v2, v3 = round(round(v0, v1, v2, v3))
		v0 ^= w
	}
	w := uint64(n) << 56
	for i := 0; i < len(s); i++ {
		w |= uint64(s[i]) << (8 * i)
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
