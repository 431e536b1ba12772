package badger_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"doorward/store"
	"doorward/store/badger"
	"doorward/store/journal"
	"doorward/store/storetest"
)

// fixture unpacks a store of format 1 (testdata/format1).
func fixture(t *testing.T, name string) badger.Config {
	t.Helper()
	return fixtureConfig(t, filepath.Join(storetest.Unpack(t, filepath.Join("testdata", "format1", name+".tar.gz")), "store"))
}

// plateOf reads what stands at a store's door.
func plateOf(t *testing.T, dir string) (p struct {
	Format int    `json:"format"`
	From   int    `json:"migrating_from"`
	Check  string `json:"check"`
}) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "doorward.json"))
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func fixtureConfig(t *testing.T, dir string) badger.Config {
	t.Helper()
	cfg := storetest.Config(dir)
	cfg.Log = slog.New(slog.DiscardHandler)
	check, err := hex.DecodeString(plateOf(t, dir).Check)
	if err != nil || copy(cfg.Check[:], check) != len(cfg.Check) {
		t.Fatal("the plate's check value can't be read", err)
	}
	return cfg
}

// asBefore is what the old program read in a fixture: the sum of each value by its key, and the entries of the journal.
func asBefore(t *testing.T, name string) (sums map[string]string, entries []json.RawMessage) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "format1", name+".ndjson.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	sums = make(map[string]string)
	lines := bufio.NewScanner(z)
	for lines.Scan() {
		var l struct {
			Key, SHA256 string
			Value       json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		key, err := hex.DecodeString(l.Key)
		if err != nil {
			t.Fatal(err)
		}
		if !badger.Own(key) {
			sums[l.Key] = l.SHA256
		}
		if key[0] == store.KindLog && l.Value != nil {
			entries = append(entries, l.Value)
		}
	}
	if lines.Err() != nil || len(sums) < 100 || len(entries) < 10 {
		t.Fatalf("%d records, %d entries, %v", len(sums), len(entries), lines.Err())
	}
	return sums, entries
}

