//go:build accept

package faults

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// rotRow: one byte of one file of the store is another one. The service gives the right answers, or refuses to start and says where the
// damage is, or says that it is not ready; it never lets anybody in. Damage of the history stops nothing.
func rotRow(t *testing.T, seed uint64) {
	w := newWorld(t, startBroker(t), seed)
	w.init()
	w.start()
	w.startLoad(load{rate: 500, accounts: 200, copies: 1})
	w.locks(4)
	w.settle()
	w.kill() // not in order, so that there are logs to play
	pristine := filepath.Join(w.dir, "pristine")
	copyTree(t, w.store, pristine)
	kinds := filesByKind(t, pristine)
	names := make([]string, 0, len(kinds))
	for k := range kinds {
		names = append(names, k)
	}
	slices.Sort(names)
	outcomes := map[string]int{}
	for n := range *flips {
		kind := names[n%len(names)] // every kind in turn
		file := kinds[kind][w.chance.IntN(len(kinds[kind]))]
		if err := os.RemoveAll(w.store); err != nil {
			t.Fatal(err)
		}
		copyTree(t, pristine, w.store)
		at := w.flip(filepath.Join(w.store, file))
		what := fmt.Sprintf("byte %d of %s", at, file)
		outcomes[kind+" "+w.damaged(what, file)]++
		if t.Failed() {
			return
		}
	}
	t.Logf("%d flips: %v", *flips, outcomes)
	if err := os.RemoveAll(w.store); err != nil {
		t.Fatal(err)
	}
	copyTree(t, pristine, w.store)
	w.start()
	w.answersRight()
	w.end()
	w.verifyJournal()
	w.stopReading()
	// The store was put back as many times, so that states that end by the clock have ended at as many times, and were told so: what holds
	// in such a history is that of no account less was ever said than was published.
	for _, p := range Check(&History{Looks: w.history.Looks}) {
		t.Error(p)
	}
}

// filesByKind are a store's files with something in them; those whose content means nothing (locks, sockets, the ballast) apart.
func filesByKind(t *testing.T, dir string) map[string][]string {
	t.Helper()
	kinds := map[string][]string{}
	if err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		st, err := e.Info()
		if err != nil || st.Size() == 0 || strings.EqualFold(e.Name(), "lock") || e.Name() == "ballast" {
			return err
		}
		kind := filepath.Ext(rel)
		if kind == "" {
			kind = e.Name()
		}
		kind = filepath.Join(filepath.Dir(rel), kind)
		kinds[kind] = append(kinds[kind], rel)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(kinds) < 4 {
		t.Fatalf("the store has only files of %v", kinds)
	}
	return kinds
}

// flip changes one byte of what a file holds: not of the zeros behind its end.
func (w *world) flip(path string) (at int64) {
	w.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		w.Fatal(err)
	}
	defer f.Close()
	end := w.contentEnd(f)
	at = w.chance.Int64N(max(end, 1))
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		w.Fatalf("%s: %v", path, err)
	}
	b[0] ^= byte(1 + w.chance.IntN(255))
	if _, err := f.WriteAt(b, at); err != nil {
		w.Fatal(err)
	}
	return at
}

// contentEnd is where the zeros behind a file's content begin.
func (w *world) contentEnd(f *os.File) (end int64) {
	w.Helper()
	st, err := f.Stat()
	if err != nil {
		w.Fatal(err)
	}
	b := make([]byte, extent)
	if err := eachExtent(f, st.Size(), func(at, n int64) error {
		if _, err := f.ReadAt(b[:n], at); err != nil {
			return err
		}
		for i := n - 1; i >= 0; i-- {
			if b[i] != 0 {
				end = at + i + 1
				break
			}
		}
		return nil
	}); err != nil {
		w.Fatal(err)
	}
	return end
}

// damaged starts the service on a damaged store and says what came of it.
func (w *world) damaged(what, file string) (outcome string) {
	w.Helper()
	e, named := w.launch()
	w.mu.Lock()
	w.engine = e
	w.mu.Unlock()
	defer e.kill()
	select {
	case <-e.done:
		return w.refused(e, what, file)
	case <-named:
	case <-time.After(time.Minute):
		w.Fatalf("%s: serve neither starts nor ends\n%s", what, e.log())
	}
	ready, why := false, ""
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end) && !e.ended() && !ready; time.Sleep(20 * time.Millisecond) {
		if ready, why = w.readiness(); strings.Contains(why, "damage") || strings.Contains(why, "checksum") {
			break
		}
	}
	w.answersRight()
	switch {
	case e.ended():
		return w.refused(e, what, file)
	case ready:
		return "right"
	}
	w.Logf("%s: not ready: %s", what, why)
	return "not ready"
}

// refused: a refusal has a code, and says which file or at least which store.
func (w *world) refused(e *engine, what, file string) string {
	w.Helper()
	if strings.HasPrefix(file, "history"+string(filepath.Separator)) {
		w.Errorf("%s: serve ended, and nothing is decided from the history\n%s", what, e.log())
	}
	code := e.cmd.ProcessState.ExitCode()
	if code <= 0 {
		w.Errorf("%s: serve ended with code %d\n%s", what, code, e.log())
	}
	if len(e.crash) > 0 {
		w.Errorf("%s: serve crashed\n%s", what, e.log())
	}
	switch log := e.log(); {
	case strings.Contains(log, filepath.Base(file)):
		return "refused by name"
	case strings.Contains(log, w.store):
		return "refused"
	default:
		w.Errorf("%s: serve ended and does not say where the damage is\n%s", what, log)
		return "refused without a word"
	}
}

// copyTree copies a directory's regular files, holes as holes.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case e.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		case e.Type().IsRegular():
			if err := copyExtents(path, filepath.Join(to, rel)); err != nil {
				return err
			}
			return os.Chmod(filepath.Join(to, rel), 0o600)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
