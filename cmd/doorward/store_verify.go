package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"doorward/auth"
	"doorward/auth/totp"
	"doorward/detect"
	"doorward/store/badger"
	"doorward/store/journal"
)

// verified is what `store verify` prints (COMMANDS.md): the journal's end, whether all is well, then what was looked at.
type verified struct {
	Entries uint64 `json:"entries"`
	Head    string `json:"head"`
	OK      bool   `json:"ok"`
	Areas   []area `json:"areas"`
}

// area is a part of the store, with what is wrong in it.
type area struct {
	Name     string    `json:"area"`
	Count    uint64    `json:"count"`
	Of       string    `json:"of"` // what was counted
	Problems []problem `json:"problems"`
}

// problem names what is damaged, a file, a key or an entry, and how.
type problem struct {
	Where string `json:"where"`
	What  string `json:"what"`
}

// maxProblems bounds what is told of one area.
const maxProblems = 20

func (a *area) damaged(where, what string) {
	if len(a.Problems) < maxProblems {
		a.Problems = append(a.Problems, problem{where, what})
	}
}

func storeVerifyCommand(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "verify", Short: "Read all of the store and name what is damaged",
		Long: `Reads everything in the store: the files' checksums, every record, the journal's chain from its first entry to its head, accounts, what each
shard would load at a start, and what is sealed under the master key. It changes nothing, and a store of an older format keeps it. While the service runs, it looks itself, and files
are looked at as far as they are read. Exit code 5 when something is damaged: then restore a backup (` + "`doorward store restore`" + `).`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c, os.LookupEnv)
			if err != nil {
				return err
			}
			v, err := verifyAnywhere(c.Context(), t, cfg)
			if err != nil {
				return err
			}
			if err := t.print(v, func(w io.Writer) { printVerified(w, v) }); err != nil {
				return err
			}
			if !v.OK {
				return fail(exitIntegrity, "the store in %s is damaged: stop the service, keep a copy of the directory as it is, and restore a backup into an empty one (`doorward store restore FILE --store DIR`)", cfg.Store)
			}
			return nil
		},
	}
}

func printVerified(w io.Writer, v verified) {
	for _, a := range v.Areas {
		word := "fine"
		if len(a.Problems) > 0 {
			word = "DAMAGED"
		}
		fmt.Fprintf(w, "%-9s %-8s %d %s\n", a.Name, word, a.Count, a.Of)
		for _, p := range a.Problems {
			fmt.Fprintf(w, "          %s: %s\n", printable(p.Where), printable(p.What))
		}
	}
	fmt.Fprintf(w, "journal of %d entries, head %s\n", v.Entries, v.Head)
}

// verifyAnywhere asks the running process, or opens the store when none holds it.
func verifyAnywhere(ctx context.Context, t *terminal, cfg *Config) (v verified, err error) {
	body, err := callRunning(ctx, cfg, "store.verify", []byte("{}"))
	switch {
	case err == nil:
		return v, json.Unmarshal(body, &v)
	case !errors.Is(err, errNobody):
		return v, err
	}
	keys, err := readKey(keyFile(cfg))
	if err != nil {
		return v, err
	}
	files := area{Name: "files", Of: "tables and large values"}
	bar := t.newProgress("verify", -1, false)
	defer bar.end()
	damages, err := badger.Verify(storeConfig(t, cfg, keys), func(done, of int) {
		files.Count = uint64(of)
		bar.to(int64(done))
	})
	if err != nil {
		return v, storeError(err)
	}
	for _, d := range damages {
		files.damaged(d.File, d.What)
	}
	v.Areas = []area{files}
	if len(damages) > 0 { // what can't be opened can't be read either
		return v, nil
	}
	db, _, err := openStore(t, cfg, badger.Look)
	if err != nil {
		return v, err
	}
	rest, err := verifyOpen(ctx, db, keys, func(n uint64) { bar.to(int64(n)) })
	rest.Areas = append(v.Areas, rest.Areas...)
	return rest, errors.Join(err, db.Close())
}

// storeVerify is verify in the process that holds the store.
func storeVerify(ctx context.Context, s *house, _ struct{}) (verified, error) {
	files := area{Name: "files", Of: "large values"}
	damages, err := s.db.VerifyBulk(func(_, of int) { files.Count = uint64(of) })
	if err != nil {
		return verified{}, err
	}
	for _, d := range damages {
		files.damaged(d.File, d.What)
	}
	v, err := verifyOpen(ctx, s.db, s.keys, func(uint64) {})
	v.Areas = append([]area{files}, v.Areas...)
	v.OK = v.OK && len(damages) == 0
	return v, err
}

// verifyOpen reads what is in an open store.
func verifyOpen(ctx context.Context, db *badger.DB, keys *auth.Keys, progress func(uint64)) (v verified, err error) {
	factors, err := totp.NewFactors(totp.Config{Store: db, Keys: keys, Issuer: "Doorward", Now: noClock})
	if err != nil {
		return v, err
	}
	c := recordCheck{ctx: ctx, db: db, keys: keys, factors: factors, progress: progress}
	if err := c.run(); err != nil {
		return v, err
	}
	r, err := journal.Verify(ctx, db, nil)
	if err != nil {
		return v, err
	}
	lines := area{Name: "journal", Count: r.Entries, Of: "entries, each chained to the one before"}
	if !r.OK {
		lines.damaged(fmt.Sprintf("entry %d", r.FirstBad), r.Problem)
	}
	shards, err := verifyShards(ctx, db, c.shape.Shards)
	if err != nil {
		return v, err
	}
	v = verified{Entries: r.Entries, Head: r.Head, OK: true, Areas: append(c.areas(), lines, shards)}
	for _, a := range v.Areas {
		v.OK = v.OK && len(a.Problems) == 0
	}
	return v, nil
}

func verifyShards(ctx context.Context, db *badger.DB, n int) (area, error) {
	a := area{Name: "shards", Of: "pages and deltas of the shards' windows"}
	for i := range n {
		s, err := detect.VerifyShard(ctx, db, i)
		if err != nil {
			return a, err
		}
		a.Count += uint64(s.Pages + s.Deltas)
		for _, d := range s.Damages {
			a.damaged(fmt.Sprintf("shard %d, key %x", i, d.Key), d.What)
		}
	}
	return a, nil
}

// keyText is a key as people may compare it: its kind, then the rest, with what can't be read in hexadecimal.
func keyText(k []byte) string {
	if len(k) == 0 {
		return "an empty key"
	}
	if bytes.IndexFunc(k[1:], func(r rune) bool { return r < ' ' || r > '~' }) < 0 {
		return "key " + string(k[:1]) + " " + strings.TrimSpace(string(k[1:]))
	}
	return fmt.Sprintf("key %c %x", k[0], k[1:])
}
