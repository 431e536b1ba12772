package badger

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"doorward/store"

	badgerdb "github.com/dgraph-io/badger/v4"
)

// smallSegments is a store whose bulk segments hold four values of bulkSize.
func smallSegments(t *testing.T) (*DB, Config) { return segmentsOf(t, 4) }

func segmentsOf(t *testing.T, values int64) (*DB, Config) {
	t.Helper()
	cfg := testConfig(filepath.Join(t.TempDir(), "store"))
	cfg.segment = values * bulkSize
	d, err := Create(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil && !errors.Is(err, ErrBroken) {
			t.Error(err)
		}
	})
	return d, cfg
}

const bulkSize = 8 << 10

func deltaKey(shard, n int) []byte {
	return store.Key(store.KindDelta, store.Shard(shard), uint64(n), uint32(0))
}

// deltaValue is bulkSize bytes that only this key has.
func deltaValue(key []byte) []byte {
	var seed [32]byte
	copy(seed[:], key)
	v := make([]byte, bulkSize)
	if _, err := rand.NewChaCha8(seed).Read(v); err != nil {
		panic(err) // it never fails
	}
	return v
}

func delta(shard, n int) store.Pair {
	k := deltaKey(shard, n)
	return store.Pair{Key: k, Value: deltaValue(k)}
}

