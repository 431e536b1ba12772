package badger_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"doorward/store"
	"doorward/store/badger"
	"doorward/store/storetest"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func made(t *testing.T) badger.Config {
	t.Helper()
	cfg := storetest.Config(filepath.Join(t.TempDir(), "store"))
	db, err := badger.Create(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestRefused: each refusal has its error, names the directory, says what to do, and touches nothing.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T) badger.Config
		want    error
		says    string
	}{
		{"no directory", func(t *testing.T) badger.Config {
			return storetest.Config(filepath.Join(t.TempDir(), "none"))
		}, store.ErrEmpty, "doorward init"},
		{"empty", func(t *testing.T) badger.Config {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "lost+found"), 0o700); err != nil {
				t.Fatal(err)
			}
			return storetest.Config(dir)
		}, store.ErrEmpty, "doorward init"},
		{"somebody's files", func(t *testing.T) badger.Config {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "holiday.jpg"), "x")
			return storetest.Config(dir)
		}, store.ErrForeign, "holiday.jpg"},
		{"an init that was interrupted", func(t *testing.T) badger.Config {
			cfg := made(t)
			if err := os.Remove(filepath.Join(cfg.Dir, "doorward.json")); err != nil {
				t.Fatal(err)
			}
			return cfg
		}, store.ErrForeign, "init was interrupted"},
		{"a damaged plate", func(t *testing.T) badger.Config {
			cfg := made(t)
			write(t, filepath.Join(cfg.Dir, "doorward.json"), "{")
			return cfg
		}, store.ErrForeign, "restore a backup"},
		{"a newer format, with fields of its own", func(t *testing.T) badger.Config {
			cfg := made(t)
			write(t, filepath.Join(cfg.Dir, "doorward.json"), fmt.Sprintf(`{"format": %d, "seals": ["new"]}`, badger.Format+1))
			return cfg
		}, store.ErrNewer, "nothing was touched"},
		{"another key", func(t *testing.T) badger.Config {
			cfg := made(t)
			cfg.Check[31]++
			return cfg
		}, store.ErrForeign, "DOORWARD_KEY_FILE"},
		{"the plate of another store", func(t *testing.T) badger.Config {
			cfg, other := made(t), made(t)
			b, err := os.ReadFile(filepath.Join(other.Dir, "doorward.json"))
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(cfg.Dir, "doorward.json"), string(b))
			return cfg
		}, store.ErrForeign, "belongs to another database"},
		{"open already", func(t *testing.T) badger.Config {
			cfg := made(t)
			db, err := badger.Open(cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			})
			return cfg
		}, store.ErrInUse, "another doorward"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := c.prepare(t)
			before := listing(t, cfg.Dir)
			_, err := badger.Open(cfg)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), cfg.Dir) {
				t.Errorf("got: %v\nwant: %v, naming %s and saying %q", err, c.want, cfg.Dir, c.says)
			}
			if after := listing(t, cfg.Dir); c.want != store.ErrForeign && after != before {
				t.Errorf("the directory was touched:\n%s\n%s", before, after)
			}
			if c.want == store.ErrEmpty {
				return
			}
			if _, err := badger.Create(cfg); err == nil || !strings.Contains(err.Error(), "not empty") {
				t.Errorf("making a store over it: %v", err)
			}
		})
	}
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			b.WriteString(path + " " + info.ModTime().String() + "\n")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestIdentity(t *testing.T) {
	a, b := storetest.Open(t), storetest.Open(t)
	if len(a.ID()) != 32 || a.ID() == b.ID() {
		t.Errorf("stores have the ids %q and %q", a.ID(), b.ID())
	}
}
