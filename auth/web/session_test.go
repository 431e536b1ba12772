package web_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"doorward/auth/web"
	"doorward/store"
	"doorward/store/storetest"
)

type desk struct {
	t        *testing.T
	now      time.Time
	sessions *web.Sessions
}

func newDesk(t *testing.T, kind string, engine store.Engine) *desk {
	t.Helper()
	d := &desk{t: t, now: time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)}
	site, err := web.New(web.Config{Kind: kind, PublicURL: "https://staff.example", Now: func() time.Time { return d.now }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	d.sessions = &web.Sessions{Site: site, Engine: engine, Idle: 15 * time.Minute, Absolute: 12 * time.Hour}
	return d
}

func with(cookies ...*http.Cookie) *http.Request {
	r := httptest.NewRequest("GET", "https://staff.example/", nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

func (d *desk) begin(subject string, data any, cookies ...*http.Cookie) *http.Cookie {
	d.t.Helper()
	w := httptest.NewRecorder()
	if _, err := d.sessions.Begin(w, with(cookies...), subject, data); err != nil {
		d.t.Fatal(err)
	}
	return w.Result().Cookies()[0]
}

// subject is whose the session of a cookie is, "" for none.
func (d *desk) subject(cookies ...*http.Cookie) string {
	d.t.Helper()
	s, err := d.sessions.Load(with(cookies...))
	if err != nil {
		d.t.Fatal(err)
	}
	if s == nil {
		return ""
	}
	return s.Subject
}

func TestSessionIsKeptByItsHashOnly(t *testing.T) {
	engine := storetest.Open(t)
	d := newDesk(t, "console", engine)
	c := d.begin("ana", map[string]int{"step": 2})
	if c.Name != "__Host-doorward-console-session" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 12*3600 {
		t.Errorf("cookie %v", c)
	}
	s, err := d.sessions.Load(with(c))
	if err != nil || s == nil {
		t.Fatal(s, err)
	}
	var data map[string]int
	if err := s.Read(&data); err != nil || data["step"] != 2 || s.Subject != "ana" || !s.Ends.Equal(d.now.Add(15*time.Minute)) {
		t.Errorf("%+v %v %v", s, data, err)
	}
	err = engine.Scan(context.Background(), []byte{0}, []byte{255}, false, func(k, v []byte) bool {
		if strings.Contains(string(k)+string(v), c.Value) {
			t.Errorf("the secret is in the store: %q %q", k, v)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSessionLimits(t *testing.T) {
	d := newDesk(t, "console", storetest.Open(t))
	c := d.begin("ana", nil)
	d.now = d.now.Add(15*time.Minute - time.Second)
	if d.subject(c) != "ana" {
		t.Error("ended before its idle limit")
	}
	d.now = d.now.Add(15*time.Minute - time.Second)
	if s, err := d.sessions.Peek(with(c)); err != nil || s == nil {
		t.Errorf("a request did not count: %v %v", s, err)
	}
	d.now = d.now.Add(time.Second)
	if d.subject(c) != "" {
		t.Error("goes on after its idle limit: looking without a hand on it counted")
	}
	c = d.begin("ana", nil)
	for range 12*6 - 1 {
		d.now = d.now.Add(10 * time.Minute)
		if d.subject(c) != "ana" {
			t.Fatal("ended before its absolute limit")
		}
	}
	d.now = d.now.Add(10 * time.Minute)
	if d.subject(c) != "" {
		t.Error("goes on after its absolute limit")
	}
}

func TestBeginEndsWhatWasBefore(t *testing.T) {
	d := newDesk(t, "console", storetest.Open(t))
	before := d.begin("", nil)
	after := d.begin("ana", nil, before)
	if after.Value == before.Value || d.subject(before) != "" || d.subject(after) != "ana" {
		t.Errorf("before %q, after %q", d.subject(before), d.subject(after))
	}
	w := httptest.NewRecorder()
	if err := d.sessions.End(w, with(after)); err != nil {
		t.Fatal(err)
	}
	if d.subject(after) != "" || w.Result().Cookies()[0].MaxAge >= 0 {
		t.Error("goes on after its end")
	}
}

func TestForeignCookiesAreNone(t *testing.T) {
	engine := storetest.Open(t)
	d := newDesk(t, "console", engine)
	c := d.begin("ana", nil)
	for name, value := range map[string]string{"cut": c.Value[:len(c.Value)-1], "longer": c.Value + "A", "empty": "", "other": strings.Repeat("A", 43), "padded": c.Value + "="} {
		bad := *c
		bad.Value = value
		if d.subject(&bad) != "" {
			t.Errorf("%s: taken", name)
		}
	}
	planted := *c
	planted.Value = strings.Repeat("A", 43)
	if d.subject(&planted, c) != "" {
		t.Error("two cookies of the name: one was taken")
	}
	portal := newDesk(t, "portal", engine)
	over := *c
	over.Name = "__Host-doorward-portal-session"
	if portal.subject(&over) != "" {
		t.Error("a staff session opens the portal")
	}
}

func TestWritesDoNotOverwriteEachOther(t *testing.T) {
	d := newDesk(t, "console", storetest.Open(t))
	c := d.begin("ana", -1)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	ready := make(chan struct{})
	for i := range 8 {
		s, err := d.sessions.Peek(with(c))
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			<-ready
			err := d.sessions.Write(context.Background(), s, i)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if !errors.Is(err, web.ErrSessionMoved) {
				t.Error(err)
			}
		})
	}
	close(ready)
	wg.Wait()
	if won != 1 {
		t.Errorf("%d of 8 writes from one state went through", won)
	}
	s, err := d.sessions.Peek(with(c))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.sessions.Write(context.Background(), s, strings.Repeat("x", web.MaxSession)); err == nil {
		t.Error("more than 4 KiB are taken")
	}
}

func TestSweepAndEndAll(t *testing.T) {
	d := newDesk(t, "console", storetest.Open(t))
	var old []*http.Cookie
	for i := range 5 {
		old = append(old, d.begin(fmt.Sprintf("old-%d", i), nil))
	}
	d.now = d.now.Add(16 * time.Minute)
	ana, ben := d.begin("ana", nil), d.begin("ben", nil)
	if err := d.sessions.Sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	d.now = d.now.Add(-16 * time.Minute) // what was swept does not come back with the clock
	for _, c := range old {
		if d.subject(c) != "" {
			t.Error("a session that ran out is still there")
		}
	}
	if err := d.sessions.EndAll(context.Background(), "ana"); err != nil {
		t.Fatal(err)
	}
	if d.subject(ana) != "" || d.subject(ben) != "ben" {
		t.Errorf("ana %q, ben %q", d.subject(ana), d.subject(ben))
	}
}

func TestLimiter(t *testing.T) {
	now := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	l := web.NewLimiter(time.Minute, 3, 2, func() time.Time { return now })
	count := func(key string, n int) (ok int) {
		for range n {
			if l.Allow(key) {
				ok++
			}
		}
		return ok
	}
	if got := count("a", 5); got != 3 {
		t.Errorf("%d at once, want 3", got)
	}
	now = now.Add(2 * time.Minute)
	if got := count("a", 5); got != 2 {
		t.Errorf("%d after two minutes, want 2", got)
	}
	count("b", 1)
	count("a", 1)
	count("c", 1) // b was seen longest ago and is forgotten, a is not
	if got := count("a", 1); got != 0 {
		t.Error("a was forgotten")
	}
	if got := count("b", 5); got != 3 {
		t.Errorf("b has %d, want 3 anew", got)
	}
}

func TestClientKey(t *testing.T) {
	for remote, want := range map[string]string{
		"203.0.113.7:1": "203.0.113.7", "[::ffff:203.0.113.7]:1": "203.0.113.7", "[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::/64", "[fe80::1%eth0]:1": "fe80::/64", "x": "unknown",
	} {
		r := with()
		r.RemoteAddr = remote
		r.Header.Set("X-Forwarded-For", "198.51.100.1")
		if got := web.ClientKey(r); got != want {
			t.Errorf("%s: %s, want %s", remote, got, want)
		}
	}
}
