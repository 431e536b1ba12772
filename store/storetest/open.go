package storetest

import (
	"path/filepath"
	"testing"

	"doorward/store/badger"
)

// Open makes a fresh store for a test, on disk and synced as in earnest, and closes it when the test ends.
func Open(t testing.TB) *badger.DB {
	t.Helper()
	db, err := badger.Create(Config(filepath.Join(t.TempDir(), "store")))
	if err != nil {
		t.Fatalf("making a store: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return db
}

// Config is that of a store for tests: no ballast, and a guard that leaves the machine's disk alone until 64 MiB are left.
func Config(dir string) badger.Config {
	return badger.Config{
		Dir:     dir,
		Check:   [32]byte{1, 2, 3},
		Version: "test",
		Guard:   badger.Guard{Ballast: -1, Least: func(uint64) uint64 { return 64 << 20 }},
	}
}
