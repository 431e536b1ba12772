package badger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"doorward/store"
	"doorward/store/journal"

	badgerdb "github.com/dgraph-io/badger/v4"
)

// A store of an older format is brought to Format by the steps between them, each in batches that are committed like any others:
//
//  1. The plate is changed first: it says Format, and from where the store is coming. A crash before: the old store, untouched. From here on
//     older programs refuse it as newer, because they would take the place of a moved value for the value; a newer one goes on.
//  2. Each batch carries, in its transaction, how far it came. A crash: the next Open goes on behind it.
//  3. The last batch carries the journal's entry, and that the steps are done. A crash before the plate: the next Open only does 4.
//  4. The plate says Format and nothing else.
//
// A step may be run again over what it has already done.

// bulkFormat is the first format with segments.
const bulkFormat = 2

// steps bring a store from the format of their index to the next one.
var steps = [Format]func(*DB, *migration, *advance) error{1: moveInline}

// advance is the record at migrationKey: how far a migration came. Names are added, never changed.
type advance struct {
	From    int       `json:"from"`
	To      int       `json:"to"`
	Began   time.Time `json:"began"`
	Step    int       `json:"step"`           // the format that the step under way begins with
	Next    []byte    `json:"next,omitempty"` // that step goes on with this key
	Records uint64    `json:"records"`        // written anew so far
	Bytes   uint64    `json:"bytes"`          // of their values
	Done    bool      `json:"done"`
}

var migrationKey = store.Key(store.KindMeta, "migration")

// migration bounds the batches: what one holds in memory, twice, and what its transaction and its sync take.
type migration struct {
	keys  int               // most records of a batch; 0: 4,096
	bytes int               // a batch ends with the value that reaches it; 0: half of store.MaxBatch
	after func(n int) error // called after batch n, from 1; tests end here
	done  int               // batches so far
}

// reportEvery is how many bytes go by between two lines of the log: a few seconds of a slow disk.
const reportEvery = 256 << 20

// askBefore asks Config.Before about a store of an older format, without changing its files as far as [Look] can.
func askBefore(cfg Config, p plate) (err error) {
	if p.Format == Format || cfg.Older != Migrate || cfg.Before == nil {
		return nil
	}
	cfg.Older = Look
	b, _, err := openState(cfg, p)
	if err != nil {
		return err
	}
	err = sameStore(cfg.Dir, b, p)
	if err == nil {
		err = b.View(func(txn *badgerdb.Txn) error {
			return cfg.Before(p.Format, func(key []byte) ([]byte, error) { return lookup(txn, nil, key) })
		})
	}
	return errors.Join(err, b.Close())
}

// beginMigration hangs the plate of a store that is being migrated.
func beginMigration(dir string, p plate) (plate, error) {
	p.Format, p.From = Format, p.Format
	return p, p.hang(dir)
}

// migrate does what is left of a migration.
func (d *DB) migrate(cfg Config, p plate) error {
	a, err := d.advanced(p)
	if err != nil {
		return err
	}
	m := cfg.batch
	d.log.Info("migrating the store", "dir", d.dir, "from", a.From, "to", a.To, "records", a.Records, "bytes", a.Bytes)
	for !a.Done {
		if a.Step < a.To {
			err = steps[a.Step](d, &m, &a)
		} else {
			err = d.endMigration(&a)
		}
		if err != nil {
			return fmt.Errorf("migrating %s from format %d to %d: %w; what is done is kept, the next start goes on", d.dir, a.From, a.To, err)
		}
	}
	p.From = 0
	if err := p.hang(d.dir); err != nil {
		return err
	}
	d.log.Info("the store is migrated", "dir", d.dir, "from", a.From, "to", a.To, "records", a.Records, "bytes", a.Bytes)
	return nil
}

// advanced reads how far the migration came that the plate speaks of.
func (d *DB) advanced(p plate) (a advance, err error) {
	v, err := d.Get(context.Background(), migrationKey)
	if err != nil {
		return a, err
	}
	if v[0] != nil {
		if err := json.Unmarshal(v[0], &a); err != nil {
			return a, damaged(d.dir, fmt.Errorf("reading how far its migration came: %w", err))
		}
	}
	if a.From == p.From && a.To == p.Format && a.Step >= a.From && a.Step <= a.To {
		return a, nil
	}
	return advance{From: p.From, To: p.Format, Step: p.From, Began: time.Now().UTC()}, nil // none, or one of long ago
}