func commitTo(t *testing.T, d *DB, b store.Batch) {
	t.Helper()
	b.Shard = store.NoShard
	if _, err := d.Commit(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
}

// wantDeltas holds the store to have exactly these of a shard.
func wantDeltas(t *testing.T, d *DB, shard int, want ...int) {
	t.Helper()
	i := 0
	err := d.Scan(t.Context(), deltaKey(shard, 0), deltaKey(shard+1, 0), false, func(k, v []byte) bool {
		if i >= len(want) || !bytes.Equal(k, deltaKey(shard, want[i])) || !bytes.Equal(v, deltaValue(k)) {
			t.Errorf("shard %d: %x is there with %d bytes, number %d of %v", shard, k, len(v), i, want)
			return false
		}
		i++
		return true
	})
	if err != nil || i < len(want) {
		t.Errorf("shard %d: %d of %v are there: %v", shard, i, want, err)
	}
}

func segmentFiles(t *testing.T, cfg Config) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(cfg.bulk(), "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// copyDir copies a store as a crash would leave it.
func copyDir(t *testing.T, cfg Config) Config {
	t.Helper()
	to := filepath.Join(t.TempDir(), "store")
	err := filepath.WalkDir(cfg.Dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(cfg.Dir, path)
		if err != nil {
			return err
		}
		if e.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if ext := filepath.Ext(path); ext == ".mem" || ext == ".vlog" {
			b = append(bytes.TrimRight(b, "\x00"), make([]byte, 64)...)
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Dir = to
	return cfg
}

func openCopy(t *testing.T, cfg Config) *DB {
	t.Helper()
	d, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// TestBulkBeforeRecords crashes between the two halves of a commit: bulk values are on disk, wholly, in part, or as garbage, and no record
// names them. What was acknowledged is there, the rest is not, and the disk gives back what it took.
func TestBulkBeforeRecords(t *testing.T) {
	d, cfg := smallSegments(t)
	commitTo(t, d, store.Batch{Put: []store.Pair{delta(1, 1), delta(1, 2)}})
	acknowledged := d.Bulk().Disk
	first, release := jam(t, d)
	second := make(chan error, 1)
	go func() {
		_, err := d.Commit(context.Background(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{delta(1, 3), delta(1, 4), delta(1, 5), delta(1, 6)},
			Delete: [][]byte{deltaKey(1, 1)}})
		second <- err
	}()
	for deadline := time.Now().Add(5 * time.Second); len(d.requests) == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the second commit does not wait")
		}
	}
	crashed := copyDir(t, cfg)
	release()
	if err := errors.Join(<-first, <-second); err != nil {
		t.Fatal(err)
	}
	wantDeltas(t, d, 1, 2, 3, 4, 5, 6)

	files := segmentFiles(t, crashed)
	whole, err := os.ReadFile(files[0])
	if err != nil || len(files) != 1 || int64(len(whole)) != acknowledged+4*bulkSize {
		t.Fatalf("%d files, the first with %d bytes: %v", len(files), len(whole), err)
	}
	for name, tail := range map[string][]byte{
		"nothing": nil, "a byte": whole[acknowledged : acknowledged+1], "half": whole[acknowledged : acknowledged+2*bulkSize+7],
		"all": whole[acknowledged:], "zeros": make([]byte, 3*bulkSize),
	} {
		t.Run(name, func(t *testing.T) {
			c := copyDir(t, crashed)
			if err := os.WriteFile(segmentFiles(t, c)[0], append(bytes.Clone(whole[:acknowledged]), tail...), 0o600); err != nil {
				t.Fatal(err)
			}
			d := openCopy(t, c)
			wantDeltas(t, d, 1, 1, 2)
			if b := d.Bulk(); b.Disk != acknowledged || b.Live != 2*bulkSize {
				t.Errorf("%+v, %d bytes are acknowledged", b, acknowledged)
			}
			commitTo(t, d, store.Batch{Put: []store.Pair{delta(1, 3)}})
			wantDeltas(t, d, 1, 1, 2, 3)
		})
	}
}

// TestBulkLost: values that a record names and the disk lost, or changed, are never answered with others.
func TestBulkLost(t *testing.T) {
	d, cfg := smallSegments(t)
	for n := range 6 {
		commitTo(t, d, store.Batch{Put: []store.Pair{delta(1, n)}})
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if problems, err := Verify(cfg, nil); err != nil || len(problems) > 0 {
		t.Fatalf("undamaged: %v, %v", problems, err)
	}
	for name, damage := range map[string]func(file string) error{
		"cut":  func(file string) error { return os.Truncate(file, 3*bulkSize+100) },
		"gone": os.Remove,
	} {
		c := copyDir(t, cfg)
		if err := damage(segmentFiles(t, c)[0]); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(c); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if problems, err := Verify(c, nil); err != nil || len(problems) != 1 {
			t.Errorf("%s: verify says %v, %v", name, problems, err)
		}
	}
	c := copyDir(t, cfg)
	file := segmentFiles(t, c)[0]
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[2*bulkSize+5] ^= 8
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	problems, err := Verify(c, nil)
	if err != nil || len(problems) != 1 || problems[0].File != file {
		t.Errorf("a flipped bit: verify says %v, %v", problems, err)
	}
	d = openCopy(t, c)
	for n := range 6 {
		v, err := d.Get(t.Context(), deltaKey(1, n))
		if n == 2 {
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("the changed value: %v, %v", v, err)
			}
		} else if err != nil || !bytes.Equal(v[0], deltaValue(deltaKey(1, n))) {
			t.Errorf("value %d: %d bytes, %v", n, len(v), err)
		}
	}
	if err := d.Scan(t.Context(), deltaKey(1, 0), deltaKey(2, 0), false, func(_, _ []byte) bool { return true }); !errors.Is(err, ErrDamaged) {
		t.Errorf("a scan over the changed value: %v", err)
	}
}

// TestBulkReaders: a reader that began before values lost their names still reads them, and their segments go when it is done.
func TestBulkReaders(t *testing.T) {
	d, cfg := smallSegments(t)
	const values = 12
	var all []int
	for n := range values {
		commitTo(t, d, store.Batch{Put: []store.Pair{delta(1, n)}})
		all = append(all, n)
	}
	if n := len(segmentFiles(t, cfg)); n != 3 {
		t.Fatalf("%d segments", n)
	}
	seen := 0
	err := d.Scan(t.Context(), deltaKey(1, 0), deltaKey(2, 0), false, func(k, v []byte) bool {
		if seen == 0 {
			commitTo(t, d, store.Batch{DeleteRange: []store.Range{{From: deltaKey(1, 0), To: deltaKey(2, 0), Most: values}}})
			for range 3 { // more chances to remove too early
				commitTo(t, d, store.Batch{Put: []store.Pair{{Key: []byte("z"), Value: []byte("1")}}})
			}
			wantDeltas(t, d, 1)
		}
		if !bytes.Equal(v, deltaValue(deltaKey(1, seen))) {
			t.Errorf("value %d changed under its reader", seen)
		}
		seen++
		return true
	})
	if err != nil || seen != values {
		t.Errorf("%d of %d values: %v", seen, values, err)
	}
	commitTo(t, d, store.Batch{Put: []store.Pair{{Key: []byte("z"), Value: []byte("2")}}})
	for deadline := time.Now().Add(5 * time.Second); len(segmentFiles(t, cfg)) > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("left: %v", segmentFiles(t, cfg))
		}
	}
}

// TestBulkNotWritten: values that can't be written fail their batch and no other.
func TestBulkNotWritten(t *testing.T) {
	d, cfg := smallSegments(t)
	if err := os.Rename(cfg.bulk(), cfg.bulk()+".away"); err != nil {
		t.Fatal(err)
	}
	b := &store.Batch{Shard: store.NoShard, Put: []store.Pair{delta(1, 1), {Key: []byte("z"), Value: []byte("1")}}}
	if _, err := d.Commit(t.Context(), b); err == nil || errors.Is(err, ErrBroken) {
		t.Fatalf("without a segment: %v", err)
	}
	if v, err := d.Get(t.Context(), []byte("z")); err != nil || v[0] != nil {
		t.Errorf("half of the batch is there: %q, %v", v, err)
	}
	if _, err := d.Commit(t.Context(), one("zsmall")); err != nil {
		t.Errorf("a batch without bulk values: %v", err)
	}
	if err := os.Rename(cfg.bulk()+".away", cfg.bulk()); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Commit(t.Context(), b); err != nil {
		t.Errorf("again: %v", err)
	}
	wantDeltas(t, d, 1, 1)
}

// TestBulkNotSynced: after a sync that failed nothing is believed any more.
func TestBulkNotSynced(t *testing.T) {
	d, cfg := smallSegments(t)
	commitTo(t, d, store.Batch{Put: []store.Pair{delta(1, 1)}})
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0) // takes writes and can't sync
	if err != nil {
		t.Fatal(err)
	}
	d.deltas.current.file, null = null, d.deltas.current.file
	if _, err := d.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{delta(1, 2)}}); !errors.Is(err, ErrBroken) {
		t.Errorf("the commit: %v", err)
	}
	if _, err := d.Get(t.Context(), []byte("z")); !errors.Is(err, ErrBroken) {
		t.Errorf("a read afterwards: %v", err)
	}
	if _, err := d.Commit(t.Context(), one("z")); !errors.Is(err, ErrBroken) {
		t.Errorf("a commit afterwards: %v", err)
	}
	wantDeltas(t, openCopy(t, copyDir(t, cfg)), 1, 1)
	if err := null.Close(); err != nil {
		t.Error(err)
	}
}

// TestOlderFormat: a store of format 1 is taken over as it is, and its plate says so at once.
func TestOlderFormat(t *testing.T) {
	d, cfg := smallSegments(t)
	commitTo(t, d, store.Batch{Put: []store.Pair{{Key: []byte("z"), Value: []byte("1")}}})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	old, err := readPlate(cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	old.Format = 1
	b, err := openFiles(cfg.Dir, stateOptions(cfg.state(), cfg.log()))
	if err != nil {
		t.Fatal(err)
	}
	err = b.Update(func(txn *badgerdb.Txn) error {
		k := deltaKey(1, 1) // as a program of format 1 would keep it
		return errors.Join(txn.Set(metaKey, old.encode()), txn.Set(k, deltaValue(k)))
	})
	if err := errors.Join(err, b.Close(), old.hang(cfg.Dir)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		d, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := readPlate(cfg.Dir); err != nil || p.Format != Format {
			t.Errorf("the plate says %d, %v", p.Format, err)
		}
		wantDeltas(t, d, 1, 1)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
