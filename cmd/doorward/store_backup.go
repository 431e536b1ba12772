package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"doorward/store"
	"doorward/store/backup"
	"doorward/store/badger"
	"doorward/store/journal"
)

// backedUp is what `store backup` and `store restore` print (COMMANDS.md): the end of the journal in it, then what else there is to know.
type backedUp struct {
	Entries uint64 `json:"entries"`
	Head    string `json:"head"`
	OK      bool   `json:"ok"`
	File    string `json:"file"`
	Records uint64 `json:"records"`
	Bytes   uint64 `json:"bytes"`
	Sum     string `json:"sha256"` // of the file, as sha256sum prints it
}

func storeBackupCommand(t *terminal) *cobra.Command {
	var recipients []string
	var passphrase string
	c := &cobra.Command{
		Use: "backup FILE", Short: "Write all of the store as of one moment into a sealed file, also while the service runs",
		Long: `Writes every record of the store as of one moment into FILE, sealed with age (age-encryption.org) for the public keys given by --recipient, or
under the passphrase in the first line of a file. The service goes on meanwhile. A store of an older
format keeps it; only that there was a backup is noted in it. Nothing of the file is kept unless all of it was written.
The backup does not hold the master key: keep a copy of that elsewhere, and the two apart.`,
		Example: "  doorward store backup doorward.backup --recipient age1...\n  doorward store backup doorward.backup --passphrase-file secret.txt",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadConfig(c, os.LookupEnv)
			if err != nil {
				return err
			}
			to, err := recipientsOf(recipients, passphrase)
			if err != nil {
				return err
			}
			b, err := backUp(c.Context(), t, cfg, args[0], to)
			if err != nil {
				return err
			}
			t.say("%s", keyWarning(cfg))
			return t.print(b, func(w io.Writer) { printBackup(w, "backed up to", b) })
		},
	}
	c.Flags().StringArrayVar(&recipients, "recipient", nil, "an age public key, age1...; may be given several times")
	c.Flags().StringVar(&passphrase, "passphrase-file", "", "file (0600) with the passphrase in its first line, instead of a recipient")
	return c
}

func printBackup(w io.Writer, what string, b backedUp) {
	fmt.Fprintf(w, "%s %s\n%d records, %d bytes; journal of %d entries, head %s\nsha256 %s\n", what, printable(b.File), b.Records, b.Bytes, b.Entries, b.Head, b.Sum)
}

func recipientsOf(keys []string, passphrase string) ([]backup.Recipient, error) {
	if (len(keys) > 0) == (passphrase != "") {
		return nil, fail(exitUsage, "a backup is sealed: give --recipient age1... (made by `age-keygen`), or --passphrase-file FILE")
	}
	if passphrase != "" {
		r, _, err := passphraseIn(passphrase)
		if err != nil {
			return nil, err
		}
		return []backup.Recipient{r}, nil
	}
	var to []backup.Recipient
	for _, k := range keys {
		r, err := backup.ParseRecipient(k)
		if err != nil {
			return nil, fail(exitUsage, "--recipient: %w", err)
		}
		to = append(to, r)
	}
	return to, nil
}

// passphraseIn is the passphrase in a file's first line, for sealing and for opening.
func passphraseIn(file string) (backup.Recipient, backup.Identity, error) {
	b, err := readSecret("--passphrase-file", file)
	if err != nil {
		return nil, nil, err
	}
	r, i, err := backup.Passphrase(b)
	if err != nil {
		return nil, nil, fail(exitUsage, "--passphrase-file %s: %w", file, err)
	}
	return r, i, nil
}

// backUp writes the file: beside its name first, so that FILE is a whole backup or not there.
func backUp(ctx context.Context, t *terminal, cfg *Config, path string, to []backup.Recipient) (b backedUp, err error) {
	if _, err := os.Lstat(path); err == nil {
		return b, fail(exitFailure, "%s exists: name another file, a backup is never written over", path)
	}
	f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return b, fail(exitFailure, "write a backup: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	sum := sha256.New()
	bar := t.newProgress("backup", -1, true)
	defer bar.end()
	seal, err := backup.Seal(io.MultiWriter(f, sum), to...)
	if err != nil {
		return b, err
	}
	s, note, err := copyStore(ctx, t, cfg, seal, func(s backup.Summary) { bar.to(int64(s.Bytes)) })
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, note.close()) }()
	if err := errors.Join(seal.Close(), f.Sync()); err != nil {
		return b, fail(exitFailure, "write a backup: %w", err)
	}
	if err := errors.Join(f.Close(), os.Link(f.Name(), path), os.Remove(f.Name())); err != nil { // a link never replaces a file
		return b, fail(exitFailure, "write a backup: %w", err)
	}
	if err := syncFolder(path); err != nil {
		return b, fail(exitFailure, "write a backup: %w", err)
	}
	if err := note.done(ctx, s); err != nil {
		return b, fmt.Errorf("%s is whole, and the journal does not say so: %w", path, err)
	}
	return backedUp{s.Entries, s.Head, true, path, s.Records, s.Bytes, hex.EncodeToString(sum.Sum(nil))}, nil
}

