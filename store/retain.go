package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Swept is what one call of a sweep did.
type Swept struct {
	Deleted int    // records deleted
	Next    []byte // where the next call goes on; nil: the end was reached
}

// SweepFindings deletes findings older than before, with their place in the account's list. It looks at up to limit of them from key
// from on (nil: the beginning). A finding belongs to no shard's memory, so this needs no epoch.
func SweepFindings(ctx context.Context, e Engine, before time.Time, from []byte, limit int) (Swept, error) {
	return sweep(ctx, e, KindFindingOf, from, limit, func(key, _ []byte) ([][]byte, error) {
		end := bytes.IndexByte(key, 0)
		if end < 0 || len(key) < end+1+8 {
			return nil, fmt.Errorf("key %x is not that of a finding", key)
		}
		at, finding := binary.BigEndian.Uint64(key[end+1:]), key[end+1+8:]
		if !older(at, before) {
			return nil, nil
		}
		return [][]byte{bytes.Clone(key), Key(KindFinding, bytes.Clone(finding))}, nil
	})
}

// SweepDead deletes records that could not be taken and are older than before.
func SweepDead(ctx context.Context, e Engine, before time.Time, from []byte, limit int) (Swept, error) {
	if from == nil {
		from = Key(KindDead)
	}
	// Dead records are in order of time: what is not older needs no look.
	to := Key(KindDead, uint64(max(before.UnixMilli(), 0)))
	return sweepRange(ctx, e, from, to, limit, func(key, _ []byte) ([][]byte, error) { return [][]byte{bytes.Clone(key)}, nil })
}

// SweepBy deletes the records of a kind whose time, which at reads from the value, is before the given one: decisions, which are kept by
// their event's hash. A record whose time can't be read is an error, never deleted.
func SweepBy(ctx context.Context, e Engine, kind byte, before time.Time, at func(value []byte) (time.Time, error), from []byte, limit int) (Swept, error) {
	return sweep(ctx, e, kind, from, limit, func(key, value []byte) ([][]byte, error) {
		t, err := at(value)
		if err != nil || !t.Before(before) {
			return nil, err
		}
		return [][]byte{bytes.Clone(key)}, nil
	})
}

func older(millis uint64, before time.Time) bool {
	return before.UnixMilli() > 0 && millis < uint64(before.UnixMilli())
}

func sweep(ctx context.Context, e Engine, kind byte, from []byte, limit int, doomed func(key, value []byte) ([][]byte, error)) (Swept, error) {
	if from == nil {
		from = Key(kind)
	}
	return sweepRange(ctx, e, from, After(Key(kind)), limit, doomed)
}

// sweepRange asks doomed, for up to limit records of [from, to), which keys go, and deletes them. A record counts once, however many
// keys it has.
func sweepRange(ctx context.Context, e Engine, from, to []byte, limit int, doomed func(key, value []byte) ([][]byte, error)) (Swept, error) {
	var s Swept
	var bad error
	b := &Batch{Shard: NoShard}
	looked, size := 0, 0
	if limit <= 0 || limit > MaxBatchKeys/2 {
		limit = MaxBatchKeys / 2
	}
	err := e.Scan(ctx, from, to, false, func(key, value []byte) bool {
		if looked++; looked > limit || size > MaxBatch/2 {
			s.Next = bytes.Clone(key)
			return false
		}
		keys, err := doomed(key, value)
		if err != nil {
			bad = err
			return false
		}
		if len(keys) > 0 {
			s.Deleted++
			b.Delete = append(b.Delete, keys...)
			for _, k := range keys {
				size += len(k)
			}
		}
		return true
	})
	if err := errors.Join(err, bad); err != nil {
		return Swept{}, fmt.Errorf("looking for records past their time: %w", err)
	}
	if len(b.Delete) == 0 {
		return s, nil
	}
	if _, err := e.Commit(ctx, b); err != nil {
		return Swept{}, fmt.Errorf("deleting records past their time: %w", err)
	}
	return s, nil
}
