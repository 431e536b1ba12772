package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"doorward/auth"
	"doorward/detect"
	"doorward/detect/kafka"
	"doorward/store"
	"doorward/store/backup"
	"doorward/store/badger"
)

// careful is a store with its configuration, to be served, copied and put back.
type careful struct {
	*testing.T
	cfg *Config
	t   *terminal
}

func newCareful(t *testing.T, brokers ...string) *careful {
	t.Helper()
	dir := t.TempDir()
	cfg := defaults()
	cfg.Store, cfg.Brokers = filepath.Join(dir, "store"), brokers
	c := &careful{t, cfg, &terminal{out: io.Discard, talk: io.Discard, format: "json"}}
	if _, err := initialise(t.Context(), cfg, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return c
}

// serve runs the service until the returned function is called.
func (c *careful) serve() (s *house, stop func()) {
	c.Helper()
	s, err := openHouse(c.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		c.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- s.serve(ctx, serveOptions{sparePorts: true, ready: func(map[string]net.Addr) { close(ready) }})
	}()
	select {
	case <-ready:
	case err := <-done:
		c.Fatal(errors.Join(err, s.close()))
	}
	for len(s.notReady(ctx)) > 0 {
		select {
		case <-time.After(5 * time.Millisecond):
		case err := <-done:
			c.Fatal(errors.Join(err, s.close()))
		}
	}
	return s, func() {
		cancel()
		if err := errors.Join(<-done, s.close()); err != nil {
			c.Error(err)
		}
	}
}

func (c *careful) act(s *house, kind auth.ActKind, id string) {
	c.Helper()
	if _, err := accountAct(c.Context(), s, accountRequest{ID: id, Kind: kind, Reason: "test"}); err != nil {
		c.Fatal(err)
	}
}

func (c *careful) published(s *house) {
	c.Helper()
	for {
		n, err := s.backlog(c.Context())
		if err != nil {
			c.Fatal(err)
		}
		if n == 0 {
			return
		}
		time.Sleep(2 * time.Millisecond) // a poll
	}
}

// TestStorePutBack: locks are published, the store is put back to a copy, a backup or nothing, and served again: no account that was locked
// is said to be open, staff and journal are told, and the next start is quiet again.
func TestStorePutBack(t *testing.T) {
	for _, way := range []string{"copy", "backup", "empty"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			b, err := kafka.Embedded(t.TempDir(), "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			c := newCareful(t, b.Addr())
			s, stop := c.serve()
			c.act(s, auth.ActLock, "before")
			c.published(s)
			key, to := c.sealedFor()
			if way == "backup" {
				if _, err := backUp(t.Context(), c.t, c.cfg, filepath.Join(c.cfg.Store, "..", "b"), to); err != nil {
					t.Fatal(err)
				}
			}
			if v, err := verifyAnywhere(t.Context(), c.t, c.cfg); err != nil || !v.OK || v.Entries == 0 {
				t.Errorf("verify while it is served: %+v %v", v, err)
			}
			stop()
			old := c.cfg.Store + ".old"
			if err := os.CopyFS(old, os.DirFS(c.cfg.Store)); err != nil {
				t.Fatal(err)
			}
			s, stop = c.serve()
			c.act(s, auth.ActLock, "after")
			c.act(s, auth.ActUnlock, "before")
			c.published(s)
			if s.behind {
				t.Fatal("a store that is as it was is called behind")
			}
			stop()
			c.putBack(way, old, key)
			s, stop = c.serve()
			defer func() { stop() }()
			r, err := s.account(t.Context(), "after")
			if err != nil || r.State != auth.Locked || r.Unknown {
				t.Errorf("locked, and then %+v %v", r, err)
			}
			if s.staffWarning() != "behind" {
				t.Error("staff are not told")
			}
			if r, err = s.account(t.Context(), "before"); err != nil || r.Version < 2 || way != "empty" && r.State != auth.Locked {
				t.Errorf("nobody knows any more why it was opened: %+v %v", r, err)
			}
			c.published(s)
			stop()
			if s, stop = c.serve(); s.staffWarning() != "" {
				t.Error("at the start after that staff are told again")
			}
		})
	}
}

// sealedFor is a key of age's that is used here and nowhere else.
func (c *careful) sealedFor() (with []backup.Identity, to []backup.Recipient) {
	c.Helper()
	file := filepath.Join(c.TempDir(), "key")
	if err := os.WriteFile(file, []byte("AGE-SECRET-KEY-1LHL38M5ERWUN0EQEPMK0DTVPACAWTE9CVZA7HX6K80W43JN8TPPSVS3WAT\n"), 0o600); err != nil {
		c.Fatal(err)
	}
	with, err := identitiesOf(file, "")
	if err != nil {
		c.Fatal(err)
	}
	if to, err = recipientsOf([]string{"age1hdvtu5l0385mflxkhylaphp0cnm003l8wdyygnxp96tgrltj0cws5znhqw"}, ""); err != nil {
		c.Fatal(err)
	}
	return with, to
}

