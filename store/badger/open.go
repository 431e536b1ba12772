package badger

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"doorward/store"

	badgerdb "github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"
)

// Create makes a store in an empty or absent directory and opens it. The plate is hung last: an interrupted Create leaves a directory
// that Open refuses.
func Create(cfg Config) (*DB, error) {
	if err := prepare(cfg); err != nil {
		return nil, err
	}
	p := newPlate(cfg)
	if err := engrave(cfg, p); err != nil {
		return nil, err
	}
	if err := p.hang(cfg.Dir); err != nil {
		return nil, err
	}
	return Open(cfg)
}

// prepare takes an empty or absent directory for a new store.
func prepare(cfg Config) error {
	found, err := contents(cfg.Dir)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return fmt.Errorf("making a store: %s is not empty (it holds %s); name another directory", cfg.Dir, found[0])
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("making a store: %w", err)
	}
	if err := os.Mkdir(cfg.state(), 0o700); err != nil { // not MkdirAll: of two at once one fails here
		return fmt.Errorf("making a store: %w", err)
	}
	guard, err := newGuard(cfg)
	if err != nil {
		return err
	}
	return guard.layBallast()
}

// engrave makes the database with the plate's record in it.
func engrave(cfg Config, p plate) error {
	b, err := openFiles(cfg.Dir, stateOptions(cfg.state(), cfg.log()))
	if err != nil {
		return err
	}
	p.From = 0
	err = b.Update(func(txn *badgerdb.Txn) error { return txn.Set(metaKey, p.encode()) })
	if err := errors.Join(err, b.Close()); err != nil {
		return fmt.Errorf("making a store in %s: %w", cfg.Dir, err)
	}
	return nil
}

// Open opens the store that Create made. store.ErrEmpty, ErrForeign, ErrNewer and ErrInUse say why it is refused, and nothing was
// touched then; store.ErrFull says that there is not even room to start; ErrDamaged that files are damaged or acknowledged commits are
// missing. A store of an older format is brought to Format first (Config.Older, Config.Before); when that fails, the next Open goes on.
func Open(cfg Config) (*DB, error) {
	p, lock, err := admit(cfg)
	if err != nil {
		return nil, err
	}
	d, p, err := openHeld(cfg, p)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	d.lock = lock
	if p.From > 0 && cfg.Older == Migrate {
		if err := d.migrate(cfg, p); err != nil {
			return nil, errors.Join(err, d.Close())
		}
	}
	return d, nil
}

// admit reads the door plate, refuses a store that is not cfg's, and holds it. Nothing else has been touched then.
func admit(cfg Config) (plate, *os.File, error) {
	p, err := readPlate(cfg.Dir)
	if err != nil {
		return p, nil, err
	}
	if err := p.fits(cfg); err != nil {
		return p, nil, err
	}
	lock, err := hold(cfg.Dir)
	return p, lock, err
}

// openHeld opens the files. The plate it returns is the one at the door now: a store that is about to be migrated has got a new one.
func openHeld(cfg Config, p plate) (*DB, plate, error) {
	guard, err := newGuard(cfg)
	if err != nil {
		return nil, p, err
	}
	if err := guard.roomToStart(); err != nil {
		return nil, p, err
	}
	if err := askBefore(cfg, p); err != nil {
		return nil, p, err
	}
	b, changing, err := openState(cfg, p)
	if err != nil {
		return nil, p, err
	}
	if err := sameStore(cfg.Dir, b, p); err != nil {
		return nil, p, errors.Join(err, b.Close())
	}
	numbers, err := openNumbers(cfg.Dir, b, changing, cfg.log())
	if err != nil {
		return nil, p, errors.Join(err, b.Close())
	}
	if p.Format < Format && cfg.Older == Migrate {
		if p, err = beginMigration(cfg.Dir, p); err != nil {
			return nil, p, errors.Join(err, numbers.close(), b.Close())
		}
	}
	var bulk *bulk
	if p.Format >= bulkFormat {
		if bulk, err = findBulk(cfg, b); err != nil {
			return nil, p, errors.Join(err, numbers.close(), b.Close())
		}
	}
	d := newDB(cfg, b, guard, numbers, bulk)
	d.id = p.ID
	return d, p, nil
}

// openState opens Badger's files; changing says that they may be written.
func openState(cfg Config, p plate) (b *badgerdb.DB, changing bool, err error) {
	opts := stateOptions(cfg.state(), cfg.log())
	if err := checkTables(opts); err != nil {
		return nil, false, damaged(cfg.Dir, err)
	}
	changing = true
	if p.Format < Format && cfg.Older == Look {
		// Badger removes its logs when it is closed, and can't open one that it finds without cutting it.
		logs, err := filepath.Glob(filepath.Join(cfg.state(), "*.mem"))
		if err != nil {
			return nil, false, fmt.Errorf("looking for logs: %w", err)
		}
		changing = len(logs) > 0
	}
	b, err = openFiles(cfg.Dir, opts.WithReadOnly(!changing))
	return b, changing, err
}

