package store

import (
	"context"
	"errors"
)

// Engine is everything Doorward asks of a database. Implementations are safe for concurrent use.
type Engine interface {
	// Get returns the values of keys in their order, nil where a key is absent, all from one moment. The values belong to the caller.
	Get(ctx context.Context, keys ...[]byte) ([][]byte, error)

	// Scan calls f for every key in [from, to) in ascending order, or descending when reverse is set, all from one moment, until f
	// returns false. The slices are only good during the call.
	Scan(ctx context.Context, from, to []byte, reverse bool, f func(key, value []byte) bool) error

	// Claim makes owner the one writer of a shard and returns its epoch, greater than every one before. Commits under an earlier
	// epoch are refused from then on.
	Claim(ctx context.Context, shard int, owner string) (epoch uint64, err error)

	// Commit applies b whole or not at all. When it returns nil, b is on disk, and the positions are those that b.Append was given,
	// in order. ErrFenced: the shard has a new owner, nothing was applied. *Conflict: an expectation failed, nothing was applied.
	// Any other error leaves it open whether b was applied; who cannot bear that reads again.
	Commit(ctx context.Context, b *Batch) (positions []uint64, err error)

	// Close waits for what is under way and releases the store.
	Close() error
}

// NoShard is the Shard of a batch that speaks for no shard: only its expectations guard it.
const NoShard = -1

// Batch is what is committed together. Keys and values are not kept after Commit. Deletes go before puts, so that a key in both is there
// afterwards; of two puts of one key the last stands.
type Batch struct {
	Shard       int    // the shard this batch speaks for, or NoShard
	Epoch       uint64 // as Claim returned it; ignored for NoShard
	Expect      []Expect
	Put         []Pair
	Delete      [][]byte // absent keys are fine
	DeleteRange []Range
	Append      []Append
}

// Expect demands that Key has exactly Value now; a nil Value demands that Key is absent.
type Expect struct{ Key, Value []byte }

// Pair is a key with the value it gets.
type Pair struct{ Key, Value []byte }

// Range deletes the first Most keys that lie in [From, To) once Delete is done; an empty range is fine. Most is at least 1, all ranges of a
// batch together at most MaxBatchKeys with its other keys: who does not know how many keys there are deletes some with each batch until
// a Scan finds none. Ranges that move on are cheap; one that begins where much was deleted lately may cost a walk over that.
type Range struct {
	From, To []byte
	Most     int
}

// Append puts Value at the end of a log: gap-free positions from 1, each line chained to the one before it by SHA-256 (see Chain).
type Append struct {
	Log   Log
	Value []byte
}

// MaxBatch is the most bytes of keys and values that one batch may carry, and MaxBatchKeys the most keys (puts, deletes, appends and what
// its ranges may delete, together). An engine must take a batch of this size; larger ones may be refused.
// Source: Badger takes 15 % of a 64 MiB memtable, 9.6 MiB and 104,857 entries, in one transaction (reference: architecture 3.2).
const (
	MaxBatch     = 8 << 20
	MaxBatchKeys = 50_000
)

// MaxValue is the longest value of a pair or of a line that an engine must take, in bytes. Source: Badger keeps values below 1 MiB beside
// their keys, and the stored form of a line is 32 bytes longer than its value.
const MaxValue = 1<<20 - 64

var (
	// ErrFenced says that another process or goroutine has claimed the shard since: stop, drop the memory, claim again if meant to.
	ErrFenced = errors.New("store: the shard was claimed by another owner")
	// ErrFull says that the disk guard stopped writing long before the disk is full; reading goes on.
	ErrFull = errors.New("store: too little free disk")
	// ErrEmpty says that the directory holds no store: `doorward init` makes one.
	ErrEmpty = errors.New("store: no store here")
	// ErrForeign says that the directory holds something that is not a Doorward store, or one sealed under another key.
	ErrForeign = errors.New("store: not a store of this installation")
	// ErrNewer says that a newer Doorward wrote the store; it is never touched.
	ErrNewer = errors.New("store: written by a newer version")
	// ErrInUse says that another process holds the store.
	ErrInUse = errors.New("store: held by another process")
	// ErrBroken says that a write failed in a way that leaves its outcome open, and that the engine does nothing more until a new process
	// opens the store: end the process.
	ErrBroken = errors.New("store: stopped after a failed write")
	// ErrClosed says that the engine was closed.
	ErrClosed = errors.New("store: closed")
)

// Conflict is the error of a Commit whose expectation number Index failed.
type Conflict struct {
	Index int
	Key   []byte
}

func (c *Conflict) Error() string { return "store: a record changed meanwhile" }
