//go:build accept

package faults

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// lyingRow: the disk said that it had written what it had not. Either an older state of everything comes back (the restore of an old copy
// is the same), or the last blocks of the newest log are zeros or garbage. It is noticed, or made good from the topics before anything is
// said: of no account is less said than was published.
func lyingRow(t *testing.T, seed uint64) {
	for name, damage := range map[string]func(w *world, older string){
		"older":   func(w *world, older string) { w.restore(older) },
		"zeroed":  func(w *world, _ string) { w.tear(func(b []byte) { clear(b) }) },
		"garbled": func(w *world, _ string) { w.tear(w.garble) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, startBroker(t), seed)
			w.init()
			w.start()
			w.startLoad(load{rate: 500, accounts: 100, copies: 1})
			w.locks(2)
			w.kill()
			older := filepath.Join(w.dir, "older")
			copyTree(t, w.store, older)
			w.start()
			before := len(w.lockedNow())
			w.await(time.Minute, "more locks are published", func() bool { return len(w.lockedNow()) >= before+3 })
			w.do(w.Context(), Act{Account: own(w.prefix), Kind: "lock"})
			w.stopLoad()
			w.settle()
			w.kill()
			damage(w, older)
			t.Logf("%s: %s", name, w.damaged(name, "state"))
			w.stopReading()
			for _, p := range Check(&History{Looks: w.history.Looks}) {
				t.Error(p)
			}
		})
	}
}

// restore puts an older copy in the store's place.
func (w *world) restore(older string) {
	w.Helper()
	if err := os.RemoveAll(w.store); err != nil {
		w.Fatal(err)
	}
	copyTree(w.T, older, w.store)
}

func (w *world) garble(b []byte) {
	for i := range b {
		b[i] = byte(w.chance.IntN(256))
	}
}

// tear damages the last 4 KiB of the newest log of the state's database.
func (w *world) tear(damage func([]byte)) {
	w.Helper()
	logs, err := filepath.Glob(filepath.Join(w.store, "state", "*.mem"))
	if err != nil || len(logs) == 0 {
		w.Fatalf("no logs in %s: %v", w.store, err)
	}
	f, err := os.OpenFile(logs[len(logs)-1], os.O_RDWR, 0)
	if err != nil {
		w.Fatal(err)
	}
	defer f.Close()
	end := w.contentEnd(f)
	const block = 4 << 10
	from := max(end-1, 0) / block * block
	b := make([]byte, block)
	if _, err := f.ReadAt(b, from); err != nil {
		w.Fatal(err)
	}
	damage(b[:end-from])
	if _, err := f.WriteAt(b, from); err != nil {
		w.Fatal(err)
	}
}
