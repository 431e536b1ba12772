package kafka

import "hash/crc32"

// Partitioners: which partition a key goes to.
const (
	Murmur2 = "murmur2" // Java clients' default
	CRC32   = "crc32"   // librdkafka's default, and so kcat's, Python's, Go's (confluent), .NET's
)

// PartitionOf is the partition, of n, that a partitioner gives a key.
func PartitionOf(partitioner string, key []byte, n int) int {
	if partitioner == CRC32 {
		return int(crc32.ChecksumIEEE(key) % uint32(n))
	}
	return int(murmur2(key)&0x7fffffff) % n
}

// Partition is the shard of a key: where the partitioner puts it among the input topics' partitions.
func (c *Client) Partition(key []byte) int {
	c.mu.Lock()
	n := c.partitions
	c.mu.Unlock()
	if n == 0 {
		n = c.cfg.Partitions
	}
	return PartitionOf(c.cfg.Partitioner, key, n)
}

// murmur2 is org.apache.kafka.common.utils.Utils.murmur2.
func murmur2(b []byte) uint32 {
	const m, r = 0x5bd1e995, 24
	h := 0x9747b28c ^ uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		k := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
		k *= m
		k ^= k >> r
		k *= m
		h = h*m ^ k
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
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}
