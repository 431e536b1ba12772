package badger_test

import (
	"errors"
	"path/filepath"
	"testing"

	"doorward/store"
	"doorward/store/badger"
	"doorward/store/storetest"
)

// open opens the store in dir, or makes it the first time.
// Its bulk segments are so small that values come and go with them all the time.
func open(t testing.TB, dir string) *badger.DB {
	t.Helper()
	cfg := badger.WithSegments(storetest.Config(filepath.Join(dir, "store")), 64<<10)
	db, err := badger.Open(cfg)
	if errors.Is(err, store.ErrEmpty) {
		db, err = badger.Create(cfg)
	}
	if err != nil {
		t.Fatalf("opening the store: %v", err)
	}
	return db
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, dir string) store.Engine { return open(t, dir) })
}