// putBack puts an older store in the place of the one that served.
func (c *careful) putBack(way, old string, with []backup.Identity) {
	c.Helper()
	err := os.RemoveAll(c.cfg.Store)
	switch way {
	case "copy":
		err = errors.Join(err, os.Rename(old, c.cfg.Store))
	case "backup":
		_, failed := restore(c.Context(), c.t, c.cfg, filepath.Join(c.cfg.Store, "..", "b"), with)
		err = errors.Join(err, failed)
	case "empty":
		err = errors.Join(err, os.Remove(c.cfg.Store+".key"))
		_, failed := initialise(c.Context(), c.cfg, slog.New(slog.DiscardHandler))
		err = errors.Join(err, failed)
	}
	if err != nil {
		c.Fatal(err)
	}
}

// TestOtherCluster: a store is not served by another cluster than the one its offsets are of.
func TestOtherCluster(t *testing.T) {
	b, err := kafka.Embedded(t.TempDir(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	c := newCareful(t, b.Addr())
	s, err := openHouse(c.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	was, err := json.Marshal(cluster{ID: "elsewhere", Since: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: clusterKey, Value: was}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.connect(t.Context()); err == nil || !strings.Contains(err.Error(), "belong to cluster doorward-embedded, this store to cluster elsewhere") {
		t.Errorf("connected: %v", err)
	}
	client, err := kafka.Connect(t.Context(), kafka.Config{Brokers: c.cfg.Brokers, Inputs: c.cfg.Topics})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := client.Bounds(ctx, detect.TopicState); err == nil {
		t.Error("topics were made there")
	}
}

// TestRestoreEqual: a restored store has every record as it was, but for its epochs, which are higher than any that the lost one gave out,
// and one more line of its journal.
func TestRestoreEqual(t *testing.T) {
	c := newCareful(t)
	open := func() *badger.DB {
		db, _, err := openStore(c.t, c.cfg, badger.Migrate)
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	db := open()
	epoch, err := db.Claim(t.Context(), 3, "lost")
	if err != nil {
		t.Fatal(err)
	}
	large := bytes.Repeat([]byte("w"), 300<<10)
	if _, err := db.Commit(t.Context(), &store.Batch{Shard: 3, Epoch: epoch, Put: []store.Pair{
		{Key: store.Key(store.KindDelta, store.Shard(3), uint64(1), uint32(0)), Value: large}, {Key: store.Key(store.KindDead, "x"), Value: []byte{}}}}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	with, to := c.sealedFor()
	file := filepath.Join(t.TempDir(), "b")
	made, err := backUp(t.Context(), c.t, c.cfg, file, to)
	if err != nil {
		t.Fatal(err)
	}
	db = open()
	want := records(t, db)
	id := db.ID()
	for range 5 { // claims after the backup
		if epoch, err = db.Claim(t.Context(), 3, "lost"); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(c.cfg.Store); err != nil {
		t.Fatal(err)
	}
	back, err := restore(t.Context(), c.t, c.cfg, file, with)
	if err != nil || back != made {
		t.Fatalf("%+v %v, want %+v", back, err, made)
	}
	db = open()
	defer db.Close()
	got := records(t, db)
	delete(want, string(backupKey)) // of the backup itself, noted behind it
	line := string(store.LineKey(store.Journal, made.Entries+1))
	if got[line] == "" || want[line] == got[line] {
		t.Error("the journal does not say that it was restored")
	}
	for _, k := range []string{line, string(store.HeadKey(store.Journal)), string(store.Key(store.KindEpoch, store.Shard(3)))} {
		delete(want, k)
		delete(got, k)
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s differs", keyText([]byte(k)))
		}
	}
	if len(got) != len(want) || db.ID() != id {
		t.Errorf("%d records of store %s, want %d of %s", len(got), db.ID(), len(want), id)
	}
	if _, err := db.Commit(t.Context(), &store.Batch{Shard: 3, Epoch: epoch}); !errors.Is(err, store.ErrFenced) {
		t.Errorf("a commit under an epoch of the lost store: %v", err)
	}
	if next, err := db.Claim(t.Context(), 3, "new"); err != nil || next <= epoch+1000 {
		t.Errorf("epoch %d after %d: %v", next, epoch, err)
	}
}

func records(t *testing.T, db *badger.DB) map[string]string {
	t.Helper()
	all := map[string]string{}
	if err := db.Scan(t.Context(), nil, nil, false, func(k, v []byte) bool {
		if !badger.Own(k) {
			all[string(k)] = string(v)
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return all
}
