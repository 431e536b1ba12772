package detect

import (
	"context"
	"time"
)

// Record is one record of a log, as it was taken from it. Its slices are good until the next Fetch of the same Source.
type Record struct {
	Topic     string
	Partition int
	Offset    int64
	Time      time.Time // arrival: the record's timestamp, unless that is from the future
	Stamp     time.Time // the record's timestamp where Time is another one, else zero
	Key       []byte    // nil: none
	Value     []byte
	Headers   []Header
}

// Header is one header of a record or message.
type Header struct {
	Key   string
	Value []byte
}

// Message is one record that Doorward publishes.
type Message struct {
	Topic     string
	Partition int // -1: by the key, murmur2
	Key       []byte
	Value     []byte // nil: a tombstone
	Headers   []Header
}

// Position is the next offset to read of a topic's partition, with the fingerprint of the record before it, by which the log is
// known again.
type Position struct {
	Topic       string `json:"topic"`
	Offset      int64  `json:"offset"`
	Fingerprint uint64 `json:"fingerprint,omitempty"` // of record Offset-1: see Record.Fingerprint; 0: none yet
}

// Source is a shard's input: one partition number of every input topic.
type Source interface {
	// Open starts reading at the positions; a topic without one is read from its start. *GapError, *RecreatedError: the log is not the
	// one that was read before.
	Open(ctx context.Context, at []Position) error
	// Fetch waits at most its poll time (250 ms) for records and returns them in the order to take them: by offset within a topic, by
	// arrival between topics. None is fine. A record that can't be read (broken batch) ends the partition with an error.
	Fetch(ctx context.Context) ([]Record, error)
}

// Publish sends messages and returns when all are acknowledged by all replicas; on an error, any prefix or subset may have been sent.
type Publish func(ctx context.Context, messages []Message) error