// findBulk reads the records of the bulk kinds, without their values, and opens what they name.
func findBulk(cfg Config, b *badgerdb.DB) (*bulk, error) {
	live := make(map[string]ref)
	err := b.View(func(txn *badgerdb.Txn) error { return eachRef(txn, func(key []byte, r ref) { live[string(key)] = r }) })
	if err != nil {
		return nil, damaged(cfg.Dir, err)
	}
	bulk, err := openBulk(cfg.bulk(), cmp.Or(cfg.segment, segmentSize), live)
	if err != nil {
		return nil, damaged(cfg.Dir, err)
	}
	return bulk, nil
}

func sameStore(dir string, b *badgerdb.DB, p plate) error {
	return b.View(func(txn *badgerdb.Txn) error {
		v, err := lookup(txn, nil, metaKey)
		if err != nil {
			return fmt.Errorf("reading the identity of the store in %s: %w", dir, err)
		}
		if !p.madeWith(v) {
			return fmt.Errorf("%w: %s in %s belongs to another database; restore both from one backup", store.ErrForeign, plateName, dir)
		}
		return nil
	})
}

// OpenScratch opens, or makes, a database that can be rebuilt from elsewhere (store/history): not synced, without plate, guard and commit
// numbers. ErrDamaged means that deleting the directory is safe and all that is to be done; store.ErrForeign that it is somebody else's.
func OpenScratch(dir string, log *slog.Logger) (*DB, error) {
	cfg := Config{Dir: dir, Log: log}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making %s: %w", dir, err)
	}
	lock, err := hold(dir)
	if err != nil {
		return nil, err
	}
	b, err := openScratchHeld(cfg)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	d := newDB(cfg, b, nil, nil, nil)
	d.lock = lock
	return d, nil
}

func openScratchHeld(cfg Config) (*badgerdb.DB, error) {
	found, err := contents(cfg.Dir)
	if err != nil {
		return nil, err
	}
	opts := scratchOptions(cfg.state(), cfg.log())
	switch {
	case len(found) == 0:
	case !slices.Contains(found, filepath.Base(opts.Dir)):
		return nil, fmt.Errorf("%w: %s holds %s; name another directory", store.ErrForeign, cfg.Dir, found[0])
	default:
		if err := checkTables(opts); err != nil {
			return nil, damaged(cfg.Dir, err)
		}
	}
	return openFiles(cfg.Dir, opts)
}

// openFiles opens Badger's own files. Damaged ones make it panic rather than return; a panic of this goroutine becomes an error here,
// and checkTables has looked before at what it reads in goroutines of its own.
func openFiles(dir string, opts badgerdb.Options) (b *badgerdb.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			b, err = nil, damaged(dir, fmt.Errorf("badger: %v", r))
		}
	}()
	if err := removeUnborn(opts); err != nil {
		return nil, err
	}
	if b, err = badgerdb.Open(opts); err != nil {
		return nil, damaged(dir, err)
	}
	return b, nil
}

// removeUnborn removes logs of no length. Badger makes a log and then gives it its length; a process that is killed between the two leaves
// one in which nothing was ever written, and Badger does not open then ("Create a new file").
func removeUnborn(opts badgerdb.Options) error {
	for _, pattern := range []string{filepath.Join(opts.Dir, "*.mem"), filepath.Join(opts.ValueDir, "*.vlog")} {
		logs, err := filepath.Glob(pattern)
		if err != nil {
			return fmt.Errorf("looking for logs: %w", err)
		}
		for _, l := range logs {
			st, err := os.Stat(l)
			if err == nil && st.Size() == 0 {
				err = os.Remove(l)
			}
			if err != nil {
				return fmt.Errorf("looking at a log: %w", err)
			}
		}
	}
	return nil
}

// hold takes the directory for this process, before its files are looked at: another process may be rewriting them.
func hold(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the store's directory: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case err == nil:
		return f, nil
	case errors.Is(err, unix.EWOULDBLOCK):
		err = fmt.Errorf("%w: %s is open in another doorward; stop that one, or use its commands while it runs", store.ErrInUse, dir)
		return nil, errors.Join(err, f.Close())
	}
	return nil, errors.Join(fmt.Errorf("locking %s: %w", dir, err), f.Close())
}

// ErrDamaged says that the files of the store are damaged, or that commits which were acknowledged are missing from them.
var ErrDamaged = errors.New("store: damaged")

// damaged says what to do. A start on an empty store loses what only the store has: states, factors, recoveries, the journal.
func damaged(dir string, err error) error {
	return fmt.Errorf("%w: %s: %w; `doorward store verify --store %s` names the damaged files; restore a backup of the store",
		ErrDamaged, dir, err, dir)
}
