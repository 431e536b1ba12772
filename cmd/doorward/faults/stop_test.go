//go:build accept

package faults

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"doorward/detect"
)

// stopRow: SIGTERM under load. Serve ends with code 0 within ten seconds; nothing is lost or doubled.
func stopRow(t *testing.T, seed uint64) {
	eachBroker(t, func(t *testing.T, b *broker) {
		w := newWorld(t, b, seed)
		w.init()
		w.start()
		w.startLoad(load{rate: 1000, accounts: 400, copies: 1})
		for range *stops {
			w.pause(time.Duration(w.chance.IntN(1000)) * time.Millisecond)
			w.end()
			w.begin()
			if w.chance.IntN(2) == 0 {
				w.ready(time.Minute)
			}
			if t.Failed() {
				return
			}
		}
		w.finish()
		t.Logf("%d of %d findings were published again", w.history.Repeated(detect.TopicFindings), w.history.Count(detect.TopicFindings))
	})
}

// suspendRow: the machine sleeps for longer than the group waits for a member. What it had decided stays, what it had not is decided after.
func suspendRow(t *testing.T, seed uint64) {
	eachBroker(t, func(t *testing.T, b *broker) {
		w := newWorld(t, b, seed)
		w.init()
		w.start()
		w.startLoad(load{rate: 300, accounts: 200, copies: 1})
		w.locks(2)
		for _, s := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
			if err := w.running().cmd.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
			if s == syscall.SIGSTOP {
				w.pause(*sleep)
			}
		}
		w.ready(time.Minute)
		w.answersRight()
		w.finish()
	})
}

// keyRow: without its master key, or with another one, a store is not opened and not touched.
func keyRow(t *testing.T, seed uint64) {
	w := newWorld(t, startBroker(t), seed)
	w.init()
	w.start()
	w.startLoad(load{rate: 300, accounts: 50, copies: 1})
	w.locks(1)
	w.settle()
	w.end()
	key, aside := filepath.Join(w.dir, "master.key"), filepath.Join(w.dir, "aside.key")
	if err := os.Rename(key, aside); err != nil {
		t.Fatal(err)
	}
	before := sizes(t, w.store)
	for _, other := range []string{"", "another key, as long as the one that this store was made with has to be, and not it\n"} {
		if other != "" {
			w.write("master.key", other)
		}
		out, talk, code := w.run("serve")
		if code != 1 || !strings.Contains(talk, "key") || out != "" {
			t.Errorf("without its key serve ends with code %d: %s%s", code, out, talk)
		}
	}
	if after := sizes(t, w.store); after != before {
		t.Errorf("the store was touched:\n%s\n%s", before, after)
	}
	if err := os.Rename(aside, key); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.answersRight()
	w.finish()
}

// lostRow: the store is gone. Serve does not begin with an empty one, in which everybody would be let in. One that people make anew, on the
// same broker, takes over what was published: who was locked is locked, before anything else is said of them.
func lostRow(t *testing.T, seed uint64) {
	w := newWorld(t, startBroker(t), seed)
	w.init()
	w.start()
	w.startLoad(load{rate: 300, accounts: 50, copies: 1})
	w.locks(1)
	w.do(w.Context(), Act{Account: own(w.prefix), Kind: "lock"}) // by a person: no input says so again
	w.locks(2)
	w.settle()
	w.end()
	if err := os.RemoveAll(w.store); err != nil {
		t.Fatal(err)
	}
	if out, talk, code := w.run("serve"); code != 1 || !strings.Contains(talk, w.store) || out != "" {
		t.Errorf("without its store serve ends with code %d: %s%s", code, out, talk)
	}
	if _, err := os.Stat(w.store); err == nil {
		t.Error("serve made a store")
	}
	published := len(w.lockedNow())
	if err := os.Rename(filepath.Join(w.dir, "master.key"), filepath.Join(w.dir, "lost.key")); err != nil {
		t.Fatal(err)
	}
	w.init()
	w.start()
	w.answersRight()
	locked := 0
	for a := range w.lockedNow() {
		if got, status := w.lookAt(t.Context(), a); status == 200 && got.State == "locked" {
			locked++
		} else {
			t.Errorf("%s was published as locked; the new store says %+v, status %d", a, got, status)
		}
	}
	w.end()
	w.stopReading()
	if locked < published || published == 0 {
		t.Errorf("%d of %d accounts are locked", locked, published)
	}
	t.Logf("%d accounts that were published as locked are locked again", locked)
}

// sizes are a directory's files with their sizes and times.
func sizes(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	if err := filepath.Walk(dir, func(path string, st os.FileInfo, err error) error {
		if err == nil && st.Mode().IsRegular() {
			b.WriteString(path + " " + st.ModTime().String() + "\n")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// memoryRow: little memory, many accounts. Nothing is killed, and nothing lost.
func memoryRow(t *testing.T, seed uint64) {
	g, version := newGroup(t, "memory", "memory")
	limit := map[int]string{1: "memory.limit_in_bytes", 2: "memory.max"}[version]
	g.set(t, limit, "536870912")
	w := newWorld(t, startBroker(t), seed)
	w.wrap, w.env = g.inside(), []string{"GOMEMLIMIT=400MiB"}
	w.init()
	w.start()
	w.startLoad(load{rate: 2000, accounts: 50_000, copies: 1})
	w.pause(*pressure)
	if w.running().ended() {
		t.Fatalf("serve ended\n%s", w.running().log())
	}
	w.finish()
}
