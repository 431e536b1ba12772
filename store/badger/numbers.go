package badger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"doorward/store"

	badgerdb "github.com/dgraph-io/badger/v4"
)

// One flipped bit in Badger's write-ahead log silently drops every commit behind it (measured: 100 of 100). Against that, every commit
// carries a number, kept in a ring of keys, and after it is synced and before it is answered the number is written, unsynced, to a file
// beside the database. The file can fall behind in a power cut but never run ahead: where it names a number the database does not have,
// or the ring has a hole, acknowledged commits are gone, and Open says so instead of serving an account as it was before its lock.

// ringSize is how many commits back a hole is seen. A log that was rotated is flushed into a table within seconds, about 250 us a
// commit, so that a hole in it lies within the ring.
const ringSize = 1 << 14

const acknowledgedName = "acknowledged"

type numbers struct {
	last uint64 // the newest commit
	file *os.File
	log  *slog.Logger
}

func ringKey(n uint64) []byte { return store.Key(store.KindMeta, "commit", uint16(n%ringSize)) }

// openNumbers compares what was acknowledged with what is there; a store that may be written goes on counting.
func openNumbers(dir string, b *badgerdb.DB, changing bool, log *slog.Logger) (*numbers, error) {
	n := &numbers{log: log}
	count, err := n.readRing(b)
	if err != nil {
		return nil, fmt.Errorf("reading the commit numbers of %s: %w", dir, err)
	}
	path := filepath.Join(dir, acknowledgedName)
	acknowledged, err := readAcknowledged(path, log)
	if err != nil {
		return nil, err
	}
	lost := fmt.Sprintf("to go on without them, remove %s", path)
	if n.last < acknowledged {
		return nil, damaged(dir, fmt.Errorf("commits %d to %d were acknowledged and are missing (%s)", n.last+1, acknowledged, lost))
	}
	if whole := min(n.last, ringSize); count != whole {
		return nil, damaged(dir, fmt.Errorf("%d of the last %d commits are missing", whole-count, whole))
	}
	if !changing {
		return nil, nil
	}
	if n.file, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
		return nil, fmt.Errorf("opening the file of acknowledged commits: %w", err)
	}
	n.note()
	return n, nil
}

// readRing finds the newest commit and counts those of the ring's span that are there.
func (n *numbers) readRing(b *badgerdb.DB) (count uint64, err error) {
	err = b.View(func(txn *badgerdb.Txn) error {
		found := make([]uint64, 0, ringSize)
		prefix := store.Key(store.KindMeta, "commit", []byte(nil))
		err := walk(txn, nil, prefix, store.After(prefix), false, func(_, value []byte) bool {
			if len(value) == 8 {
				found = append(found, binary.BigEndian.Uint64(value))
			}
			return true
		})
		for _, v := range found {
			n.last = max(n.last, v)
		}
		for _, v := range found {
			if v+ringSize > n.last {
				count++
			}
		}
		return err
	})
	return count, err
}

func readAcknowledged(path string, log *slog.Logger) (uint64, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("opening the file of acknowledged commits: %w", err)
	}
	defer f.Close()
	var b [12]byte
	_, err = io.ReadFull(f, b[:])
	if err == io.EOF {
		return 0, nil // made, and nothing was committed yet
	}
	if err != nil || crc32.ChecksumIEEE(b[:8]) != binary.BigEndian.Uint32(b[8:]) {
		// A power cut may leave it so: nothing ever waits for this file to be on disk.
		log.Warn("the file of acknowledged commits is damaged, lost commits can't be noticed this time", "file", path)
		return 0, nil
	}
	return binary.BigEndian.Uint64(b[:8]), nil
}

// put adds the next number to a transaction, acknowledge notes that it is on disk.
func (n *numbers) put(txn *badgerdb.Txn) error {
	return txn.Set(ringKey(n.last+1), binary.BigEndian.AppendUint64(nil, n.last+1))
}

func (n *numbers) acknowledge() {
	n.last++
	n.note()
}

func (n *numbers) note() {
	var b [12]byte
	binary.BigEndian.PutUint64(b[:], n.last)
	binary.BigEndian.PutUint32(b[8:], crc32.ChecksumIEEE(b[:8]))
	if _, err := n.file.WriteAt(b[:], 0); err != nil {
		n.log.Warn("can't note the acknowledged commit; a lost one might go unnoticed", "commit", n.last, "err", err)
	}
}

func (n *numbers) close() error {
	if n == nil {
		return nil
	}
	return n.file.Close()
}
