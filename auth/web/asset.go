package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
)

//go:embed asset/doorward.css asset/icons.svg
var ownAssets embed.FS

const assetRoot = "/assets/"

// assetTypes are the kinds of file that are served; any other is refused when the site is made.
var assetTypes = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".json": "application/json",
	".png": "image/png", ".txt": "text/plain; charset=utf-8",
}

// assets are the files of a site under one hash over all of them, so that modules may import each other by relative paths and the whole
// set may be kept for ever by browsers.
type assets struct {
	root  string // "/assets/<hash>/"
	files map[string]asset
}

type asset struct {
	kind        string
	plain, gzip []byte
}

// loadAssets reads the shared files and a site's own.
func loadAssets(site fs.FS) (*assets, error) {
	own, err := fs.Sub(ownAssets, "asset")
	if err != nil {
		return nil, fmt.Errorf("shared assets: %w", err)
	}
	a := &assets{files: map[string]asset{}}
	for _, fsys := range []fs.FS{own, site} {
		if fsys == nil {
			continue
		}
		if err := a.add(fsys); err != nil {
			return nil, err
		}
	}
	h := sha256.New()
	names := make([]string, 0, len(a.files))
	for name := range a.files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(h, "%s %d\n", name, len(a.files[name].plain))
		h.Write(a.files[name].plain)
	}
	a.root = assetRoot + hex.EncodeToString(h.Sum(nil)[:10]) + "/"
	return a, nil
}

func (a *assets) add(fsys fs.FS) error {
	return fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("assets: %w", err)
		}
		if d.IsDir() {
			return nil
		}
		kind, ok := assetTypes[path.Ext(name)]
		if !ok {
			return fmt.Errorf("asset %s: a kind of file that is not served", name)
		}
		if _, twice := a.files[name]; twice {
			return fmt.Errorf("asset %s: there are two", name)
		}
		b, err := fs.ReadFile(fsys, name)
		if err != nil {
			return fmt.Errorf("asset: %w", err)
		}
		z, err := squeeze(b)
		if err != nil {
			return fmt.Errorf("asset %s: %w", name, err)
		}
		a.files[name] = asset{kind, b, z}
		return nil
	})
}

// squeeze compresses what holds no secret; pages are never compressed (BREACH).
func squeeze(b []byte) ([]byte, error) {
	var z bytes.Buffer
	w, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if _, err := w.Write(b); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return z.Bytes(), nil
}

// url is where an asset is; an unknown one is a mistake in a template, which fails the page.
func (a *assets) url(name string) (string, error) {
	if _, ok := a.files[name]; !ok {
		return "", fmt.Errorf("no asset %s", name)
	}
	return a.root + name, nil
}

func (a *assets) serve(s *Site, w http.ResponseWriter, r *http.Request) {
	f, ok := a.files[strings.TrimPrefix(r.URL.Path, a.root)]
	if !ok {
		s.fail(w, r, NotFound("no such asset"))
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		s.fail(w, r, &Fault{http.StatusMethodNotAllowed, fmt.Errorf("method %s on an asset", r.Method)})
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	b := f.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") && len(f.gzip) < len(f.plain) {
		h.Set("Content-Encoding", "gzip")
		b = f.gzip
	}
	h.Set("Content-Length", strconv.Itoa(len(b)))
	if r.Method == http.MethodGet {
		if _, err := w.Write(b); err != nil {
			s.log.DebugContext(r.Context(), "asset not sent whole", "error", err)
		}
	}
}
