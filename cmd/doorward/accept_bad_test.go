//go:build accept

package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"doorward/auth"
	"doorward/detect"
	"doorward/store"
)

// What is wrong is said, with what to do, by serve itself; nothing is lost meanwhile. The same of the other commands is in testdata/script.
func TestAcceptRefusals(t *testing.T) {
	b := embedded(t)
	refuses := func(t *testing.T, w *world, code int, texts ...string) {
		t.Helper()
		_, talk, got := w.run("serve")
		if got != code {
			t.Errorf("exit code %d, want %d", got, code)
		}
		for _, text := range texts {
			if !strings.Contains(talk, text) {
				t.Errorf("it does not say %q but\n%s", text, talk)
			}
		}
	}
	t.Run("rules", func(t *testing.T) {
		w := newWorld(t, b, "")
		if err := os.Mkdir(w.path("rules"), 0o700); err != nil {
			t.Fatal(err)
		}
		w.write("rules/mine.yaml", "- id: m.y\n  title: Mine\n  level: low\n  on: [login.failed]\n  when: cuont(\"login.failed\", \"1h\") >= 3\n  score: 10\n  response: review\n  reason: {code: mine, en: Mine.}\n")
		w.append("rules: " + w.path("rules"))
		refuses(t, w, exitRules, "mine.yaml:5:9", "count")
	})
	t.Run("setting", func(t *testing.T) {
		w := newWorld(t, b, "")
		w.append("partitoner: murmur2")
		refuses(t, w, exitUsage, `unknown field "partitoner"`, `did you mean "partitioner"?`)
	})
	t.Run("no broker", func(t *testing.T) {
		w := newWorld(t, broker{address: "127.0.0.1:1"}, "")
		refuses(t, w, exitConnect, "127.0.0.1:1", "no broker answers", "Is Kafka running there")
	})
	t.Run("silent", func(t *testing.T) { // something that listens and says nothing must not hold serve up for ever
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		refuses(t, newWorld(t, broker{address: l.Addr().String()}, ""), exitConnect, "what answers does not speak Kafka")
	})
	if s, ok := secure("wrong-password"); ok {
		t.Run("password", func(t *testing.T) {
			refuses(t, newWorld(t, s, ""), exitConnect, `refuses user "doorward"`, "Check kafka.user and kafka.password")
		})
	}
	t.Run("in use", func(t *testing.T) {
		w := newWorld(t, b, "")
		w.start()
		refuses(t, w, exitFailure, "is open in another doorward")
		w.end()
	})
}

// append adds a line to the configuration.
func (w *world) append(line string) {
	w.Helper()
	before, err := os.ReadFile(w.path("doorward.yaml"))
	if err != nil {
		w.Fatal(err)
	}
	w.write("doorward.yaml", string(before)+line+"\n")
}

// open opens the world's store in this process, as nobody should: to damage it.
func (w *world) open() *house {
	w.Helper()
	cfg := defaults()
	cfg.Store = w.path("store")
	s, err := openHouse(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// An entry of the journal that somebody altered is found and named.
func TestAcceptTamperedJournal(t *testing.T) {
	w := newWorld(t, embedded(t), "")
	w.start()
	for _, verb := range []string{"lock", "unlock", "lock"} {
		var r auth.Record
		w.result(&r, "account", verb, "acct-1", "--reason", "the owner called")
	}
	w.end()
	var v struct {
		Entries uint64
		Head    string
		OK      bool
	}
	if w.result(&v, "journal", "verify"); !v.OK || v.Entries < 3 {
		t.Fatalf("before: %+v", v)
	}
	s := w.open()
	key := store.LineKey(store.Journal, v.Entries-1)
	line, err := s.db.Get(t.Context(), key)
	if err == nil {
		altered := strings.Replace(string(line[0]), "the owner called", "the owner wrote!", 1)
		if altered == string(line[0]) {
			t.Fatalf("entry %d is %q", v.Entries-1, line[0])
		}
		_, err = s.db.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: key, Value: []byte(altered)}}})
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	out, talk, code := w.run("journal", "verify", "-o", "json")
	if code != exitIntegrity || !strings.Contains(out, `"ok":false`) || !strings.Contains(talk, fmt.Sprintf("altered at entry %d", v.Entries-1)) {
		t.Errorf("exit code %d: %s%s", code, out, talk)
	}
}

