package history

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"doorward/store"
	"doorward/store/badger"
)

// Position is the next offset that the reader wants of a partition.
type Position struct {
	Topic     string
	Partition int
	Offset    int64
}

// Store is the history of all accounts.
type Store struct {
	engine store.Engine
	keep   time.Duration
}

// ErrRebuild says that the database is damaged or of another layout; delete its directory, and the reader fills it again from the topics.
var ErrRebuild = errors.New("history: deleting its directory is safe, it is filled again from the topics")

// layout is the format of this database; another one is rebuilt rather than converted.
const layout = "history 1"

var layoutKey = store.Key(store.KindMeta, "history")

// Open opens the history in dir, or makes it. Keep is how long lines are worth keeping; Expired counts with it.
func Open(dir string, keep time.Duration) (*Store, error) {
	if keep <= 0 {
		return nil, fmt.Errorf("history: can't keep events for %v", keep)
	}
	db, err := badger.OpenScratch(dir, nil)
	if errors.Is(err, badger.ErrDamaged) {
		return nil, fmt.Errorf("%w: %s: %w", ErrRebuild, dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the history: %w", err)
	}
	s := &Store{engine: db, keep: keep}
	if err := s.checkLayout(context.Background(), dir); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// Aside is what is added to the name of a damaged history's directory.
const Aside = ".damaged"

// OpenAnew opens the history in dir. One that would have to be rebuilt is put aside, to dir + Aside, in place of what was put aside there
// before, and an empty one is made, which the reader fills from the topics: nothing is decided from a history, so that its damage must not
// keep anything else from working. Damage is what was wrong; nil: nothing was.
func OpenAnew(dir string, keep time.Duration) (s *Store, damage, err error) {
	s, err = Open(dir, keep)
	if !errors.Is(err, ErrRebuild) {
		return s, nil, err
	}
	damage = err
	if err := os.RemoveAll(dir + Aside); err != nil {
		return nil, damage, fmt.Errorf("putting a damaged history aside: %w", err)
	}
	if err := os.Rename(dir, dir+Aside); err != nil {
		return nil, damage, fmt.Errorf("putting a damaged history aside: %w", err)
	}
	s, err = Open(dir, keep)
	return s, damage, err
}

func (s *Store) checkLayout(ctx context.Context, dir string) error {
	v, err := s.engine.Get(ctx, layoutKey)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrRebuild, dir, err)
	}
	if string(v[0]) == layout {
		return nil
	}
	empty := v[0] == nil
	err = s.engine.Scan(ctx, nil, nil, false, func(_, _ []byte) bool { empty = false; return false })
	if err != nil || !empty {
		return errors.Join(fmt.Errorf("%w: %s holds another database or another layout", ErrRebuild, dir), err)
	}
	_, err = s.engine.Commit(ctx, &store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: layoutKey, Value: []byte(layout)}}})
	if err != nil {
		return fmt.Errorf("making the history in %s: %w", dir, err)
	}
	return nil
}

// Close releases the database.
func (s *Store) Close() error { return s.engine.Close() }

// Expired is the time before which lines are kept no longer, for Sweep.
func (s *Store) Expired(now time.Time) time.Time { return now.Add(-s.keep) }

// chunk bounds what goes into one commit: half of what an engine takes, so that index keys fit beside the lines.
const (
	chunkBytes = store.MaxBatch / 2
	chunkLines = store.MaxBatchKeys / 4
)

