package badger_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"doorward/store"
	"doorward/store/badger"
	"doorward/store/storetest"
)

// copyStore copies a store as a power cut would leave it, logs without the zeros behind their end.
func copyStore(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
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
}

const damageRecords = 400

func damageValue(n int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%d.", n), 20) }

// fill commits records one by one and returns the store, still open.
func fill(t *testing.T) (*badger.DB, badger.Config) {
	t.Helper()
	cfg := storetest.Config(filepath.Join(t.TempDir(), "store"))
	cfg.Log = slog.New(slog.DiscardHandler)
	db, err := badger.Create(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for n := range damageRecords {
		_, err := db.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: fmt.Appendf(nil, "z%04d", n), Value: damageValue(n)}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	return db, cfg
}

// whole opens a store and says whether it was refused, or else whether every record is there as it was written.
func whole(t *testing.T, cfg badger.Config) (refused error, missing int) {
	t.Helper()
	db, err := badger.Open(cfg)
	if err != nil {
		return err, 0
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	for n := range damageRecords {
		v, err := db.Get(t.Context(), fmt.Appendf(nil, "z%04d", n))
		if err != nil {
			return err, 0
		}
		if !bytes.Equal(v[0], damageValue(n)) {
			missing++
		}
	}
	return nil, missing
}

// flip tries one flipped bit at many places of the store's files with this ending: the right answer or a refusal, never a wrong answer
// and never a crash.
func flip(t *testing.T, cfg badger.Config, pattern string, times int) (refusals int) {
	t.Helper()
	if os.Getenv(longVar) != "" {
		times *= 20
	}
	pristine := t.TempDir()
	copyStore(t, cfg.Dir, pristine)
	files, err := filepath.Glob(filepath.Join(pristine, pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files like %s: %v", pattern, err)
	}
	r := rand.New(rand.NewPCG(7, 9))
	for range times {
		at := filepath.Join(t.TempDir(), "store")
		copyStore(t, pristine, at)
		file := files[r.IntN(len(files))]
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		bit := r.IntN(8 * len(bytes.TrimRight(b, "\x00")))
		b[bit/8] ^= 1 << (bit % 8)
		rel, err := filepath.Rel(pristine, file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(at, rel), b, 0o600); err != nil {
			t.Fatal(err)
		}
		broken := cfg
		broken.Dir = at
		refused, missing := whole(t, broken)
		if missing > 0 {
			t.Errorf("bit %d of %s: opened with %d records missing or wrong", bit, rel, missing)
		}
		if refused == nil {
			continue
		}
		refusals++
		if !errors.Is(refused, badger.ErrDamaged) && !errors.Is(refused, store.ErrForeign) {
			t.Errorf("bit %d of %s: %v", bit, rel, refused)
		}
		if errors.Is(refused, badger.ErrDamaged) && !strings.Contains(refused.Error(), "doorward store verify --store "+at) {
			t.Errorf("bit %d of %s: the message does not say what to do: %v", bit, rel, refused)
		}
	}
	return refusals
}

func TestFlippedBits(t *testing.T) {
	db, cfg := fill(t)
	t.Run("log", func(t *testing.T) {
		if n := flip(t, cfg, "state/*.mem", 10); n < 5 {
			t.Errorf("only %d of 10 flips in the log were noticed", n)
		}
	})
	t.Run("manifest of an open store", func(t *testing.T) { flip(t, cfg, "state/MANIFEST", 4) })
	if err := db.Close(); err != nil { // writes the table
		t.Fatal(err)
	}
	if refused, missing := whole(t, cfg); refused != nil || missing > 0 {
		t.Fatalf("undamaged: %v, %d missing", refused, missing)
	}
	t.Run("table", func(t *testing.T) {
		if n := flip(t, cfg, "state/*.sst", 16); n < 8 {
			t.Errorf("only %d of 16 flips in the table were noticed", n)
		}
	})
	t.Run("manifest", func(t *testing.T) { flip(t, cfg, "state/MANIFEST", 6) })
	t.Run("key registry", func(t *testing.T) { flip(t, cfg, "state/KEYREGISTRY", 2) })
	t.Run("value log", func(t *testing.T) { flip(t, cfg, "state/*.vlog", 2) })
	t.Run("plate", func(t *testing.T) { flip(t, cfg, "doorward.json", 4) })
	t.Run("acknowledged", func(t *testing.T) { flip(t, cfg, "acknowledged", 2) })
}

// TestCutFiles: files that end early, or are gone.
func TestCutFiles(t *testing.T) {
	db, cfg := fill(t)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(cfg.Dir, "state", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("no table: %v", err)
	}
	for _, c := range []struct {
		name   string
		damage func(table string) error
	}{
		{"half", func(f string) error { return os.Truncate(f, 3000) }},
		{"nothing", func(f string) error { return os.Truncate(f, 0) }},
		{"three bytes", func(f string) error { return os.Truncate(f, 3) }},
		{"gone", os.Remove},
		{"manifest gone", func(f string) error { return os.Remove(filepath.Join(filepath.Dir(f), "MANIFEST")) }},
		{"manifest of half a record", func(f string) error { return os.Truncate(filepath.Join(filepath.Dir(f), "MANIFEST"), 12) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			broken := cfg
			broken.Dir = filepath.Join(t.TempDir(), "store")
			copyStore(t, cfg.Dir, broken.Dir)
			if err := c.damage(filepath.Join(broken.Dir, "state", filepath.Base(tables[0]))); err != nil {
				t.Fatal(err)
			}
			refused, missing := whole(t, broken)
			if !errors.Is(refused, badger.ErrDamaged) && !errors.Is(refused, store.ErrForeign) {
				t.Errorf("opened with %d records missing: %v", missing, refused)
			}
		})
	}
}

// TestVerify names every damaged table, and no other.
func TestVerify(t *testing.T) {
	db, cfg := fill(t)
	if _, err := badger.Verify(cfg, nil); !errors.Is(err, store.ErrInUse) {
		t.Errorf("verifying a store in use: %v", err)
	}
	for range 2 {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		var err error
		if db, err = badger.Open(cfg); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: []byte("z"), Value: damageValue(1)}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	seen := 0
	problems, err := badger.Verify(cfg, func(done, of int) { seen = done })
	if err != nil || len(problems) > 0 || seen < 3 {
		t.Fatalf("undamaged: %v, %v, %d tables", problems, err, seen)
	}
	tables, err := filepath.Glob(filepath.Join(cfg.Dir, "state", "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{tables[0], tables[2]} {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/3] ^= 4
		write(t, f, string(b))
	}
	problems, err = badger.Verify(cfg, nil)
	if err != nil || len(problems) != 2 || problems[0].File != tables[0] || problems[1].File != tables[2] {
		t.Errorf("two damaged tables: %v, %v", problems, err)
	}
}

// TestLostCommits: a log that ends earlier than what was acknowledged is refused, unless the operator says so.
func TestLostCommits(t *testing.T) {
	db, cfg := fill(t)
	early := cfg
	early.Dir = filepath.Join(t.TempDir(), "store")
	copyStore(t, cfg.Dir, early.Dir)
	if _, err := db.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: []byte("lock"), Value: []byte("locked")}}}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(cfg.Dir, "acknowledged"))
	if err != nil {
		t.Fatal(err)
	}
	noted := filepath.Join(early.Dir, "acknowledged")
	write(t, noted, string(b))
	for range 2 { // refused once and for all, not only the first time
		if _, err := badger.Open(early); !errors.Is(err, badger.ErrDamaged) || !strings.Contains(err.Error(), "commits 401 to 401 were acknowledged") {
			t.Fatalf("the log without its last commit: %v", err)
		}
	}
	if err := os.Remove(noted); err != nil {
		t.Fatal(err)
	}
	if refused, missing := whole(t, early); refused != nil || missing > 0 {
		t.Errorf("after the operator's word: %v, %d missing", refused, missing)
	}
}