// same compares a store with what the old program read: nothing is lost, changed or new but a journal that goes on by so many entries.
func same(t *testing.T, db *badger.DB, name string, more int) {
	t.Helper()
	want, entries := asBefore(t, name)
	for i := 1; i <= more; i++ {
		want[hex.EncodeToString(store.LineKey(store.Journal, uint64(len(entries)+i)))] = "any"
		want[hex.EncodeToString(store.HeadKey(store.Journal))] = "any"
	}
	got := make(map[string]string)
	err := db.Scan(t.Context(), nil, nil, false, func(k, v []byte) bool {
		if sum := sha256.Sum256(v); !badger.Own(k) {
			got[hex.EncodeToString(k)] = hex.EncodeToString(sum[:])
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	for k, sum := range want {
		if _, there := got[k]; there && sum == "any" {
			got[k] = sum
		}
		if got[k] != sum {
			t.Errorf("record %s: %q, and was %q", k, got[k], sum)
		}
	}
	for k := range got {
		if want[k] == "" {
			t.Errorf("record %s was not there before", k)
		}
	}
	lines, err := journal.Read(t.Context(), db, 0, 1000, false)
	if err != nil || len(lines) != len(entries)+more {
		t.Fatalf("%d entries, %v; there were %d and %d more are due", len(lines), err, len(entries), more)
	}
	for i, e := range entries {
		if b, err := json.Marshal(lines[i].Entry); err != nil || string(b) != string(e) {
			t.Errorf("entry %d: %s %v\nand was %s", i+1, b, err, e)
		}
	}
	if r, err := journal.Verify(t.Context(), db, nil); err != nil || !r.OK {
		t.Errorf("the journal's chain: %+v %v", r, err)
	}
}

// migrated opens a store and looks whether all of it has the newest format and is what the old program read.
func migrated(t *testing.T, cfg badger.Config, name string) {
	t.Helper()
	db, err := badger.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	same(t, db, name, 1)
	if p := plateOf(t, cfg.Dir); p.Format != badger.Format || p.From != 0 {
		t.Errorf("the plate says %+v", p)
	}
	if inline, segments, err := db.InlineBulk(); inline != 0 || segments < 10 || err != nil {
		t.Errorf("%d large values are in Badger, %d in segments, %v", inline, segments, err)
	}
	lines, err := journal.Read(t.Context(), db, 0, 1, true)
	if err != nil || len(lines) != 1 || lines[0].Entry.Kind != journal.Migrated || lines[0].Entry.From != "1" || lines[0].Entry.To != "2" {
		t.Fatalf("the journal's last entry: %+v %v", lines, err)
	}
	_, segments, err := db.InlineBulk()
	if n := lines[0].Entry.Detail["records"]; err != nil || n != strconv.Itoa(segments) {
		t.Errorf("the journal says %s records, %d are in segments, %v", n, segments, err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if problems, err := badger.Verify(cfg, nil); err != nil || len(problems) > 0 {
		t.Errorf("verify: %v %v", problems, err)
	}
}

// TestMigrate: stores of format 1, ended and killed, keep every record. Opened again they are as they are.
func TestMigrate(t *testing.T) {
	for _, name := range []string{"clean", "killed"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := fixture(t, name)
			migrated(t, cfg, name)
			migrated(t, cfg, name)
		})
	}
}

const batchKeys = 2 // so that the fixture takes several batches

// migrateAndDie is the child: it is killed after batch n.
func migrateAndDie(arg string) error {
	number, dir, _ := strings.Cut(arg, ":")
	n, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	cfg := storetest.Config(dir)
	b, err := os.ReadFile(filepath.Join(dir, "doorward.json"))
	if err != nil {
		return err
	}
	var p struct{ Check string }
	if err := json.Unmarshal(b, &p); err != nil {
		return err
	}
	check, err := hex.DecodeString(p.Check)
	if err != nil {
		return err
	}
	copy(cfg.Check[:], check)
	cfg.Log = slog.New(slog.DiscardHandler)
	db, err := badger.Open(badger.WithMigration(cfg, batchKeys, func(done int) error {
		if done < n {
			return nil
		}
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}))
	if err != nil {
		return err
	}
	return db.Close()
}

// TestMigrationKilled: whichever batch a process is killed after, its store is refused by older programs, can be verified, and is
// brought to its end by the next process, as if nothing had been.
func TestMigrationKilled(t *testing.T) {
	batches := 0
	db, err := badger.Open(badger.WithMigration(fixture(t, "clean"), batchKeys, func(n int) error { batches = n; return nil }))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if batches < 5 {
		t.Fatalf("%d batches: the fixture is too small", batches)
	}
	for n := 1; n <= batches; n++ {
		cfg := fixture(t, "clean")
		if err := child("migrate", fmt.Sprintf("%d:%s", n, cfg.Dir)).Run(); err == nil || err.Error() != "signal: killed" {
			t.Fatalf("batch %d: the child ended with %v", n, err)
		}
		if p := plateOf(t, cfg.Dir); p.Format != 2 || p.From != 1 {
			t.Errorf("batch %d: the plate says %+v: a program of format 1 must take it for newer", n, p)
		}
		if n == batches/2 {
			if problems, err := badger.Verify(cfg, nil); err != nil || len(problems) > 0 {
				t.Errorf("verify half-way: %v %v", problems, err)
			}
			keep := cfg
			keep.Older = badger.Keep
			db, err := badger.Open(keep)
			if err != nil {
				t.Fatal(err)
			}
			same(t, db, "clean", 0)
			if inline, segments, err := db.InlineBulk(); inline == 0 || segments != n*batchKeys || err != nil {
				t.Errorf("half-way %d are in Badger, %d in segments, %v", inline, segments, err)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}
		migrated(t, badger.WithMigration(cfg, batchKeys, nil), "clean")
	}
}

// TestMigrationPlateLast: a crash between the last batch and the plate leads to no second entry; an unknown migration is refused.
func TestMigrationPlateLast(t *testing.T) {
	cfg := fixture(t, "clean")
	path := filepath.Join(cfg.Dir, "doorward.json")
	migrated(t, cfg, "clean")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	half := func(from int) []byte {
		return bytes.Replace(b, []byte("\n}"), fmt.Appendf(nil, ",\n  \"migrating_from\": %d\n}", from), 1)
	}
	write(t, path, string(half(1)))
	migrated(t, cfg, "clean")
	for _, from := range []int{-1, badger.Format} {
		write(t, path, string(half(from)))
		if _, err := badger.Open(cfg); !errors.Is(err, store.ErrForeign) {
			t.Errorf("from %d: %v", from, err)
		}
	}
}

// TestMigrationFull: without room a migration stops, says so, and goes on when there is room.
func TestMigrationFull(t *testing.T) {
	for _, full := range []int{0, 3} { // after how many batches
		cfg := fixture(t, "clean")
		var free atomic.Uint64
		var asked atomic.Int64
		cfg.Guard.Least = func(uint64) uint64 { return 1 << 30 }
		cfg.Guard.Every = time.Millisecond
		cfg.Guard.Free = func() (uint64, uint64, error) { asked.Add(1); return free.Load(), 100 << 30, nil }
		const ample, little = 50 << 30, 500 << 20 // little is enough to start
		if free.Store(ample); full == 0 {
			free.Store(little)
		}
		_, err := badger.Open(badger.WithMigration(cfg, batchKeys, func(n int) error {
			if n == full {
				free.Store(little)
				for from := asked.Load(); asked.Load() < from+3; { // the guard has seen it
					time.Sleep(time.Millisecond) // a poll
				}
			}
			return nil
		}))
		if !errors.Is(err, store.ErrFull) || !strings.Contains(err.Error(), "the next start goes on") {
			t.Errorf("full after %d batches: %v", full, err)
		}
		if p := plateOf(t, cfg.Dir); p.Format != 2 || p.From != 1 {
			t.Errorf("full after %d batches: the plate says %+v", full, p)
		}
		free.Store(ample)
		migrated(t, cfg, "clean")
	}
}

// files are the sums of everything in a directory.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = fmt.Sprintf("%x", sha256.Sum256(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestOlderIsKept: looking at a store of an older format changes no byte of its files, and a refusal doesn't either. A killed one's log is
// replayed, as the old program would do.
func TestOlderIsKept(t *testing.T) {
	for _, name := range []string{"clean", "killed"} {
		cfg := fixture(t, name)
		look := cfg
		look.Older = badger.Look
		before := files(t, cfg.Dir)
		refusal := errors.New("no")
		cfg.Before = func(from int, get func([]byte) ([]byte, error)) error {
			shape, err := get(store.Key(store.KindMeta, "shape"))
			if absent, err2 := get([]byte("Mabsent")); from != 1 || len(shape) == 0 || err != nil || absent != nil || err2 != nil {
				t.Errorf("asked about format %d: %q %v %q %v", from, shape, err, absent, err2)
			}
			return refusal
		}
		if _, err := badger.Open(cfg); !errors.Is(err, refusal) {
			t.Errorf("%s: %v", name, err)
		}
		if problems, err := badger.Verify(cfg, nil); err != nil || len(problems) > 0 {
			t.Errorf("%s: verify: %v %v", name, problems, err)
		}
		db, err := badger.Open(look)
		if err != nil {
			t.Fatal(err)
		}
		same(t, db, name, 0)
		if name == "clean" {
			if _, err := db.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: []byte("z")}}}); err == nil {
				t.Error("a store that is only looked at was written")
			}
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		if after := files(t, cfg.Dir); name == "clean" && !maps.Equal(before, after) {
			t.Errorf("files changed: %v\n%v", slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
		}
		if p := plateOf(t, cfg.Dir); p.Format != 1 || p.From != 0 {
			t.Errorf("%s: the plate says %+v", name, p)
		}
	}
}

// TestOlderIsWritten: what is written into a store that keeps its format is what an older program can read.
func TestOlderIsWritten(t *testing.T) {
	cfg := fixture(t, "clean")
	keep := cfg
	keep.Older = badger.Keep
	db, err := badger.Open(keep)
	if err != nil {
		t.Fatal(err)
	}
	key, value := store.Key(store.KindDelta, store.Shard(0), uint64(1)<<40), bytes.Repeat([]byte("large "), 2000)
	if _, err := db.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: key, Value: value}}}); err != nil {
		t.Fatal(err)
	}
	if _, segments, err := db.InlineBulk(); segments != 0 || err != nil {
		t.Errorf("%d values are in segments, %v", segments, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(cfg.Dir, "bulk")); !errors.Is(err, os.ErrNotExist) || plateOf(t, cfg.Dir).Format != 1 {
		t.Errorf("there are segments (%v), or the plate was changed", err)
	}
	if db, err = badger.Open(cfg); err != nil {
		t.Fatal(err)
	}
	if v, err := db.Get(t.Context(), key); err != nil || !bytes.Equal(v[0], value) {
		t.Errorf("after the migration %d bytes, %v", len(v[0]), err)
	}
	if inline, _, err := db.InlineBulk(); inline != 0 || err != nil {
		t.Errorf("%d large values are in Badger, %v", inline, err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
