package badger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"doorward/store"

	badgerdb "github.com/dgraph-io/badger/v4"
)

// DB is a store.Engine on Badger.
type DB struct {
	b       *badgerdb.DB
	dir     string
	id      string
	log     *slog.Logger
	guard   *guard   // nil for scratch
	numbers *numbers // nil for scratch; used by the committer only
	bulk    *bulk    // nil for scratch
	absent  *absence // nil for scratch
	lock    *os.File // of the directory

	intake   sync.RWMutex // held to send a request; taken whole to close
	closing  bool         // guarded by intake
	requests chan *request
	deltas   *stream // requests with bulk values take one of these ways to the committer
	pages    *stream
	stop     chan struct{} // ends the guard
	workers  sync.WaitGroup

	reading sync.Mutex // guards closed and readers.Add
	closed  bool
	readers sync.WaitGroup

	// commit is held while Badger commits, and for a moment to begin a snapshot, which Badger would let wait for that commit anyway:
	// so no snapshot begins between a failed commit and broken being set.
	commit sync.RWMutex
	broken error // guarded by commit

	stats counters
}

var _ store.Engine = (*DB)(nil)

// ErrBroken says that a write failed in a state nobody knows; the store must be opened again, which reads its log anew and keeps each
// transaction whole or not at all.
var ErrBroken = store.ErrBroken

func newDB(cfg Config, b *badgerdb.DB, g *guard, n *numbers, k *bulk) *DB {
	d := &DB{
		b: b, dir: cfg.Dir, log: cfg.log(), guard: g, numbers: n, bulk: k,
		requests: make(chan *request, 1024),
		deltas:   k.stream(),
		pages:    k.stream(),
		stop:     make(chan struct{}),
	}
	if k != nil {
		d.absent = newAbsence()
	}
	var writers sync.WaitGroup
	writers.Go(func() { d.write(d.deltas) })
	writers.Go(func() { d.write(d.pages) })
	d.workers.Go(func() { writers.Wait(); close(d.requests) }) // nobody else sends once the streams are closed
	d.workers.Go(d.committer)
	if g != nil {
		d.workers.Go(func() { g.watch(d.stop) })
	}
	return d
}

// ID is the store's random identity, made by Create.
func (d *DB) ID() string { return d.id }

// Full says that the disk guard refuses commits.
func (d *DB) Full() bool { return d.guard != nil && d.guard.full.Load() != nil }

// Size is what tables, logs and bulk values take on disk, in bytes; the first two as of the last minute.
func (d *DB) Size() int64 {
	tables, logs := d.b.Size()
	return tables + logs + d.Bulk().Disk
}

// Compact rewrites the tables so that what was deleted leaves the disk; Badger keeps the marks of deleted keys in its last level until
// then (issue #2329). For quiet hours; commits go on meanwhile, more slowly.
func (d *DB) Compact() error {
	done, err := d.begin()
	if err != nil {
		return err
	}
	defer done()
	if err := d.b.Flatten(2); err != nil {
		return fmt.Errorf("compacting %s: %w", d.dir, err)
	}
	return nil
}

// Close refuses new work, finishes what was taken, waits for readers and releases the store. Closing twice is fine. A broken store is not
// closed but left as a crash would leave it, for the next process: Badger would write the half transaction it holds into a table.
func (d *DB) Close() error {
	d.intake.Lock()
	if d.closing {
		d.intake.Unlock()
		return nil
	}
	d.closing = true
	close(d.deltas.in)
	close(d.pages.in)
	d.intake.Unlock()
	close(d.stop)
	d.workers.Wait()

	d.reading.Lock()
	d.closed = true
	d.reading.Unlock()
	d.readers.Wait()

	if d.broken != nil {
		return d.broken
	}
	err := d.b.Close()
	if d.bulk != nil {
		err = errors.Join(err, d.bulk.close())
	}
	if d.numbers != nil {
		err = errors.Join(err, d.numbers.close())
	}
	if d.lock != nil {
		err = errors.Join(err, d.lock.Close())
	}
	if err != nil {
		return fmt.Errorf("closing the store in %s: %w", d.dir, err)
	}
	return nil
}

// begin keeps the database open until done is called.
func (d *DB) begin() (done func(), err error) {
	d.reading.Lock()
	defer d.reading.Unlock()
	if d.closed {
		return nil, store.ErrClosed
	}
	d.readers.Add(1)
	return d.readers.Done, nil
}

