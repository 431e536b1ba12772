package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"doorward/store"
	"doorward/store/backup"
	"doorward/store/badger"
	"doorward/store/journal"
)

func storeRestoreCommand(t *terminal) *cobra.Command {
	var identity, passphrase string
	c := &cobra.Command{
		Use: "restore FILE", Short: "Make a store of a backup, in an empty directory",
		Long: `Makes a store of a backup in an empty directory. The master key of the store that was backed up must be in its place (DOORWARD_KEY_FILE, or the
directory's name with .key). A backup that was cut or altered, or is of another installation or a newer version, is refused, and nothing is
left of it. What happened after the backup is not in it: at its next start the service takes over the locks that were published since, and
reads again what came on the input topics; what people did meanwhile is in topic doorward.audit.v1.`,
		Example: "  doorward store restore doorward.backup --store /var/lib/doorward --identity age-key.txt",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadConfig(c, os.LookupEnv)
			if err != nil {
				return err
			}
			with, err := identitiesOf(identity, passphrase)
			if err != nil {
				return err
			}
			b, err := restore(c.Context(), t, cfg, args[0], with)
			if err != nil {
				return err
			}
			t.say("what came after the backup is not in the store: its next start compares it with what was published")
			return t.print(b, func(w io.Writer) { printBackup(w, "restored from", b) })
		},
	}
	c.Flags().StringVar(&identity, "identity", "", "file (0600) with the age key that the backup was sealed for")
	c.Flags().StringVar(&passphrase, "passphrase-file", "", "file (0600) with the passphrase in its first line, instead of a key")
	return c
}

func identitiesOf(identity, passphrase string) ([]backup.Identity, error) {
	if (identity != "") == (passphrase != "") {
		return nil, fail(exitUsage, "a backup is sealed: give --identity FILE with the age key it was sealed for, or --passphrase-file FILE")
	}
	if passphrase != "" {
		_, i, err := passphraseIn(passphrase)
		if err != nil {
			return nil, err
		}
		return []backup.Identity{i}, nil
	}
	b, err := readSecret("--identity", identity)
	if err != nil {
		return nil, err
	}
	with, err := backup.ParseIdentities(b)
	if err != nil {
		return nil, fail(exitUsage, "--identity %s: %w", identity, err)
	}
	return with, nil
}

// restore reads the file once: its records go into the new store as they come, and its end decides whether the store stays.
func restore(ctx context.Context, t *terminal, cfg *Config, path string, with []backup.Identity) (b backedUp, err error) {
	f, err := os.Open(path)
	if err != nil {
		return b, fail(exitFailure, "read a backup: %w", err)
	}
	defer f.Close()
	keys, err := readKey(keyFile(cfg))
	if err != nil {
		return b, fail(exitFailure, "%w; a backup does not hold the key: put the one of the store that was backed up there", err)
	}
	st, err := f.Stat()
	if err != nil {
		return b, fail(exitFailure, "read a backup: %w", err)
	}
	bar := t.newProgress("restore", st.Size(), true)
	defer bar.end()
	sum := sha256.New()
	sealed := io.TeeReader(f, sum)
	plain, err := backup.Open(sealed, with...)
	if err != nil {
		return b, restoreError(path, err)
	}
	l := loading{ctx: ctx, plain: plain, config: storeConfig(t, cfg, keys), progress: func() {
		if at, err := f.Seek(0, io.SeekCurrent); err == nil {
			bar.to(at)
		}
	}}
	s, err := l.run()
	if err != nil {
		return b, restoreError(path, err)
	}
	if _, err := io.Copy(io.Discard, sealed); err != nil {
		return b, fail(exitFailure, "read a backup: %w", err)
	}
	return backedUp{s.Entries, s.Head, true, path, s.Records, s.Bytes, hex.EncodeToString(sum.Sum(nil))}, nil
}

func restoreError(path string, err error) error {
	switch {
	case errors.Is(err, backup.ErrNotOurs):
		return fail(exitFailure, "%s was sealed for another key, or the passphrase is wrong", path)
	case errors.Is(err, backup.ErrDamaged):
		return fail(exitIntegrity, "%s: %w; nothing was restored: use another copy of it, or an older backup", path, err)
	case errors.Is(err, backup.ErrNewer):
		return fail(exitFailure, "%s: %w; use the newer doorward", path, err)
	}
	return fail(exitFailure, "restore %s: %w", path, err)
}

// loading puts a backup's records into a store, in batches of bounded size.
type loading struct {
	ctx      context.Context
	plain    io.Reader
	config   badger.Config
	progress func()

	db    *badger.DB
	batch *store.Batch
	size  int
}

// run makes the store that the header speaks of, and loads the rest.
func (l *loading) run() (s backup.Summary, err error) {
	in, h, err := backup.Begin(l.plain)
	if err != nil {
		return s, err
	}
	as := badger.Identity{Format: h.Format, ID: h.Store, MadeBy: h.MadeBy, Made: h.Made, Check: h.Check}
	err = badger.Restore(l.config, as, time.Now(), func(db *badger.DB) error {
		l.db, l.batch = db, &store.Batch{Shard: store.NoShard}
		if s, err = in.Rest(l.put); err != nil {
			return err
		}
		return errors.Join(l.flush(), l.note(h, s))
	})
	return s, err
}

func (l *loading) put(key, value []byte) error {
	if l.size+len(key)+len(value) > store.MaxBatch/2 || len(l.batch.Put) >= store.MaxBatchKeys/2 {
		if err := l.flush(); err != nil {
			return err
		}
	}
	l.batch.Put = append(l.batch.Put, store.Pair{Key: bytes.Clone(key), Value: bytes.Clone(value)})
	l.size += len(key) + len(value)
	return nil
}

func (l *loading) flush() error {
	if len(l.batch.Put) == 0 {
		return nil
	}
	if _, err := l.db.Commit(l.ctx, l.batch); err != nil {
		return fmt.Errorf("write the records of a backup: %w", err)
	}
	l.batch, l.size = &store.Batch{Shard: store.NoShard}, 0
	l.progress()
	return nil
}

// note says in the restored journal that it is one: what came after the backup is missing behind this line.
func (l *loading) note(h backup.Header, s backup.Summary) error {
	line, err := journal.Append(journal.Entry{At: time.Now().UTC(), Kind: journal.Restored, By: "operator", Shard: -1,
		Detail: map[string]string{"taken": h.Taken.Format(time.RFC3339), "records": fmt.Sprint(s.Records), "sha256": s.SHA256}})
	if err != nil {
		return err
	}
	_, err = l.db.Commit(l.ctx, &store.Batch{Shard: store.NoShard, Append: []store.Append{line}})
	return err
}
