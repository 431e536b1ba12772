//go:build accept

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"doorward/detect"
)

// From an event that a platform writes to the lock it reads, and back by the owner's code.
func TestAcceptServe(t *testing.T) {
	each(t, whole)
	if b, ok := secure("doorward-secret"); ok {
		t.Run("secure", func(t *testing.T) { whole(t, b) })
	}
}

func whole(t *testing.T, b broker) {
	w := newWorld(t, b, "")
	w.start()
	t.Run("structured", func(t *testing.T) {
		w := w.in(t)
		o := w.owner(id("acct"))
		name, e := makeEvent(o.account, "transaction.requested", time.Now(), drain("acct-77"))
		w.structured(o.account, e)
		w.locked(o, name)
	})
	t.Run("binary", func(t *testing.T) {
		w := w.in(t)
		o := w.owner(id("acct"))
		name := id("e")
		data, err := json.Marshal(drain("acct-77"))
		if err != nil {
			t.Fatal(err)
		}
		w.produce(string(data), "-k", o.account, "-H", "ce_specversion=1.0", "-H", "ce_id="+name, "-H", "ce_source=/accept", "-H", "ce_type=transaction.requested",
			"-H", "ce_subject="+o.account, "-H", "ce_time="+time.Now().UTC().Format(time.RFC3339Nano), "-H", "content-type=application/json")
		w.locked(o, name)
	})
	t.Run("plain", func(t *testing.T) {
		w := w.in(t)
		o := w.owner(id("acct"))
		name, e := makeEvent(o.account, "transaction.requested", time.Now(), drain("acct-77"))
		w.produce(e, "-k", o.account)
		w.locked(o, name)
	})
	t.Run("back", func(t *testing.T) { w.in(t).back() })
	t.Run("decide", func(t *testing.T) { w.in(t).decides() })
	t.Run("verify", func(t *testing.T) { w.in(t).verifies() })
	w.end()
}

// in is the same world in a part of a test.
func (w *world) in(t *testing.T) *world {
	c := *w
	c.T = t
	return &c
}

// locked reads the lock of an account back, and why.
func (w *world) locked(o *holder, event string) {
	w.Helper()
	r := w.stateOf(o.account, func(r stateRecord) bool { return r.State == "locked" })
	if !slices.Equal(r.Refuse, []string{"login", "money_out", "changes"}) || r.Reason != "drained" || r.Version != 1 || r.PreviousVersion != 0 || r.Case == "" || r.Recovery == "" {
		w.Errorf("the state is %+v", r)
	}
	for _, l := range []string{"en", "zh-Hans", "es", "fr", "de"} {
		if r.ReasonUser[l] == "" {
			w.Errorf("no reason in %s", l)
		}
	}
	found := of[struct {
		ID, Rule, Response string
		Event              struct{ Source, ID string }
		Evidence           []map[string]any
	}](w, detect.TopicFindings, o.account)
	if len(found) != 1 || found[0].Rule != "money.drained" || found[0].Event.ID != event || !slices.Equal(r.Findings, []string{found[0].ID}) || len(found[0].Evidence) == 0 {
		w.Errorf("the findings are %+v, the state names %v", found, r.Findings)
	}
	for _, rec := range w.read(detect.TopicState) {
		if rec.key == o.account && (!strings.Contains(rec.headers, "ce_specversion=1.0") || !strings.Contains(rec.headers, "ce_type="+detect.TopicState) ||
			!strings.Contains(rec.headers, "ce_subject="+o.account)) {
			w.Errorf("the record of the state has the headers %s", rec.headers)
		}
	}
	var shown stateRecord
	if s := w.call("GET", "/v1/accounts/"+o.account, nil, &shown); s != http.StatusOK || shown.State != "locked" || shown.Version != 1 {
		w.Errorf("GET says %d %+v", s, shown)
	}
}