// Add remembers lines, and with the last of them the reader's positions. Lines that are there already change nothing. Too many lines
// for one commit go in several; a crash between them leaves the old positions, and reading again adds nothing twice.
func (s *Store) Add(ctx context.Context, lines []Line, positions []Position) error {
	b := &store.Batch{Shard: store.NoShard}
	size, days := 0, make(map[string]bool)
	for i := range lines {
		l := &lines[i]
		if err := l.check(); err != nil {
			return err
		}
		value, err := l.encode()
		if err != nil {
			return err
		}
		if size += len(value) + 4*len(l.Account); size > chunkBytes || len(b.Put) > 3*chunkLines {
			if err := s.commit(ctx, b); err != nil {
				return err
			}
			b, size, days = &store.Batch{Shard: store.NoShard}, len(value), make(map[string]bool)
		}
		key := l.key()
		b.Put = append(b.Put, store.Pair{Key: key, Value: value}, store.Pair{Key: l.idKey(), Value: key})
		if d := l.dayKey(); !days[string(d)] {
			days[string(d)] = true
			b.Put = append(b.Put, store.Pair{Key: d, Value: []byte{}})
		}
	}
	for _, p := range positions {
		k := store.Key(store.KindHistoryRead, p.Topic, uint32(p.Partition))
		b.Put = append(b.Put, store.Pair{Key: k, Value: binary.BigEndian.AppendUint64(nil, uint64(p.Offset))})
	}
	return s.commit(ctx, b)
}

func (s *Store) commit(ctx context.Context, b *store.Batch) error {
	if len(b.Put)+len(b.Delete) == 0 {
		return nil
	}
	if _, err := s.engine.Commit(ctx, b); err != nil {
		return fmt.Errorf("writing the history: %w", err)
	}
	return nil
}

// Positions returns where the reader goes on, by topic and partition in order of their names.
func (s *Store) Positions(ctx context.Context) ([]Position, error) {
	var ps []Position
	from := store.Key(store.KindHistoryRead)
	err := s.engine.Scan(ctx, from, store.After(from), false, func(key, value []byte) bool {
		n := len(key) - 4
		ps = append(ps, Position{
			Topic:     string(key[1 : n-1]),
			Partition: int(binary.BigEndian.Uint32(key[n:])),
			Offset:    int64(binary.BigEndian.Uint64(value)),
		})
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("reading the positions of the history: %w", err)
	}
	return ps, nil
}

// Account returns up to limit lines of an account with a time in [from, to), in order of time or newest first. Zero times are no bounds.
func (s *Store) Account(ctx context.Context, account string, from, to time.Time, limit int, newestFirst bool) ([]Line, error) {
	lo := accountKey(account)
	hi := store.After(lo)
	if !from.IsZero() {
		lo = timeKey(account, from)
	}
	if !to.IsZero() {
		hi = timeKey(account, to)
	}
	if limit <= 0 {
		return nil, nil
	}
	var lines []Line
	var bad error
	err := s.engine.Scan(ctx, lo, hi, newestFirst, func(_, value []byte) bool {
		l, err := decode(value)
		if err != nil {
			bad = err
			return false
		}
		lines = append(lines, l)
		return len(lines) < limit
	})
	if err := errors.Join(err, bad); err != nil {
		return nil, fmt.Errorf("reading the history of an account: %w", err)
	}
	return lines, nil
}

// Find returns the event with this identity; ok is false when it is not, or no longer, known.
func (s *Store) Find(ctx context.Context, source, id string) (line Line, ok bool, err error) {
	l := Line{Source: source, ID: id}
	lines, err := s.follow(ctx, l.idKey(), 1)
	if err != nil || len(lines) == 0 {
		return Line{}, false, err
	}
	return lines[0], true, nil
}

// FindID returns the events with this id, one from each source that used it.
func (s *Store) FindID(ctx context.Context, id string) ([]Line, error) {
	return s.follow(ctx, store.Key(store.KindHistoryID, hash16(id)), math.MaxInt)
}

// follow reads index keys with a prefix and the lines they name.
func (s *Store) follow(ctx context.Context, prefix []byte, limit int) ([]Line, error) {
	var keys [][]byte
	err := s.engine.Scan(ctx, prefix, store.After(prefix), false, func(_, value []byte) bool {
		keys = append(keys, append([]byte(nil), value...))
		return len(keys) < limit
	})
	if err != nil {
		return nil, fmt.Errorf("looking an event up: %w", err)
	}
	values, err := s.engine.Get(ctx, keys...)
	if err != nil {
		return nil, fmt.Errorf("looking an event up: %w", err)
	}
	var lines []Line
	for _, v := range values {
		if v == nil {
			continue // swept since
		}
		l, err := decode(v)
		if err != nil {
			return nil, err
		}
		lines = append(lines, l)
	}
	return lines, nil
}
