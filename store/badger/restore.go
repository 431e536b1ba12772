package badger

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"doorward/store"
)

// Own reports whether a record is the engine's own: the plate, the progress of a migration and the numbers of commits. They speak of one
// database's files and go into no backup.
func Own(key []byte) bool {
	return bytes.Equal(key, metaKey) || bytes.Equal(key, migrationKey) || bytes.HasPrefix(key, store.Key(store.KindMeta, "commit", []byte(nil)))
}

// Identity is what a store's plate says.
type Identity struct {
	Format int
	ID     string
	MadeBy string
	Made   time.Time
	Check  string // the MAC by which it knows its master key, hex
}

// Identity returns what the store's plate says. A half-migrated store has the format that it is being brought to: the steps so far (migrate.go)
// change where values lie and nothing that a backup holds.
func (d *DB) Identity() (Identity, error) {
	p, err := readPlate(d.dir)
	return Identity{Format: p.Format, ID: p.ID, MadeBy: p.MadeBy, Made: p.Made, Check: p.Check}, err
}

// Restore makes a store with the identity of another in the empty or absent directory of cfg: load puts its records in, by Commit. The plate
// is hung last, so that a crash leaves a directory that Open refuses; when load fails, the directory is left as it was. ErrForeign: cfg has
// another master key than as was made with. ErrNewer: as has a newer format.
//
// Nobody who held the lost store may go on under its epochs: they are raised above all that it can have given out meanwhile.
func Restore(cfg Config, as Identity, now time.Time, load func(*DB) error) (err error) {
	p := plate{Format: as.Format, ID: as.ID, MadeBy: as.MadeBy, Made: as.Made, Check: as.Check}
	if p.Format > Format {
		return fmt.Errorf("%w: the backup has format %d, this program knows up to %d; use the newer doorward", store.ErrNewer, p.Format, Format)
	}
	if p.Check != hex.EncodeToString(cfg.Check[:]) {
		return fmt.Errorf("%w: the backup is of a store with another master key; point DOORWARD_KEY_FILE at the right key, nothing was touched", store.ErrForeign)
	}
	if found, err := contents(cfg.Dir); err != nil || len(found) > 0 {
		return errors.Join(err, fmt.Errorf("restoring a store: %s is not empty; name another directory", cfg.Dir))
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, empty(cfg.Dir))
		}
	}()
	if err := prepare(cfg); err != nil {
		return err
	}
	lock, err := hold(cfg.Dir)
	if err != nil {
		return err
	}
	if p.Format < Format { // it is loaded as Format, which an older program must not open; the next Open ends the migration
		p.Format, p.From = Format, p.Format
	}
	if err := engrave(cfg, p); err != nil {
		return errors.Join(err, lock.Close())
	}
	d, _, err := openHeld(cfg, p)
	if err != nil {
		return errors.Join(err, lock.Close())
	}
	d.lock = lock
	if err = load(d); err == nil {
		err = d.raiseEpochs(now)
	}
	if err = errors.Join(err, d.Close()); err != nil {
		return err
	}
	return p.hang(cfg.Dir)
}

// raiseEpochs puts every epoch above those that the lost store gave out after the backup: the upper half of an epoch counts lives of a store,
// and is the time of its restoration in seconds, so that two restorations of one backup differ too.
func (d *DB) raiseEpochs(now time.Time) error {
	from := store.Key(store.KindEpoch)
	b := &store.Batch{Shard: store.NoShard}
	var bad error
	err := d.Scan(context.Background(), from, store.After(from), false, func(k, v []byte) bool {
		if len(v) < 8 {
			bad = fmt.Errorf("the epoch at %x is damaged", k)
			return false
		}
		life := max(binary.BigEndian.Uint64(v)>>32+1, uint64(now.Unix()))
		b.Put = append(b.Put, store.Pair{Key: bytes.Clone(k), Value: append(binary.BigEndian.AppendUint64(nil, life<<32), "restored"...)})
		return true
	})
	if err := errors.Join(err, bad); err != nil {
		return fmt.Errorf("reading the epochs: %w", err)
	}
	if _, err := d.Commit(context.Background(), b); err != nil {
		return fmt.Errorf("raising the epochs: %w", err)
	}
	return nil
}

// empty removes what Restore has put into a directory that was empty before.
func empty(dir string) error {
	found, err := contents(dir)
	if err != nil {
		return err
	}
	for _, name := range found {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, name)))
	}
	return err
}
