package badger

import (
	"crypto/hmac"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"doorward/store"
)

// Format is the number of the layout this program writes. It grows when an older program could misread what a newer one wrote; migrate.go
// brings older stores to it.
//
//	1  every value in Badger
//	2  large values of the bulk kinds in segments
const Format = 2

const plateName = "doorward.json"

// plate is what stands at the door of a store directory, and once more inside the database under metaKey, so that a plate hung before
// another database is noticed. The JSON names never change; a plate of a newer format must still be readable as far as "format".
type plate struct {
	Format int       `json:"format"`
	ID     string    `json:"id"`
	MadeBy string    `json:"made_by"`
	Made   time.Time `json:"made"`
	Check  string    `json:"check"`
	// From is the format that the store is being brought from, 0 when it is all of Format. Never inside the database.
	From int `json:"migrating_from,omitempty"`
}

var metaKey = store.Key(store.KindMeta, "store")

func newPlate(cfg Config) plate {
	var id [16]byte
	rand.Read(id[:]) // never fails: crypto/rand ends the process instead
	return plate{
		Format: Format,
		ID:     hex.EncodeToString(id[:]),
		MadeBy: cfg.Version,
		Made:   time.Now().UTC().Truncate(time.Second),
		Check:  hex.EncodeToString(cfg.Check[:]),
	}
}

func (p plate) encode() []byte {
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		panic("badger: a plate of strings and numbers always encodes: " + err.Error())
	}
	return append(b, '\n')
}

// readPlate says what is in the directory without touching it.
func readPlate(dir string) (plate, error) {
	b, err := os.ReadFile(filepath.Join(dir, plateName))
	if errors.Is(err, fs.ErrNotExist) {
		return plate{}, noPlate(dir)
	}
	if err != nil {
		return plate{}, fmt.Errorf("reading the plate of the store: %w", err)
	}
	var p plate
	if err := json.Unmarshal(b, &p); err != nil || p.Format < 1 {
		return plate{}, fmt.Errorf("%w: %s is damaged or not Doorward's; name another directory, or restore a backup",
			store.ErrForeign, filepath.Join(dir, plateName))
	}
	if p.Format > Format {
		return plate{}, fmt.Errorf("%w: %s has format %d, this program knows up to %d; start the newer doorward, nothing was touched",
			store.ErrNewer, dir, p.Format, Format)
	}
	if p.From != 0 && (p.From < 1 || p.From >= p.Format || p.Format != Format) {
		return plate{}, fmt.Errorf("%w: %s speaks of a migration from format %d to %d, which this program can't end; start the doorward that began it",
			store.ErrForeign, filepath.Join(dir, plateName), p.From, p.Format)
	}
	return p, nil
}

func noPlate(dir string) error {
	found, err := contents(dir)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("%w: %s is empty; make a store with `doorward init --store %s`", store.ErrEmpty, dir, dir)
	}
	return fmt.Errorf("%w: %s holds %s but no %s; name the right directory, or, if an init was interrupted here, empty it and run it again",
		store.ErrForeign, dir, found[0], plateName)
}

// contents names what a directory holds; one that does not exist holds nothing, and a file system's lost+found is nobody's.
func contents(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking into the store's directory: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.Name() != "lost+found" {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// fits compares the plate with the key the caller has.
func (p plate) fits(cfg Config) error {
	check, err := hex.DecodeString(p.Check)
	if err != nil || !hmac.Equal(check, cfg.Check[:]) {
		return fmt.Errorf("%w: the master key is not the one %s was made with; point DOORWARD_KEY_FILE at the right key, nothing was touched",
			store.ErrForeign, cfg.Dir)
	}
	return nil
}

// madeWith says whether p was this record inside the database: it keeps the format that the store was made with.
func (p plate) madeWith(record []byte) bool {
	p.From = 0
	for p.Format = Format; p.Format > 0; p.Format-- {
		if string(record) == string(p.encode()) {
			return true
		}
	}
	return false
}

// hang writes the plate so that it is either there whole or not at all.
func (p plate) hang(dir string) error {
	path := filepath.Join(dir, plateName)
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("writing the plate of the store: %w", err)
	}
	_, err = f.Write(p.encode())
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("writing the plate of the store: %w", err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
