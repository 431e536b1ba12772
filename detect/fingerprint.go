package detect

import (
	"encoding/binary"
	"hash/fnv"
)

// Fingerprint is what a record is known again by when its log may have been recreated meanwhile: 64 bits of FNV-1a over its timestamp,
// key and value, never 0. It finds mishaps, not forgeries: who can rewrite the log can do worse. Positions are stored with it, so it
// never changes.
func (r *Record) Fingerprint() uint64 {
	h := fnv.New64a()
	var n [16]byte
	stamp := r.Stamp
	if stamp.IsZero() {
		stamp = r.Time
	}
	binary.BigEndian.PutUint64(n[:], uint64(stamp.UnixMilli()))
	size := int64(len(r.Key))
	if r.Key == nil {
		size = -1
	}
	binary.BigEndian.PutUint64(n[8:], uint64(size))
	h.Write(n[:])
	h.Write(r.Key)
	h.Write(r.Value)
	return max(h.Sum64(), 1)
}
