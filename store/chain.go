package store

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// HashSize is the length of a chain hash in bytes.
const HashSize = sha256.Size

// Chain is the hash of a log's line: SHA-256 over the hash before it, its position and its value. The line before the first has the
// zero hash. What is stored at LineKey is this hash followed by the value; at HeadKey, the position followed by this hash.
func Chain(before [HashSize]byte, position uint64, value []byte) [HashSize]byte {
	h := sha256.New()
	h.Write(before[:])
	var p [8]byte
	binary.BigEndian.PutUint64(p[:], position)
	h.Write(p[:])
	h.Write(value)
	var sum [HashSize]byte
	h.Sum(sum[:0])
	return sum
}

// EncodeLine and DecodeLine are the stored form of a log's line.
func EncodeLine(hash [HashSize]byte, value []byte) []byte {
	return append(append(make([]byte, 0, HashSize+len(value)), hash[:]...), value...)
}

// DecodeLine takes a stored line apart; value shares line's memory.
func DecodeLine(line []byte) (hash [HashSize]byte, value []byte, err error) {
	if len(line) < HashSize {
		return hash, nil, errors.New("store: a line of a log is cut short")
	}
	copy(hash[:], line)
	return hash, line[HashSize:], nil
}

// Head is the end of a log.
type Head struct {
	Position uint64 // 0: the log is empty
	Hash     [HashSize]byte
}

// Encode is the stored form of a head.
func (h Head) Encode() []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+HashSize), h.Position), h.Hash[:]...)
}

// ErrDamagedHead says that the stored head of a log is none.
var ErrDamagedHead = errors.New("store: the head of a log is damaged")

// DecodeHead reads a stored head; nil is the head of an empty log.
func DecodeHead(b []byte) (h Head, err error) {
	if b == nil {
		return h, nil
	}
	if len(b) != 8+HashSize {
		return h, ErrDamagedHead
	}
	h.Position = binary.BigEndian.Uint64(b)
	copy(h.Hash[:], b[8:])
	return h, nil
}
