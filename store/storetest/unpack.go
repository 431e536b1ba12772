package storetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// Unpack unpacks a .tar.gz, a stored fixture, into a directory of the test, and returns that.
func Unpack(t testing.TB, file string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	r := tar.NewReader(z)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		switch h.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(path, 0o700)
		default:
			if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
				err = unpackFile(path, r, h.Size)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// unpackFile writes a file and leaves its holes out: a database's log has 128 MiB of them.
func unpackFile(path string, r io.Reader, size int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	buf, hole := make([]byte, 1<<16), make([]byte, 1<<16)
	for at := int64(0); at < size && err == nil; {
		part := buf[:min(size-at, int64(len(buf)))]
		if _, err = io.ReadFull(r, part); err == nil && !bytes.Equal(part, hole[:len(part)]) {
			_, err = f.WriteAt(part, at)
		}
		at += int64(len(part))
	}
	return errors.Join(err, f.Truncate(size), f.Close())
}