// snapshot begins a read of one moment.
func (d *DB) snapshot(ctx context.Context) (txn *badgerdb.Txn, end func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	done, err := d.begin()
	if err != nil {
		return nil, nil, err
	}
	d.commit.RLock()
	defer d.commit.RUnlock()
	if d.broken != nil {
		done()
		return nil, nil, d.broken
	}
	leave := d.bulk.enter()
	txn = d.b.NewTransaction(false)
	return txn, func() { txn.Discard(); leave(); done() }, nil
}

// Get implements store.Engine.
func (d *DB) Get(ctx context.Context, keys ...[]byte) ([][]byte, error) {
	txn, end, err := d.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	values := make([][]byte, len(keys))
	for i, k := range keys {
		if d.absent.certain(k) {
			continue
		}
		if values[i], err = lookup(txn, d.bulk, k); err != nil {
			return nil, fmt.Errorf("reading a record: %w", err)
		}
		if values[i] == nil {
			d.missed(k)
		}
	}
	return values, nil
}

// Scan implements store.Engine.
func (d *DB) Scan(ctx context.Context, from, to []byte, reverse bool, f func(key, value []byte) bool) error {
	txn, end, err := d.snapshot(ctx)
	if err != nil {
		return err
	}
	defer end()
	n := 0
	err = walk(txn, d.bulk, from, to, reverse, func(k, v []byte) bool {
		// Asking costs a lock; a reader who gave up waits for at most so many records.
		if n++; n%256 == 0 && ctx.Err() != nil {
			return false
		}
		return f(k, v)
	})
	if err != nil {
		return fmt.Errorf("reading records in order: %w", err)
	}
	return ctx.Err()
}

// lookup returns a copy of a key's value, not nil even when it is empty, or nil when the key is absent.
func lookup(txn *badgerdb.Txn, bulk *bulk, key []byte) ([]byte, error) {
	item, err := txn.Get(key)
	if errors.Is(err, badgerdb.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	v, err := item.ValueCopy([]byte{})
	if err == nil && item.UserMeta() == metaBulk {
		return bulk.follow(key, v, nil)
	}
	if v == nil && err == nil {
		v = []byte{}
	}
	return v, err
}

// walk calls f for the keys of [from, to) in order; a nil bound is no bound.
func walk(txn *badgerdb.Txn, bulk *bulk, from, to []byte, reverse bool, f func(key, value []byte) bool) error {
	if to != nil && bytes.Compare(from, to) >= 0 {
		return nil
	}
	opts := badgerdb.DefaultIteratorOptions
	opts.Reverse = reverse
	opts.Prefix = shared(from, to) // lets Badger leave out tables
	it := txn.NewIterator(opts)
	defer it.Close()
	var buf []byte
	start := from
	if reverse {
		start = to
	}
	for it.Seek(start); it.Valid(); it.Next() {
		item := it.Item()
		k := item.Key()
		switch {
		case reverse && to != nil && bytes.Compare(k, to) >= 0:
			continue // Badger begins at the bound itself
		case reverse && bytes.Compare(k, from) < 0, !reverse && to != nil && bytes.Compare(k, to) >= 0:
			return nil
		}
		more := true
		err := item.Value(func(v []byte) (err error) {
			if item.UserMeta() == metaBulk {
				if buf, err = bulk.follow(k, v, buf); err != nil {
					return err
				}
				v = buf
			}
			more = f(k, v)
			return nil
		})
		if err != nil {
			return err
		}
		if !more {
			return nil
		}
	}
	return nil
}

// walkKeys calls f for the keys of [from, to) in ascending order until it returns false, and reads no values.
func walkKeys(txn *badgerdb.Txn, from, to []byte, f func(key []byte) bool) {
	if to != nil && bytes.Compare(from, to) >= 0 {
		return
	}
	opts := badgerdb.DefaultIteratorOptions
	opts.PrefetchValues = false
	opts.Prefix = shared(from, to)
	it := txn.NewIterator(opts)
	defer it.Close()
	for it.Seek(from); it.Valid(); it.Next() {
		if k := it.Item().Key(); to != nil && bytes.Compare(k, to) >= 0 || !f(k) {
			return
		}
	}
}

// shared is the longest beginning that all keys of [from, to) have in common.
func shared(from, to []byte) []byte {
	n := 0
	for n < len(from) && n < len(to) && from[n] == to[n] {
		n++
	}
	return from[:n]
}
