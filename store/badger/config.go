package badger

import (
	"log/slog"
	"path/filepath"

	"doorward/store"

	badgerdb "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// Config says which store to make or open.
type Config struct {
	Dir     string       // the store's directory
	Check   [32]byte     // a MAC made with the installation's master key; the store keeps it and never sees the key
	Version string       // of the program that makes the store, kept in its plate
	Guard   Guard        // when to stop writing; the zero value is what a server wants
	Log     *slog.Logger // nil: slog.Default()

	Older Older // what becomes of a store with an older format
	// Before is asked before anything is changed in a store that Open is about to bring from an older format to Format; get reads its records,
	// nil for one that is not there. An error refuses. nil: nobody is asked. It is not asked again about a migration that has begun.
	Before func(from int, get func(key []byte) ([]byte, error)) error

	batch   migration // limits and hooks of a migration. Tests have their own.
	segment int64     // bytes of a bulk segment; 0: segmentSize. Tests have small ones.
}

// Older says what becomes of a store with an older format than this program's.
type Older int

const (
	Migrate Older = iota // Open brings it to Format, or goes on with that
	Keep                 // it stays as it is, also half-way, and what is written fits its format
	Look                 // like Keep, and no file changes: nothing can be written. After a kill Badger's log is replayed, as at any start.
)

func (c *Config) log() *slog.Logger {
	if c.Log == nil {
		return slog.Default()
	}
	return c.Log
}

func (c *Config) bulk() string  { return filepath.Join(c.Dir, bulkName) }
func (c *Config) state() string { return filepath.Join(c.Dir, "state") }

// memTable is the size of Badger's write buffer. Badger takes 15 % of it in one transaction, which must be more than
// [store.MaxBatch] with what Badger adds to every key.
const memTable = 64 << 20

// Badger's limits of one transaction, as it derives them from memTable (db.go, checkAndSetOptions; 96 is skl.MaxNodeSize).
const (
	maxTxnBytes = memTable * 15 / 100
	maxTxnKeys  = maxTxnBytes / 96
	perKey      = 24 // more than Badger counts beside key and value: 8 of version, 2 of meta, 10 of slack
)

// inline is below what Badger keeps beside its key. Its value log is never reclaimed (issue #2334) and could bring deleted keys back
// (#2310), so nothing may go there.
const inline = 1 << 20

// This does not compile when a batch or a line of the contract's size would not fit.
const (
	_ = uint(maxTxnBytes - 65 - store.MaxBatch - (store.MaxBatchKeys+maxLogs)*perKey - maxLogs*(maxLogName+8+store.HashSize))
	_ = uint(maxTxnKeys - 3 - store.MaxBatchKeys - maxLogs)
	_ = uint(inline - 1 - store.MaxValue - store.HashSize)
)

// stateOptions are those of the store of record. SyncWrites: without it a power cut loses acknowledged commits (measured: 20,797 of
// 149,292), and calling Sync afterwards is no substitute, since it misses logs already rotated. Both checksum modes: without them a
// flipped bit gives a key its neighbour's value.
func stateOptions(dir string, log *slog.Logger) badgerdb.Options {
	return badgerdb.DefaultOptions(dir).
		WithSyncWrites(true).
		WithChecksumVerificationMode(options.OnTableAndBlockRead).
		WithVerifyValueChecksum(true).
		WithNumVersionsToKeep(1).
		WithDetectConflicts(false).
		WithValueThreshold(inline).
		WithValueLogFileSize(64 << 20).
		WithMemTableSize(memTable).
		WithNumCompactors(2).
		WithNumGoroutines(2).
		WithBlockCacheSize(32 << 20).
		WithIndexCacheSize(16 << 20).
		WithLogger(quiet{log})
}

// scratchOptions are those of a database that can be rebuilt: no sync, smaller buffers.
func scratchOptions(dir string, log *slog.Logger) badgerdb.Options {
	return stateOptions(dir, log).WithSyncWrites(false).WithNumMemtables(2).WithBlockCacheSize(16 << 20)
}
