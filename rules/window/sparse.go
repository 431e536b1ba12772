package window

import "encoding/binary"

// Records are mostly zeros: most rings and sets are empty or nearly so. Sparse, a record is pairs of uvarints, zeros and then so many bytes
// as they are, until its size is reached.

func appendSparse(dst, rec []byte) []byte {
	word := func(i int) bool { return i+8 <= len(rec) && binary.LittleEndian.Uint64(rec[i:]) == 0 }
	for i := 0; i < len(rec); {
		from := i
		for word(from) {
			from += 8
		}
		to := from
		for to < len(rec) && !(word(to) && word(to+8)) {
			to = min(to+8, len(rec))
		}
		dst = binary.AppendUvarint(dst, uint64(from-i))
		dst = binary.AppendUvarint(dst, uint64(to-from))
		dst = append(dst, rec[from:to]...)
		i = to
	}
	return dst
}

// readSparse fills rec and says how many bytes of b it took, -1 when b is not a record of this size.
func readSparse(rec, b []byte) int {
	at := 0
	for i := 0; i < len(rec); {
		zeros, n := binary.Uvarint(b[at:])
		if n <= 0 || zeros > uint64(len(rec)-i) {
			return -1
		}
		at += n
		clear(rec[i : i+int(zeros)])
		i += int(zeros)
		bytes, n := binary.Uvarint(b[at:])
		if n <= 0 || bytes > uint64(len(rec)-i) || bytes > uint64(len(b)-at-n) || zeros+bytes == 0 {
			return -1
		}
		at += n
		i += copy(rec[i:], b[at:at+int(bytes)])
		at += int(bytes)
	}
	return at
}
