package kafka

import (
	"hash/crc32"

	"doorward/detect"
)

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
	return int(detect.Murmur2(key)&0x7fffffff) % n
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
