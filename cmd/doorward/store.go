package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"doorward/auth"
	"doorward/store/badger"
)

func storeCommand(t *terminal) *cobra.Command {
	c := &cobra.Command{Use: "store", Short: "Verify, back up and restore the store"}
	c.AddCommand(storeVerifyCommand(t), storeBackupCommand(t), storeRestoreCommand(t))
	for _, sub := range c.Commands() {
		sub.Flags().String("store", "", "directory of the store (default doorward-data)")
	}
	return c
}

// storeFlags are those of a command that works on the store.
func storeFlags(c *cobra.Command) {
	c.Flags().String("store", "", "directory of the store (default doorward-data)")
	c.Flags().Bool("migrate-without-backup", false, "bring a store of an older format to this program's, also when no backup of it was made")
}

// openStore opens a store as it is, without rules, shards and migration: for looking at it and copying it.
func openStore(t *terminal, cfg *Config, older badger.Older) (*badger.DB, *auth.Keys, error) {
	keys, err := readKey(keyFile(cfg))
	if err != nil {
		return nil, nil, err
	}
	as := storeConfig(t, cfg, keys)
	as.Older = older
	db, err := badger.Open(as)
	if err != nil {
		return nil, nil, storeError(err)
	}
	return db, keys, nil
}

func storeConfig(t *terminal, cfg *Config, keys *auth.Keys) badger.Config {
	return badger.Config{Dir: cfg.Store, Check: checkOf(keys), Version: version, Log: slog.New(slog.NewJSONHandler(t.talk, &slog.HandlerOptions{Level: slog.LevelWarn}))}
}

// backupFirst refuses to migrate a store that has served and was never backed up in the format it has: there is no way back from a newer one.
func backupFirst(cfg *Config) func(from int, get func(key []byte) ([]byte, error)) error {
	return func(from int, get func(key []byte) ([]byte, error)) error {
		served, err := get(shapeKey)
		if err != nil || served == nil || cfg.MigrateWithoutBackup {
			return err
		}
		b, err := get(backupKey)
		if err != nil {
			return err
		}
		var last lastBackup
		if b != nil {
			if err := json.Unmarshal(b, &last); err != nil {
				return fmt.Errorf("read when the store was last backed up: %w", err)
			}
		}
		if last.Format == from {
			return nil
		}
		return fmt.Errorf("this store has format %d; make a backup first: doorward store backup FILE --store %s --recipient age1..., or pass --migrate-without-backup; nothing was touched",
			from, cfg.Store)
	}
}

// readSecret reads a small file that only its owner may read: a passphrase, a private key.
func readSecret(what, path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, fail(exitUsage, "%s: %w", what, err)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return nil, fail(exitUsage, "%s: %s can be read by others (mode %o): chmod 600 %s", what, path, st.Mode().Perm(), path)
	}
	if st.Size() > 64<<10 {
		return nil, fail(exitUsage, "%s: %s is larger than 64 KiB", what, path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fail(exitUsage, "%s: %w", what, err)
	}
	return b, nil
}

// keyWarning is said with every backup.
func keyWarning(cfg *Config) string {
	return fmt.Sprintf("the backup does not hold the master key (%s): without that key nobody can use it, so keep a copy of the key elsewhere", keyFile(cfg))
}