func syncFolder(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// noted ends a backup: done lets the store know of it, close lets go of the store.
type noted struct {
	done  func(context.Context, backup.Summary) error
	close func() error
}

// copyStore writes the backup of a store, unsealed, in whichever process holds it, to out.
func copyStore(ctx context.Context, t *terminal, cfg *Config, out io.Writer, progress func(backup.Summary)) (backup.Summary, noted, error) {
	s, err := streamRunning(ctx, cfg, out, progress)
	if !errors.Is(err, errNobody) {
		return s, noted{done: func(ctx context.Context, s backup.Summary) error {
			var nothing struct{}
			return call(ctx, t, cfg, "store.backed_up", s, &nothing)
		}, close: func() error { return nil }}, err
	}
	db, _, err := openStore(t, cfg, badger.Keep)
	if err != nil {
		return s, noted{}, err
	}
	if s, err = writeBackup(ctx, out, db, progress); err != nil {
		return s, noted{}, errors.Join(err, db.Close())
	}
	return s, noted{done: func(ctx context.Context, s backup.Summary) error { return noteBackup(ctx, db, s, time.Now()) }, close: db.Close}, nil
}

func writeBackup(ctx context.Context, out io.Writer, db *badger.DB, progress func(backup.Summary)) (backup.Summary, error) {
	id, err := db.Identity()
	if err != nil {
		return backup.Summary{}, err
	}
	h := backup.Header{Format: id.Format, Store: id.ID, Made: id.Made, MadeBy: id.MadeBy, Check: id.Check, Taken: time.Now().UTC(), Version: version}
	return backup.Write(ctx, out, db, h, badger.Own, progress)
}

// backupKey is the newest backup of a store; it is in no backup of the moment before.
var backupKey = store.Key(store.KindMeta, "backup")

// lastBackup is the record at backupKey. Names are added, never changed.
type lastBackup struct {
	At      time.Time `json:"at"`
	Format  int       `json:"format"` // of the store then
	Records uint64    `json:"records"`
	SHA256  string    `json:"sha256"` // of what is inside the seal
	Entries uint64    `json:"entries"`
}

// noteBackup lets the store and its journal know of a backup that is on disk.
func noteBackup(ctx context.Context, db *badger.DB, s backup.Summary, now time.Time) error {
	id, err := db.Identity()
	if err != nil {
		return err
	}
	b, err := json.Marshal(lastBackup{now.UTC(), id.Format, s.Records, s.SHA256, s.Entries})
	if err != nil {
		return err
	}
	line, err := journal.Append(journal.Entry{At: now.UTC(), Kind: journal.BackedUp, By: "operator", Shard: -1,
		Detail: map[string]string{"records": fmt.Sprint(s.Records), "entries": fmt.Sprint(s.Entries), "sha256": s.SHA256}})
	if err != nil {
		return err
	}
	_, err = db.Commit(ctx, &store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: backupKey, Value: b}}, Append: []store.Append{line}})
	return err
}

func storeBackedUp(ctx context.Context, s *house, in backup.Summary) (struct{}, error) {
	return struct{}{}, noteBackup(ctx, s.db, in, s.now())
}

// backupPath is where the running process gives a backup on its administration socket, as a stream.
const backupPath = "store.backup"

// giveBackup streams the store, unsealed: the socket is its owner's alone, and what is in the store is readable to who can use it.
func (s *house) giveBackup(w http.ResponseWriter, r *http.Request) {
	if _, err := writeBackup(r.Context(), w, s.db, nil); err != nil && r.Context().Err() == nil {
		s.log.Error("give a backup", "problem", err)
		panic(http.ErrAbortHandler) // the other side sees a cut, not an end
	}
}

// streamRunning copies the backup that the running process gives, and looks at every byte on the way.
func streamRunning(ctx context.Context, cfg *Config, out io.Writer, progress func(backup.Summary)) (s backup.Summary, err error) {
	path := socketPath(cfg)
	probe, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return s, errNobody
	}
	probe.Close()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://doorward/"+backupPath, nil)
	if err != nil {
		return s, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return s, fail(exitConnect, "ask the running process: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return s, fail(exitFailure, "the running process answered %s: is it another version?", resp.Status)
	}
	var soFar backup.Summary
	in, _, err := backup.Begin(io.TeeReader(resp.Body, out))
	if err != nil {
		return s, fail(exitConnect, "copy from the running process: %w", err)
	}
	s, err = in.Rest(func(k, v []byte) error {
		soFar.Records++
		if soFar.Bytes += uint64(len(k) + len(v)); soFar.Records%1024 == 0 {
			progress(soFar)
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		return s, fail(exitConnect, "copy from the running process: %w", err)
	}
	return s, err
}
