package event

import "unsafe"

// Eight bytes of a text at a time. A mask has the top bit of each byte that is looked for; above the lowest such byte it may have more
// bits, as subtraction borrows upwards, so only "any" and "the first" can be read from it.
const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// eight loads eight bytes, the first one lowest. The compiler makes one load of it.
func eight(s string, i int) uint64 {
	b := s[i : i+8]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}

// word loads eight bytes in the machine's order, to compare them with others loaded so. The caller has checked that s has them.
func word(s string, i int) uint64 {
	return *(*uint64)(unsafe.Add(unsafe.Pointer(unsafe.StringData(s)), i))
}

// notPlain marks what is no plain character: controls, space, DEL, the quote, the backslash, all that is not ASCII. It marks ! too, which
// makes it a comparison less; a text with one takes the longer way.
func notPlain(x uint64) uint64 {
	slash := x ^ '\\'*ones
	return ((x - ('"'+1)*ones) | (x + ones) | x | (slash-ones)&^slash) & tops
}

// notText marks what ends the plain part of a JSON string: the quote, the backslash and controls.
func notText(x uint64) uint64 {
	// x ^ 2 brings the quote, 0x22, right behind the controls and takes away the space, 0x20, and ! and # stay beyond
	low := x ^ 2*ones
	slash := x ^ '\\'*ones
	return ((low-0x21*ones)&^low | (slash-ones)&^slash) & tops
}

// plain reports whether s is known to be of plain characters only, as notPlain has them.
func plain(s string) bool {
	if len(s) < 8 {
		for i := 0; i < len(s); i++ {
			if c := s[i]; c <= '"' || c == '\\' || c >= 0x7f {
				return false
			}
		}
		return true
	}
	odd := notPlain(eight(s, len(s)-8))
	for i := 0; i+8 <= len(s); i += 8 {
		odd |= notPlain(eight(s, i))
	}
	return odd == 0
}
