package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"doorward/auth"
	"doorward/auth/staff"
	"doorward/detect/api"
	"doorward/store"
	"doorward/store/badger"
	"doorward/store/journal"
)

// initialised is what `init` prints (COMMANDS.md).
type initialised struct {
	Store     string `json:"store"`
	KeyFile   string `json:"key_file"`
	APIToken  string `json:"api_token"`
	StaffLink string `json:"staff_link"`
}

func initCommand(t *terminal) *cobra.Command {
	c := &cobra.Command{
		Use: "init", Short: "Make a store, its master key, a token for the platform and a link for the first administrator",
		Long: `Makes the store's directory and, beside it, the master key (0600). Without that key nobody can read the secrets in the store, you neither:
keep a copy of it elsewhere, and never inside the store or its backup. The token and the link are shown once.`,
		Example: "  doorward init --store /var/lib/doorward", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c, os.LookupEnv)
			if err != nil {
				return err
			}
			made, err := initialise(c.Context(), cfg, slog.New(slog.NewJSONHandler(t.talk, &slog.HandlerOptions{Level: slog.LevelWarn})))
			if err != nil {
				return err
			}
			return t.print(made, func(w io.Writer) {
				fmt.Fprintf(w, `store      %s
key        %s   (keep a copy elsewhere: without it the store can't be opened)
API token  %s   (shown once: the platform's bearer token)
first admin, within 24 h, after `+"`doorward serve`"+` has started:
           %s
`, made.Store, made.KeyFile, made.APIToken, made.StaffLink)
			})
		},
	}
	c.Flags().String("store", "", "directory of the store (default doorward-data)")
	return c
}

// initialise makes everything that `serve` needs.
func initialise(ctx context.Context, cfg *Config, log *slog.Logger) (*initialised, error) {
	path := keyFile(cfg)
	keys, err := makeKey(path)
	if err != nil {
		return nil, err
	}
	db, err := badger.Create(badger.Config{Dir: cfg.Store, Check: checkOf(keys), Version: version, Log: log})
	if err != nil {
		return nil, errors.Join(storeError(err), os.Remove(path))
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	s, err := openHouse(cfg, log)
	if err != nil {
		return nil, err
	}
	made := &initialised{Store: cfg.Store, KeyFile: path}
	made.APIToken, err = s.makeToken(ctx)
	if err == nil {
		made.StaffLink, err = s.staff.Invite(ctx, "admin", staff.Admin, "operator")
	}
	return made, errors.Join(err, s.close())
}

// makeToken makes a bearer token for the platform; the store keeps its hash.
func (s *house) makeToken(ctx context.Context) (string, error) {
	token, record, err := api.MakeToken(s.now())
	if err != nil {
		return "", err
	}
	entry, err := journal.Append(journal.Entry{At: s.now().UTC(), Kind: journal.TokenMade, By: "operator", Shard: -1})
	if err != nil {
		return "", err
	}
	_, err = s.db.Commit(ctx, &store.Batch{Shard: store.NoShard, Put: []store.Pair{record}, Append: []store.Append{entry}})
	return token, err
}

// makeKey makes the master key's file, which must not exist yet.
func makeKey(path string) (*auth.Keys, error) {
	b := make([]byte, auth.MasterSize)
	if _, err := rand.Read(b); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, fail(exitFailure, "master key: %s exists: there is a store for it, or it is left of one; move it away to make a new store", path)
	}
	if err != nil {
		return nil, fail(exitFailure, "master key: %w", err)
	}
	if _, err = f.Write(b); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fail(exitFailure, "master key: %w", errors.Join(err, os.Remove(path)))
	}
	return auth.NewKeys(b)
}

// ownerZone is in which owners are told times, until profiles know better.
var ownerZone = time.UTC
