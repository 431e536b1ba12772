package badger

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"

	badgerdb "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/ristretto/v2/z"
)

// Problem is a damaged file.
type Problem struct {
	File string `json:"file"`
	What string `json:"what"`
}

// Verify reads every table and every bulk value of the store in cfg.Dir and names the damaged files. It holds the store meanwhile. Bulk
// values are read only when the tables are whole, since they say where they are; for that the database is opened as at any start. That
// acknowledged commits are missing is a problem of the log. A store of an older format is left as it is ([Look]). progress may be nil; it is told how many tables and values are done and to do.
func Verify(cfg Config, progress func(done, of int)) ([]Problem, error) {
	p, lock, err := admit(cfg)
	if err != nil {
		return nil, err
	}
	problems := verifyTables(cfg, progress)
	if len(problems) == 0 {
		problems, err = verifyBulk(cfg, p, progress)
	}
	return problems, errors.Join(err, lock.Close())
}

func verifyTables(cfg Config, progress func(done, of int)) (problems []Problem) {
	err := eachTable(stateOptions(cfg.state(), cfg.log()), func(name string, err error, done, of int) bool {
		if err != nil {
			problems = append(problems, Problem{File: name, What: err.Error()})
		}
		if progress != nil {
			progress(done, of)
		}
		return true
	})
	if err != nil {
		problems = append(problems, Problem{File: filepath.Join(cfg.state(), badgerdb.ManifestFilename), What: err.Error()})
	}
	return problems
}

func verifyBulk(cfg Config, p plate, progress func(done, of int)) ([]Problem, error) {
	cfg.Older = Look
	d, _, err := openHeld(cfg, p)
	if errors.Is(err, ErrDamaged) {
		return []Problem{{File: cfg.state(), What: err.Error()}}, nil
	}
	if err != nil {
		return nil, err
	}
	problems, err := d.VerifyBulk(progress)
	return problems, errors.Join(err, d.Close())
}

// VerifyBulk reads every bulk value of an open store against its checksum. Commits go on meanwhile.
func (d *DB) VerifyBulk(progress func(done, of int)) ([]Problem, error) {
	if d.bulk == nil {
		return nil, nil
	}
	txn, end, err := d.snapshot(context.Background())
	if err != nil {
		return nil, err
	}
	defer end()
	type value struct {
		key string
		at  ref
	}
	var values []value
	if err := eachRef(txn, func(key []byte, at ref) { values = append(values, value{string(key), at}) }); err != nil {
		return nil, err
	}
	slices.SortFunc(values, func(a, b value) int {
		return cmp.Or(cmp.Compare(a.at.segment, b.at.segment), cmp.Compare(a.at.offset, b.at.offset))
	})
	var problems []Problem
	var buf []byte
	for i, v := range values {
		if buf, err = d.bulk.read([]byte(v.key), v.at, buf); err != nil {
			problems = append(problems, Problem{File: d.bulk.path(v.at.segment), What: err.Error()})
		}
		if progress != nil {
			progress(i+1, len(values))
		}
	}
	return problems, nil
}

// checkTables reads every table, every block against its checksum, until one is damaged. Badger does the same while opening, but in
// goroutines whose panics nobody can catch (measured: 177 of 200 flipped bits ended the process), and it leaves out, with a log line, a
// table whose checksum is wrong.
func checkTables(opts badgerdb.Options) error {
	var bad error
	err := eachTable(opts, func(name string, err error, _, _ int) bool {
		if err != nil {
			bad = fmt.Errorf("table %s: %w", name, err)
		}
		return err == nil
	})
	return errors.Join(err, bad)
}

// eachTable reads the tables that the manifest names and tells f of each, until f returns false.
func eachTable(opts badgerdb.Options, f func(name string, err error, done, of int) bool) error {
	path := filepath.Join(opts.Dir, badgerdb.ManifestFilename)
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("opening the manifest: %w", err)
	}
	defer file.Close()
	manifest, err := replayManifest(file, opts)
	if err != nil {
		return fmt.Errorf("reading the manifest %s: %w", path, err)
	}
	ids := slices.Sorted(maps.Keys(manifest.Tables))
	for i, id := range ids {
		name := table.NewFilename(id, opts.Dir)
		if !f(name, checkTable(name, manifest.Tables[id].Compression, opts.BlockSize), i+1, len(ids)) {
			return nil
		}
	}
	return nil
}

func replayManifest(f *os.File, opts badgerdb.Options) (m badgerdb.Manifest, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("badger: %v", r)
		}
	}()
	m, end, err := badgerdb.ReplayManifestFile(f, opts.ExternalMagicVersion, opts)
	if err != nil {
		return m, err
	}
	return m, checkTail(f, end)
}

// checkTail tells a last record torn by a power cut, which is nobody's loss, from damage in the middle: Badger takes both for the end,
// and would delete the tables that the rest of the manifest names. A whole record behind the end means damage. A record is its length,
// its CRC-32C, and so many bytes (manifest.go).
func checkTail(f *os.File, end int64) error {
	info, err := f.Stat()
	if err != nil || info.Size() == end {
		return err
	}
	tail := make([]byte, info.Size()-end)
	if _, err := f.ReadAt(tail, end); err != nil {
		return err
	}
	for at := 1; at+8 < len(tail); at++ {
		length := int64(binary.BigEndian.Uint32(tail[at:]))
		body := tail[at+8:]
		if length == 0 || length > int64(len(body)) {
			continue
		}
		if crc32.Checksum(body[:length], crc32.MakeTable(crc32.Castagnoli)) == binary.BigEndian.Uint32(tail[at+4:]) {
			return fmt.Errorf("damaged at byte %d", end)
		}
	}
	return nil
}

func checkTable(name string, compression options.CompressionType, blockSize int) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("badger: %v", r)
		}
	}()
	if err := checkFooter(name); err != nil {
		return err
	}
	mf, err := z.OpenMmapFile(name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	t, err := table.OpenTable(mf, table.Options{
		ReadOnly:    true,
		BlockSize:   blockSize,
		Compression: compression,
		ChkMode:     options.OnTableAndBlockRead,
	})
	if err != nil {
		return err
	}
	return t.Close(-1)
}

// checkFooter looks at the lengths at the end of a table (index, its length, checksum, its length): Badger ends the process when they
// lead out of the file.
func checkFooter(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	at := info.Size()
	for _, part := range []string{"checksum", "index"} {
		var b [4]byte
		if at -= 4; at < 0 {
			return fmt.Errorf("too short for its %s", part)
		}
		if _, err := f.ReadAt(b[:], at); err != nil {
			return err
		}
		if at -= int64(binary.BigEndian.Uint32(b[:])); at < 0 {
			return fmt.Errorf("the length of its %s leads out of the file", part)
		}
	}
	return nil
}
