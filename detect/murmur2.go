package detect

import "encoding/binary"

// Murmur2 is the hash by which Java producers choose a partition, and a file's replay a shard: murmur2 with Kafka's seed. The partition
// is its lower 31 bits modulo the number of partitions. It is org.apache.kafka.common.utils.Utils.murmur2; detect/kafka tests it with that
// one's vectors.
func Murmur2(b []byte) uint32 {
	const m, seed = 0x5bd1e995, 0x9747b28c
	h := uint32(seed) ^ uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		k := binary.LittleEndian.Uint32(b) * m
		k ^= k >> 24
		h = h*m ^ k*m
	}
	switch len(b) {
	case 3:
		h ^= uint32(b[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(b[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(b[0])) * m
	}
	h = (h ^ h>>13) * m
	return h ^ h>>15
}
