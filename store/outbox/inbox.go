package outbox

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"doorward/store"
)

// Act makes the line that puts an act into a shard's inbox, for the batch that also holds its journal entry. The bytes are the maker's
// and the shard's business.
func Act(shard int, value []byte) store.Append {
	return store.Append{Log: store.Inbox(shard), Value: value}
}

// InboxLine is an act that waits, at its place.
type InboxLine struct {
	Position uint64
	Value    []byte
}

// ReadInbox returns up to limit acts behind position after, in order. Positions have no gap behind what was trimmed; a gap is an error,
// since the shard would pass over an act. The hashes are not compared: that a line in the inbox is the one that was authorised is what
// the journal says, and a trimmed line has nothing left to compare with.
func ReadInbox(ctx context.Context, engine store.Engine, shard int, after uint64, limit int) ([]InboxLine, error) {
	log := store.Inbox(shard)
	if limit <= 0 || after == math.MaxUint64 {
		return nil, nil
	}
	var lines []InboxLine
	var bad error
	end := store.After(store.LineKey(log, math.MaxUint64))
	err := engine.Scan(ctx, store.LineKey(log, after+1), end, false, func(key, line []byte) bool {
		at := binary.BigEndian.Uint64(key[len(key)-8:])
		_, value, err := store.DecodeLine(line)
		if want := after + 1 + uint64(len(lines)); err == nil && at != want {
			err = fmt.Errorf("line %d is missing", want)
		}
		if err != nil {
			bad = err
			return false
		}
		lines = append(lines, InboxLine{Position: at, Value: bytes.Clone(value)})
		return len(lines) < limit
	})
	if err := errors.Join(err, bad); err != nil {
		return nil, fmt.Errorf("reading the inbox of shard %d: %w", shard, err)
	}
	return lines, nil
}

// Trim names the keys of the acts behind position after up to and with upTo, for the Delete of a batch that holds what became of them.
// The log's head stays, so that positions are never used again.
func Trim(shard int, after, upTo uint64) [][]byte {
	if upTo <= after {
		return nil
	}
	keys := make([][]byte, 0, upTo-after)
	for p := after + 1; p <= upTo; p++ {
		keys = append(keys, store.LineKey(store.Inbox(shard), p))
	}
	return keys
}