// back: a code lets the owner in, and nothing that was before the recovery counts again.
func (w *world) back() {
	o := w.owner(id("acct"))
	_, e := makeEvent(o.account, "transaction.requested", time.Now(), drain("acct-77"))
	w.structured(o.account, e)
	w.stateOf(o.account, func(r stateRecord) bool { return r.State == "locked" })
	before := time.Now()
	w.recover(o)
	in := w.stateOf(o.account, func(r stateRecord) bool { return r.State == "probation" })
	if slices.Contains(in.Refuse, "login") || slices.Contains(in.Refuse, "money_out") || in.Until.Before(time.Now().Add(71*time.Hour)) {
		w.Errorf("after the recovery: %+v", in)
	}
	// An event from before the recovery that comes only now, then life goes on.
	late, e := makeEvent(o.account, "transaction.requested", before, drain("acct-78"))
	w.structured(o.account, e)
	_, e = makeEvent(o.account, "login.succeeded", time.Now(), map[string]any{"ip": "203.0.113.9", "device": "dev-7", "method": "password"})
	w.structured(o.account, e)
	var d struct {
		State     string
		Refuse    []string
		Challenge bool
		Late      bool
	}
	_, e = makeEvent(o.account, "transaction.requested", time.Now(), map[string]any{"device": "dev-7", "transaction": "tx-10", "kind": "payment", "direction": "out", "amount": 500,
		"currency": "CNY", "counterparty": "shop-1", "counterparty_kind": "merchant", "balance_before": 251000, "balance_after": 250500})
	if s := w.call("POST", "/v1/decide?timeout_ms=10000", e, &d); s != http.StatusOK || d.Late || d.State != "probation" || d.Challenge || slices.Contains(d.Refuse, "money_out") {
		w.Errorf("a small payment after the recovery: %d %+v", s, d)
	}
	if all := of[stateRecord](w, detect.TopicState, o.account); all[len(all)-1].Version != in.Version || all[len(all)-1].State != "probation" {
		w.Errorf("the next events moved the state: %+v", all)
	}
	for _, f := range of[struct {
		Response string
		Event    struct{ ID string }
	}](w, detect.TopicFindings, o.account) {
		if f.Event.ID == late && f.Response != "notify" && f.Response != "review" {
			w.Errorf("an event from before the recovery asks for %s", f.Response)
		}
	}
	versions := map[uint64]bool{}
	for _, r := range of[stateRecord](w, detect.TopicState, o.account) {
		if r.Version != r.PreviousVersion+1 {
			w.Errorf("version %d follows %d", r.Version, r.PreviousVersion)
		}
		versions[r.Version] = true
	}
	if len(versions) != int(in.Version) {
		w.Errorf("versions %v, the newest is %d", versions, in.Version)
	}
}

// decides: the platform asks before it pays.
func (w *world) decides() {
	o := w.owner(id("acct"))
	type decision struct {
		Event            struct{ Source, ID string }
		State            string
		Refuse, Findings []string
		Challenge, Late  bool
		Reason           string
		ReasonUser       map[string]string `json:"reason_user"`
	}
	var first, again decision
	name, e := makeEvent(o.account, "transaction.requested", time.Now(), drain("acct-77"))
	if s := w.call("POST", "/v1/decide?timeout_ms=10000", e, &first); s != http.StatusOK || first.Late || !slices.Contains(first.Refuse, "money_out") || first.State != "locked" ||
		first.Event.ID != name || len(first.Findings) != 1 || first.Reason != "drained" || first.ReasonUser["de"] == "" {
		w.Errorf("POST /v1/decide: %d %+v", s, first)
	}
	if s := w.call("POST", "/v1/decide?timeout_ms=10000", e, &again); s != http.StatusOK || fmt.Sprint(again) != fmt.Sprint(first) {
		w.Errorf("the same event again: %d %+v, first %+v", s, again, first)
	}
	w.stateOf(o.account, func(r stateRecord) bool { return r.State == "locked" && r.Version == 1 })
	calm := w.owner(id("acct"))
	_, e = makeEvent(calm.account, "login.succeeded", time.Now(), map[string]any{"ip": "203.0.113.10", "device": "dev-8", "method": "password"})
	var d decision
	if s := w.call("POST", "/v1/decide?timeout_ms=10000", e, &d); s != http.StatusOK || d.State != "open" || len(d.Refuse) != 0 || len(d.Findings) != 0 || d.Late {
		w.Errorf("a calm event: %d %+v", s, d)
	}
	if s := w.call("POST", "/v1/decide", `{"specversion":"1.0"}`, nil); s != http.StatusUnprocessableEntity {
		w.Errorf("half an event: status %d", s)
	}
}

// verifies: wrong passwords challenge, the owner's code ends it, once.
func (w *world) verifies() {
	o := w.owner(id("acct"))
	var lines strings.Builder
	for range 5 { // after the app was bound: one that came after the first bad event would count for nothing
		_, e := makeEvent(o.account, "login.failed", time.Now(), map[string]any{"ip": "203.0.113.9", "device": "dev-x", "method": "password", "reason": "bad_password"})
		lines.WriteString(e + "\n")
	}
	w.produce(lines.String(), "-k", o.account, "-H", "content-type=application/cloudevents+json")
	r := w.stateOf(o.account, func(r stateRecord) bool { return r.State == "challenged" })
	if !r.Challenge || len(r.Refuse) != 0 {
		w.Errorf("challenged: %+v", r)
	}
	var refused struct{ Error string }
	if s := w.call("POST", "/v1/accounts/"+o.account+"/verify", map[string]string{"code": "000000"}, &refused); s != http.StatusForbidden || refused.Error != "wrong" {
		w.Errorf("a wrong code: %d %+v", s, refused)
	}
	code := w.code(o)
	var answer struct{ State string }
	s := w.call("POST", "/v1/accounts/"+o.account+"/verify", map[string]string{"code": code}, &answer)
	if s != http.StatusOK || answer.State != "open" {
		w.Errorf("the right code: %d %+v", s, answer)
	}
	w.stateOf(o.account, func(r stateRecord) bool { return r.State == "open" && !r.Challenge && r.Version == 2 })
	if s := w.call("POST", "/v1/accounts/"+o.account+"/verify", map[string]string{"code": code}, &refused); s != http.StatusForbidden || refused.Error != "used" {
		w.Errorf("the same code again: %d %+v", s, refused)
	}
}
