//go:build accept

package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"doorward/auth/recovery"
	"doorward/store"
)

// What must not open an account, tried over HTTP as a thief would.
func TestAcceptAttacks(t *testing.T) {
	each(t, func(t *testing.T, b broker) {
		w := newWorld(t, b, "")
		w.start()
		t.Run("scanner", func(t *testing.T) { w.in(t).scanned() })
		t.Run("links", func(t *testing.T) { w.in(t).links() })
		t.Run("unconfirmed", func(t *testing.T) { w.in(t).unconfirmed() })
		t.Run("replay", func(t *testing.T) { w.in(t).replayed() })
		t.Run("parallel", func(t *testing.T) { w.in(t).parallel() })
		w.end()
	})
}

// lockedOwner is somebody whose account was just locked.
func (w *world) lockedOwner() *holder {
	w.Helper()
	o := w.owner(id("acct"))
	_, e := makeEvent(o.account, "transaction.requested", time.Now(), drain("acct-77"))
	w.structured(o.account, e)
	w.stateOf(o.account, func(r stateRecord) bool { return r.State == "locked" })
	return o
}

// stillLocked: the platform is told nothing new.
func (w *world) stillLocked(o *holder, version uint64) {
	w.Helper()
	var r stateRecord
	if s := w.call("GET", "/v1/accounts/"+o.account, nil, &r); s != 200 || r.Version != version || len(r.Refuse) != 3 {
		w.Errorf("the account is %d %+v, want version %d and everything refused", s, r, version)
	}
}

// scanned: a mail scanner that opens a link, and every page it finds, changes nothing; the owner's click works after it.
func (w *world) scanned() {
	o := w.lockedOwner()
	link := w.link(o.account)
	for range 3 {
		b := w.newBrowser("127.0.0.1")
		p := b.get(link)
		if p.status != 200 || strings.Contains(p.body, o.account) {
			w.Errorf("the link shows %d %s", p.status, p.body)
		}
		if u, err := url.Parse(w.at["portal"]); err != nil || len(b.client.Jar.Cookies(u)) != 0 {
			w.Error("opening the link made a session")
		}
		for _, path := range []string{"/why", "/code", "/done", "/enrol", "/codes.txt"} {
			if p := b.get(path); p.path != "/ended" {
				w.Errorf("without a session %s is %s", path, p.path)
			}
		}
	}
	w.stillLocked(o, 1)
	w.recover(o)
}

// links: forged ones, another account's, one that has run out.
func (w *world) links() {
	victim, thief := w.lockedOwner(), w.lockedOwner()
	link := w.link(victim.account)
	token := link[strings.LastIndex(link, "/")+1:]
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		w.Fatal(err)
	}
	for at := 0; at < len(raw); at += 7 { // one bit anywhere
		forged := append([]byte(nil), raw...)
		forged[at] ^= 1
		p := w.newBrowser(fmt.Sprintf("127.0.2.%d", at+1)).post("/r/" + base64.RawURLEncoding.EncodeToString(forged))
		if !strings.HasSuffix(p.path, "/old") {
			w.Errorf("a link with byte %d changed leads to %s", at, p.path)
		}
	}
	// A link with somebody else's code, though that code is right for its own account.
	b := w.newBrowser("127.0.0.1")
	b.post(link)
	if p := b.post("/code", "code", w.code(thief)); p.path != "/code" || p.status != 200 {
		w.Errorf("another account's code leads to %s (%d)", p.path, p.status)
	}
	if p := b.get("/enrol"); p.path == "/enrol" {
		w.Error("the session counts as proved")
	}
	w.stillLocked(victim, 1)
	w.stillLocked(thief, 1)
	// Not without its session either: a browser from elsewhere has none.
	if p := w.newBrowser("127.0.0.1").post("/code", "code", w.code(victim)); p.path != "/ended" {
		w.Errorf("a code without a session leads to %s", p.path)
	}
}

// unconfirmed: a secret that no code has confirmed opens nothing.
func (w *world) unconfirmed() {
	o := &holder{account: id("acct")}
	if s := w.call("PUT", "/v1/accounts/"+o.account, map[string]any{"emails": []string{o.account + "@example.test"}, "language": "en"}, nil); s != 204 {
		w.Fatalf("PUT: %d", s)
	}
	var e enrolment
	w.result(&e, "totp", "enroll", o.account)
	u, err := url.Parse(e.URI)
	if err != nil {
		w.Fatal(err)
	}
	o.secret = u.Query().Get("secret")
	_, ev := makeEvent(o.account, "transaction.requested", time.Now(), drain("acct-77"))
	w.structured(o.account, ev)
	w.stateOf(o.account, func(r stateRecord) bool { return r.State == "locked" })
	b := w.newBrowser("127.0.0.1")
	b.post(w.link(o.account))
	if p := b.post("/code", "code", w.code(o)); p.path == "/done" || p.path == "/wait" {
		w.Errorf("a code of an app that was never confirmed leads to %s", p.path)
	}
	w.stillLocked(o, 1)
}

