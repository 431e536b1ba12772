package main

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"doorward/auth"
	"doorward/detect/kafka"
	"doorward/store/badger"
	"doorward/store/journal"
	"doorward/store/storetest"
)

// format1 is the store of the program before format 2, with its key and broker (store/badger/testdata/format1).
func format1(t *testing.T, name string) *careful {
	t.Helper()
	dir := storetest.Unpack(t, filepath.Join("..", "..", "store", "badger", "testdata", "format1", name+".tar.gz"))
	b, err := kafka.Embedded(filepath.Join(dir, "broker"), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	cfg := defaults()
	cfg.Store, cfg.Brokers = filepath.Join(dir, "store"), []string{b.Addr()}
	return &careful{t, cfg, &terminal{out: io.Discard, talk: io.Discard, format: "json"}}
}

func (c *careful) format() int {
	c.Helper()
	db, _, err := openStore(c.t, c.cfg, badger.Keep)
	if err != nil {
		c.Fatal(err)
	}
	id, err := db.Identity()
	if err := errors.Join(err, db.Close()); err != nil {
		c.Fatal(err)
	}
	return id.Format
}

func (c *careful) fine() {
	c.Helper()
	v, err := verifyAnywhere(c.Context(), c.t, c.cfg)
	if err != nil || !v.OK || v.Entries == 0 {
		c.Errorf("verify: %+v %v", v, err)
	}
}

// TestStoreFormat1: a store of the format before is verified and backed up as it is, refused until there is a backup, and then migrated and
// served, with its locks and its journal; the backup is migrated too when it is restored.
func TestStoreFormat1(t *testing.T) {
	for _, name := range []string{"clean", "killed"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := format1(t, name)
			c.fine()
			_, err := openHouse(c.cfg, slog.New(slog.DiscardHandler))
			var e *exit
			if !errors.As(err, &e) || e.code != exitFailure ||
				!strings.Contains(err.Error(), "this store has format 1; make a backup first: doorward store backup FILE --store "+c.cfg.Store) ||
				!strings.Contains(err.Error(), "--migrate-without-backup") {
				t.Fatalf("opened without a backup: %v", err)
			}
			key, to := c.sealedFor()
			file := filepath.Join(c.cfg.Store, "..", "b")
			if _, err := backUp(t.Context(), c.t, c.cfg, file, to); err != nil {
				t.Fatal(err)
			}
			c.fine()
			if f := c.format(); f != 1 {
				t.Errorf("after verify and backup the store has format %d", f)
			}
			c.served(name)
			if err := os.RemoveAll(c.cfg.Store); err != nil {
				t.Fatal(err)
			}
			if _, err := restore(t.Context(), c.t, c.cfg, file, key); err != nil {
				t.Fatal(err)
			}
			if f := c.format(); f != badger.Format {
				t.Errorf("restored: the plate says format %d, and older programs would open it", f)
			}
			c.served(name)
		})
	}
}

// served serves a store of format 1 and looks at what it had.
func (c *careful) served(name string) {
	c.Helper()
	s, stop := c.serve()
	if r, err := s.account(c.Context(), "wallet-1042"); err != nil || r.State == auth.Open || r.Unknown {
		c.Errorf("an account that was locked: %+v %v", r, err)
	}
	if r, err := s.account(c.Context(), "wallet-fixture"); name == "clean" && (err != nil || r.State != auth.Locked || r.Unknown) {
		c.Errorf("an account that was locked by hand: %+v %v", r, err)
	}
	lines, err := journal.Read(c.Context(), s.db, 0, 1000, false)
	if err != nil {
		c.Fatal(err)
	}
	migrations := 0
	for _, l := range lines {
		if l.Entry.Kind == journal.Migrated {
			migrations++
		}
	}
	if migrations != 1 {
		c.Errorf("the journal has %d migrations", migrations)
	}
	c.fine()
	stop()
	c.fine()
	if f := c.format(); f != badger.Format {
		c.Errorf("after it was served the store has format %d", f)
	}
}

// TestMigrateWithoutBackup: the flag counts more than the environment, and that more than the file.
func TestMigrateWithoutBackup(t *testing.T) {
	c := format1(t, "clean")
	c.cfg.MigrateWithoutBackup = true
	c.served("clean")

	serve := serveCommand(c.t)
	if err := serve.ParseFlags([]string{"--migrate-without-backup=false"}); err != nil {
		t.Fatal(err)
	}
	env := func(name string) (string, bool) {
		if name == "DOORWARD_MIGRATE_WITHOUT_BACKUP" {
			return "true", true
		}
		return "", false
	}
	if cfg, err := loadConfig(serve, env); err != nil || cfg.MigrateWithoutBackup {
		t.Errorf("flag false, environment true: %v", err)
	}
	if cfg, err := loadConfig(serveCommand(c.t), env); err != nil || !cfg.MigrateWithoutBackup {
		t.Errorf("environment true: %v", err)
	}
}