// endMigration lets the journal know, and the next Open that nothing is left but the plate.
func (d *DB) endMigration(a *advance) error {
	next := *a
	next.Done = true
	line, err := journal.Append(journal.Entry{At: time.Now().UTC(), Kind: journal.Migrated, By: "doorward", Shard: -1,
		From: fmt.Sprint(a.From), To: fmt.Sprint(a.To),
		Detail: map[string]string{"records": fmt.Sprint(a.Records), "bytes": fmt.Sprint(a.Bytes), "began": a.Began.Format(time.RFC3339)}})
	if err != nil {
		return err
	}
	return d.advanceBy(a, next, &store.Batch{Shard: store.NoShard, Append: []store.Append{line}})
}

// advanceBy commits a batch with how far the migration is after it.
func (d *DB) advanceBy(a *advance, next advance, b *store.Batch) error {
	v, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("encoding how far the migration came: %w", err)
	}
	b.Put = append(b.Put, store.Pair{Key: migrationKey, Value: v})
	if _, err := d.Commit(context.Background(), b); err != nil {
		return err
	}
	if next.Bytes/reportEvery != a.Bytes/reportEvery {
		d.log.Info("migrating the store", "dir", d.dir, "records", next.Records, "bytes", next.Bytes, "at", fmt.Sprintf("%x", next.Next))
	}
	*a = next
	return nil
}

// moveInline is the step from 1 to 2: large values of the bulk kinds that lie in Badger are put again, so that they get into segments. Nobody
// else writes: the store is not open yet.
func moveInline(d *DB, m *migration, a *advance) error {
	for {
		puts, next, err := d.inlineBulk(a.Next, m)
		if err != nil {
			return err
		}
		then := *a
		for _, p := range puts {
			then.Records++
			then.Bytes += uint64(len(p.Value))
		}
		if then.Next = next; next == nil {
			then.Step++
		}
		if err := d.advanceBy(a, then, &store.Batch{Shard: store.NoShard, Put: puts}); err != nil {
			return err
		}
		if m.done++; m.after != nil {
			if err := m.after(m.done); err != nil {
				return err
			}
		}
		if next == nil {
			return nil
		}
	}
}

// inlineBulk collects a batch of large values of the bulk kinds that lie in Badger, from a key on; next is where the one after it begins, nil
// when there is none.
func (d *DB) inlineBulk(from []byte, m *migration) (puts []store.Pair, next []byte, err error) {
	txn, end, err := d.snapshot(context.Background())
	if err != nil {
		return nil, nil, err
	}
	defer end()
	keys, room := m.keys, m.bytes
	if keys == 0 {
		keys = 4096
	}
	if room == 0 {
		room = store.MaxBatch / 2
	}
	for kind := range math.MaxUint8 + 1 {
		prefix := []byte{byte(kind)}
		if !store.Bulk(byte(kind)) || kind < math.MaxUint8 && bytes.Compare(store.After(prefix), from) <= 0 {
			continue
		}
		start := prefix
		if bytes.HasPrefix(from, prefix) {
			start = from
		}
		opts := badgerdb.DefaultIteratorOptions
		opts.PrefetchValues = false // most are small, and Badger keeps all of them beside their keys
		opts.Prefix = prefix
		it := txn.NewIterator(opts)
		for it.Seek(start); it.Valid(); it.Next() {
			item := it.Item()
			if item.UserMeta() == metaBulk || item.ValueSize() < bulkLeast {
				continue
			}
			if len(puts) == keys || room <= 0 {
				next = item.KeyCopy(nil)
				break
			}
			v, err := item.ValueCopy(nil)
			if err != nil {
				it.Close()
				return nil, nil, fmt.Errorf("reading a value to move: %w", err)
			}
			puts = append(puts, store.Pair{Key: item.KeyCopy(nil), Value: v})
			room -= len(v)
		}
		it.Close()
		if next != nil {
			return puts, next, nil
		}
	}
	return puts, nil, nil
}
