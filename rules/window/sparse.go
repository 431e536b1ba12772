package window

import "encoding/binary"

// Records are mostly zeros: most rings and sets are empty or nearly so. Sparse, a record is pairs of uvarints, zeros and then so many bytes
// as they are, until its size is reached.

func appendSparse(dst, rec []byte) []byte {
	for len(rec) > 0 {
		zeros := rec
		for len(zeros) >= 8 && binary.LittleEndian.Uint64(zeros) == 0 {
			zeros = zeros[8:]
		}
		rest := zeros
		for len(rest) >= 16 && binary.LittleEndian.Uint64(rest)|binary.LittleEndian.Uint64(rest[8:]) != 0 {
			rest = rest[8:]
		}
		if len(rest) < 16 {
			rest = rest[len(rest):]
		}
		dst = binary.AppendUvarint(dst, uint64(len(rec)-len(zeros)))
		dst = binary.AppendUvarint(dst, uint64(len(zeros)-len(rest)))
		dst = append(dst, zeros[:len(zeros)-len(rest)]...)
		rec = rest
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
