package history

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"doorward/store"
)

// sweepAtOnce bounds the lines one commit deletes.
const sweepAtOnce = 5_000

// Sweep deletes the lines with a time before the given one and returns how many. It reads only days that are over and what it deletes,
// in commits of bounded size; a call that ends early is taken up by the next.
func (s *Store) Sweep(ctx context.Context, before time.Time) (deleted int, err error) {
	from := store.Key(store.KindHistoryDay)
	last := store.After(store.Key(store.KindHistoryDay, day(before)))
	for {
		var key []byte
		err := s.engine.Scan(ctx, from, last, false, func(k, _ []byte) bool {
			key = bytes.Clone(k)
			return false
		})
		if err != nil {
			return deleted, fmt.Errorf("sweeping the history: %w", err)
		}
		if key == nil {
			return deleted, nil
		}
		n, err := s.sweepDay(ctx, key, before)
		deleted += n
		if err != nil {
			return deleted, fmt.Errorf("sweeping the history: %w", err)
		}
		from = append(key, 0)
	}
}

// sweepDay deletes an account's lines of one day, and the day's key once the whole day is before.
func (s *Store) sweepDay(ctx context.Context, key []byte, before time.Time) (deleted int, err error) {
	number, account := binary.BigEndian.Uint16(key[1:3]), string(key[3:])
	lo := timeKey(account, time.UnixMilli(int64(number)*dayMillis))
	if number == 0 {
		lo = accountKey(account)
	}
	end := time.UnixMilli((int64(number) + 1) * dayMillis)
	over := !before.Before(end)
	if !over {
		end = before
	}
	hi := timeKey(account, end)
	for {
		b := &store.Batch{Shard: store.NoShard}
		n, err := s.doomed(ctx, lo, hi, b)
		if err != nil {
			return deleted, err
		}
		if n < sweepAtOnce && over {
			b.Delete = append(b.Delete, key)
		}
		if err := s.commit(ctx, b); err != nil {
			return deleted, err
		}
		deleted += n
		if n < sweepAtOnce {
			return deleted, nil
		}
	}
}

// doomed puts the lines of [lo, hi), at most sweepAtOnce, with their index keys into the deletes of b.
func (s *Store) doomed(ctx context.Context, lo, hi []byte, b *store.Batch) (n int, err error) {
	var bad error
	err = s.engine.Scan(ctx, lo, hi, false, func(key, value []byte) bool {
		l, err := decode(value)
		if err != nil {
			bad = err
			return false
		}
		b.Delete = append(b.Delete, bytes.Clone(key), l.idKey())
		n++
		return n < sweepAtOnce
	})
	return n, errors.Join(err, bad)
}
