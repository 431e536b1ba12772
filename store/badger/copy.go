package badger

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Copy makes a store's files anew in a directory that is not there yet, and holds the store meanwhile, so that no process writes to it. The
// store itself is not touched. What can be rebuilt (the history) and the ballast are left out. The errors are those of Open.
func Copy(cfg Config, to string) error {
	_, lock, err := admit(cfg)
	if err != nil {
		return err
	}
	err = filepath.WalkDir(cfg.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(cfg.Dir, path)
		if err != nil {
			return err
		}
		switch {
		case name == "history":
			return fs.SkipDir
		case d.IsDir():
			return os.Mkdir(filepath.Join(to, name), 0o700)
		case name == ballastName || !d.Type().IsRegular():
			return nil
		}
		return copyFile(path, filepath.Join(to, name))
	})
	if err := errors.Join(err, lock.Close()); err != nil {
		return fmt.Errorf("copying the store in %s: %w", cfg.Dir, err)
	}
	return nil
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