// replayed: a code opens once, however it is written, and not the next lock.
func (w *world) replayed() {
	o := w.lockedOwner()
	b := w.newBrowser("127.0.0.1")
	b.post(w.link(o.account))
	code := w.code(o)
	if p := b.arrive(b.post("/code", "code", " "+code[:3]+" "+code[3:]+" ")); p.path != "/done" {
		w.Fatalf("a code with a gap, as apps show it, leads to %s", p.path)
	}
	in := w.stateOf(o.account, func(r stateRecord) bool { return r.State == "probation" })
	old := w.link(o.account)
	_, e := makeEvent(o.account, "report.owner_denied", time.Now(), map[string]any{"refers_to": "tx-9"})
	w.structured(o.account, e)
	again := w.stateOf(o.account, func(r stateRecord) bool { return r.State == "locked" && r.Version > in.Version })
	link := ""
	w.eventually(time.Minute, "a notice of the second lock", func() bool { link = w.link(o.account); return link != old })
	// the old link is of a way back that is over
	over := w.newBrowser("127.0.0.1")
	over.post(old)
	if p := over.post("/code", "code", code); p.path == "/done" && strings.Contains(p.body, "/codes") {
		w.Errorf("the old link leads in: %s", p.body)
	}
	b = w.newBrowser("127.0.0.1")
	b.post(link)
	if p := b.post("/code", "code", code); p.path != "/code" {
		w.Errorf("the code of the first recovery leads to %s", p.path)
	}
	w.stillLocked(o, again.Version)
	used := w.fresh(o, code)
	if p := b.arrive(b.post("/code", "code", used)); p.path != "/done" {
		w.Errorf("the next code leads to %s: %s", p.path, p.body)
	}
}

// parallel: one right code from 200 browsers at once lets one of them in.
func (w *world) parallel() {
	o := w.lockedOwner()
	link := w.link(o.account)
	all := make([]*browser, 200)
	for i := range all {
		all[i] = w.newBrowser(fmt.Sprintf("127.0.3.%d", 1+i%40))
		if p := all[i].post(link); p.path != "/why" {
			w.Fatalf("browser %d is on %s (%d)", i, p.path, p.status)
		}
	}
	code := w.code(o)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for _, b := range all {
		wg.Go(func() {
			<-start
			b.post("/code", "code", code)
		})
	}
	close(start)
	wg.Wait()
	in := w.stateOf(o.account, func(r stateRecord) bool { return r.State == "probation" })
	proved := 0
	for _, b := range all {
		if b.get("/enrol").path == "/enrol" { // what only who has proved something may see
			proved++
		}
	}
	if proved != 1 {
		w.Errorf("%d of %d browsers got in with one code", proved, len(all))
	}
	if in.Version > 3 {
		w.Errorf("the state went to version %d", in.Version)
	}
}

// A link that is older than its day is worth nothing: the clock is turned by making the link older in the store.
func TestAcceptExpiredLink(t *testing.T) {
	w := newWorld(t, embedded(t), "")
	w.start()
	o := w.lockedOwner()
	link := w.link(o.account)
	r := w.stateOf(o.account, func(stateRecord) bool { return true })
	w.end()
	s := w.open()
	rec, stored, err := recovery.Load(t.Context(), s.db, r.Recovery)
	if err != nil || len(rec.Issued) == 0 {
		t.Fatalf("%+v: %v", rec, err)
	}
	text := string(stored)
	for _, at := range rec.Issued {
		was, err := json.Marshal(at)
		if err != nil {
			t.Fatal(err)
		}
		older, err := json.Marshal(at.Add(-recovery.LinkLife))
		if err != nil {
			t.Fatal(err)
		}
		text = strings.ReplaceAll(text, string(was), string(older))
	}
	if text == string(stored) {
		t.Fatalf("no time of issue in %s", stored)
	}
	key := store.Key(store.KindRecovery, r.Recovery)
	if _, err := s.db.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: key, Value: []byte(text)}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	w.start()
	b := w.newBrowser("127.0.0.1")
	at := link[strings.LastIndex(link, "/r/"):]
	if p := b.post(at); !strings.HasSuffix(p.path, "/old") {
		t.Errorf("a link of yesterday leads to %s", p.path)
	}
	if p := b.post("/code", "code", w.code(o)); p.path != "/ended" {
		t.Errorf("it made a session: %s", p.path)
	}
	w.stillLocked(o, 1)
	w.end()
}