// What can't be taken goes to the dead letters with its bytes and reason, the partition moves on, and an operator can send it again.
func TestAcceptDeadLetters(t *testing.T) {
	each(t, func(t *testing.T, b broker) {
		w := newWorld(t, b, "")
		w.start()
		account := id("acct")
		_, e := makeEvent(account, "transaction.requested", time.Now(), drain("acct-77"))
		w.produce(e, "-p", "3", "-H", "content-type=application/cloudevents+json") // no key
		w.produce(e, "-p", "5", "-k", account, "-H", "content-type=application/cloudevents+json")
		w.stateOf(account, func(r stateRecord) bool { return r.State == "locked" })
		_, other := makeEvent(account, "login.succeeded", time.Now(), nil)
		w.produce(other, "-p", "6", "-k", account, "-H", "content-type=application/cloudevents+json")
		keyless := w.dead("wrong_key", 1)[0]
		moved := w.dead("wrong_partition", 1)[0]
		if keyless.Partition != 3 || moved.Partition != 6 || !strings.Contains(moved.Problem, "partition 5") {
			t.Errorf("dead letters: %+v %+v", keyless, moved)
		}
		var shown detect.Dead
		if w.result(&shown, "dlq", "show", keyless.ID); string(shown.Value) != e || len(shown.Key) != 0 {
			t.Errorf("it is kept as %q", shown.Value)
		}
		published := 0
		for _, r := range w.read(detect.TopicDead) {
			if r.value == e && strings.Contains(r.headers, "wrong_key") {
				published++
			}
		}
		if published < 1 {
			t.Errorf("kcat does not find it in %s", detect.TopicDead)
		}
		// Sent again it goes where it came from; it has no key still, so it comes back, and both stay on the list.
		var again detect.Dead
		if w.result(&again, "dlq", "replay", keyless.ID); again.Replayed == nil {
			t.Errorf("replayed: %+v", again)
		}
		if all := w.dead("wrong_key", 2); all[0].Offset == all[1].Offset || all[0].Partition != 3 || all[1].Partition != 3 {
			t.Errorf("after the replay: %+v", all)
		}
		if r := w.stateOf(account, func(stateRecord) bool { return true }); r.Version != 1 {
			t.Errorf("dead letters moved the state: %+v", r)
		}
		w.end()
	})
}

// dead waits for so many dead letters with a code.
func (w *world) dead(code string, n int) (found []detect.Dead) {
	w.Helper()
	w.eventually(30*time.Second, fmt.Sprintf("%d dead letters %s", n, code), func() bool {
		out, talk, exit := w.run("dlq", "list", "-o", "json")
		if exit != 0 {
			w.Fatalf("dlq list: %d %s", exit, talk)
		}
		found = nil
		for _, l := range strings.Split(strings.TrimSpace(out), "\n") {
			var d detect.Dead
			if l != "" && json.Unmarshal([]byte(l), &d) == nil && string(d.Code) == code {
				found = append(found, d)
			}
		}
		return len(found) == n
	})
	return found
}

// A full disk stops intake long before the store could be hurt, says so, and intake goes on by itself when there is room.
func TestAcceptFullDisk(t *testing.T) {
	need(t, "kcat")
	w := newPlace(t, embedded(t), "")
	disk := w.path("store")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(need(t, "mount"), "-t", "tmpfs", "-o", "size=1700m", "doorward", disk).CombinedOutput(); err != nil {
		t.Fatalf("a disk that can be filled: %v %s", err, out)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	w.init()
	w.start()
	first := w.owner(id("acct"))
	_, e := makeEvent(first.account, "transaction.requested", time.Now(), drain("acct-77"))
	w.structured(first.account, e)
	w.stateOf(first.account, func(r stateRecord) bool { return r.State == "locked" })

	neighbour := w.fill(filepath.Join(disk, "neighbour"), 600<<20)
	var reasons string
	w.eventually(30*time.Second, "readiness says that the disk is full", func() bool {
		var ready bool
		ready, reasons = w.ready()
		return !ready && strings.Contains(reasons, "too little free disk")
	})
	if !strings.Contains(reasons, "goes on by itself") {
		t.Errorf("the reason says %q", reasons)
	}
	second := id("acct")
	_, e = makeEvent(second, "transaction.requested", time.Now(), drain("acct-77"))
	w.structured(second, e)
	var shown stateRecord
	if s := w.call("GET", "/v1/accounts/"+first.account, nil, &shown); s != http.StatusOK || shown.State != "locked" {
		t.Errorf("while the disk is full GET says %d %+v", s, shown)
	}
	if all := of[stateRecord](w, detect.TopicState, second); len(all) > 0 {
		t.Errorf("taken in while the disk is full: %+v", all)
	}
	if err := os.Remove(neighbour); err != nil {
		t.Fatal(err)
	}
	w.eventually(time.Minute, "it goes on by itself", func() bool { ready, _ := w.ready(); return ready })
	w.stateOf(second, func(r stateRecord) bool { return r.State == "locked" })
	var v struct{ OK bool }
	if w.result(&v, "journal", "verify"); !v.OK {
		t.Error("the journal is damaged")
	}
	w.end("too little free disk")
}

// fill makes a file so large that only so much is free on its disk.
func (w *world) fill(path string, free uint64) string {
	w.Helper()
	var s unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(path), &s); err != nil {
		w.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		w.Fatal(err)
	}
	defer f.Close()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, int64(s.Bavail*uint64(s.Bsize)-free)); err != nil {
		w.Fatalf("fill the disk: %v", err)
	}
	return path
}
