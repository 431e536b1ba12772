package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"doorward/auth"
	"doorward/auth/recovery"
	"doorward/detect"
	"doorward/rules/event"
	"doorward/store"
	"doorward/store/journal"
)

func (b *bench) profile(id auth.AccountID) *auth.Profile {
	b.t.Helper()
	p, _, err := auth.LoadProfile(context.Background(), b.store, b.config.Keys, id)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// entries are the journal's lines.
func (b *bench) entries() (out []journal.Entry) {
	b.t.Helper()
	from := store.LineKey(store.Journal, 0)
	var failed error
	err := b.store.Scan(context.Background(), from, store.After(from[:len(from)-8]), false, func(_, value []byte) bool {
		at := strings.IndexByte(string(value), '{') // a line is its chain, then the entry
		var e journal.Entry
		failed = json.Unmarshal(value[at:], &e)
		out = append(out, e)
		return failed == nil
	})
	if err != nil || failed != nil {
		b.t.Fatal(err, failed)
	}
	return out
}

func TestPut(t *testing.T) {
	now := noon
	b := newBench(t, func(c *Config) { c.Now = func() time.Time { return now } })
	put := func(body string) {
		t.Helper()
		if a := b.call("PUT", "/v1/accounts/acct-42", body); a.status != 204 || a.text != "" {
			t.Fatalf("%s: %d %s", body, a.status, a.text)
		}
	}
	whole := `{"emails":["Ada@Example.COM","b@example.org"],"phone":"+8613800138000","language":"zh-CN"}`
	put(whole)
	at := now.UnixMilli()
	want := &auth.Profile{Emails: []auth.Contact{{Address: "Ada@example.com", Since: at}, {Address: "b@example.org", Since: at}},
		Phone: &auth.Contact{Address: "+8613800138000", Since: at}, Language: "zh-Hans"}
	if got := b.profile("acct-42"); !reflect.DeepEqual(got, want) {
		t.Fatalf("stored %+v", got)
	}

	// The same again changes nothing, not even a day later, and a known address keeps its age when others change.
	now = now.Add(24 * time.Hour)
	put(whole)
	if got := b.profile("acct-42"); !reflect.DeepEqual(got, want) {
		t.Errorf("the same again: %+v", got)
	}
	if n := len(b.entries()); n != 1 {
		t.Errorf("the journal has %d lines after the same twice, want 1", n)
	}
	put(`{"emails":["new@example.net","Ada@example.com"],"phone":"+4915112345678","language":"de-AT"}`)
	later := now.UnixMilli()
	want = &auth.Profile{Emails: []auth.Contact{{Address: "new@example.net", Since: later}, {Address: "Ada@example.com", Since: at}},
		// what was taken away may be the owner's: it still gets notices, and may serve a recovery
		Former: []auth.Contact{{Address: "b@example.org", Since: at, Gone: later}},
		Phone:  &auth.Contact{Address: "+4915112345678", Since: later}, Language: "de"}
	if got := b.profile("acct-42"); !reflect.DeepEqual(got, want) {
		t.Errorf("changed: %+v", got)
	}
	es := b.entries()
	last := es[len(es)-1]
	if last.Kind != journal.ProfileChanged || last.Account != "acct-42" || last.By != "platform" ||
		!reflect.DeepEqual(last.Detail, map[string]string{"emails": "1 added, 1 removed", "phone": "changed", "language": "de"}) {
		t.Errorf("journaled %+v", last)
	}
	for _, e := range es {
		if text := fmt.Sprint(e); strings.Contains(text, "@") || strings.Contains(text, "138001") {
			t.Errorf("a contact is in the journal: %s", text)
		}
	}
	// PUT replaces: what is left out is gone, and an address that comes back is new.
	put(`{}`)
	if got := b.profile("acct-42"); len(got.Emails) != 0 || got.Phone != nil {
		t.Errorf("emptied: %+v", got)
	}
	put(`{"emails":["Ada@example.com"],"language":"it"}`)
	if got := b.profile("acct-42"); got.Emails[0].Since != later || got.Language != "" {
		t.Errorf("came back: %+v", got)
	}
}

func TestPutRefuses(t *testing.T) {
	b := newBench(t)
	for _, body := range []string{
		`{"emails":["no"]}`, `{"emails":["a@b"]}`, `{"emails":["Ada <a@example.com>"]}`, `{"emails":["a@example.com\r\nBcc: x@example.com"]}`, `{"emails":["a@[127.0.0.1]"]}`,
		`{"emails":["a@example.com","a@EXAMPLE.com"]}`, `{"emails":["a@x.de","b@x.de","c@x.de","d@x.de","e@x.de","f@x.de"]}`, `{"emails":["` + strings.Repeat("a", 250) + `@x.de"]}`, `{"emails":[null]}`,
		`{"phone":"110"}`, `{"phone":"+0123456789"}`, `{"phone":"+49 151 12345678"}`, `{"phone":"+491511234567890123"}`, `{"language":"not a language"}`, `{"otpauth":"` + strings.Repeat("x", 2049) + `"}`,
	} {
		b.wants(b.call("PUT", "/v1/accounts/a", body), 422, "bad_value")
	}
	if n := len(b.entries()); n != 0 {
		t.Errorf("%d lines are journaled for what was refused", n)
	}
}

func TestPutOtpauth(t *testing.T) {
	var got []string
	fail := error(nil)
	b := newBench(t, func(c *Config) {
		c.Import = func(_ context.Context, id auth.AccountID, otpauth string) error {
			got = append(got, string(id)+" "+otpauth)
			return fail
		}
	})
	const link = "otpauth://totp/x:y?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	if a := b.call("PUT", "/v1/accounts/a", `{"otpauth":"`+link+`"}`); a.status != 204 {
		t.Errorf("%d %s", a.status, a.text)
	}
	if !reflect.DeepEqual(got, []string{"a " + link}) {
		t.Errorf("imported %q", got)
	}
	fail = &Invalid{"the secret is not base32"}
	a := b.call("PUT", "/v1/accounts/b", `{"emails":["a@example.com"],"otpauth":"`+link+`"}`)
	b.wants(a, 422, "bad_value")
	if !strings.Contains(a.text, "not base32") || strings.Contains(a.text+b.log.String(), "JBSWY3DP") {
		t.Errorf("answer %s, log %s", a.text, b.log)
	}
	if p := b.profile("b"); len(p.Emails) != 0 {
		t.Errorf("the contacts of a refused call are stored: %+v", p)
	}
}

// Many at once for one account: each is whole, none is lost half, and the loser of every round is told to try again.
func TestPutAtOnce(t *testing.T) {
	b := newBench(t)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			body := fmt.Sprintf(`{"emails":["a%d@example.com"],"phone":"+49151123456%02d"}`, i, i)
			if a := b.call("PUT", "/v1/accounts/a", body); a.status != 204 && a.name() != "changed_meanwhile" {
				t.Errorf("%d %s", a.status, a.text)
			}
		})
	}
	all.Wait()
	p := b.profile("a")
	var n, m int
	fmt.Sscanf(p.Emails[0].Address, "a%d@", &n)
	fmt.Sscanf(p.Phone.Address, "+49151123456%d", &m)
	if len(p.Emails) != 1 || n != m {
		t.Errorf("two calls are mixed: %+v %+v", p.Emails, p.Phone)
	}
}

func TestVerify(t *testing.T) {
	var say recovery.Verified
	var asked string
	b := newBench(t, func(c *Config) {
		c.Verify = func(_ context.Context, id auth.AccountID, code string) (recovery.Verified, error) {
			asked = string(id) + " " + code
			return say, nil
		}
	})
	for _, tt := range []struct {
		say    recovery.Verified
		status int
		want   map[string]any // of the body
		retry  string
	}{
		{recovery.Verified{Status: recovery.VerifyOK, Record: auth.Record{State: auth.Open}}, 200, map[string]any{"state": "open"}, ""},
		{recovery.Verified{Status: recovery.VerifyPending, Record: auth.Record{State: auth.Challenged}}, 202, map[string]any{"state": "challenged"}, ""},
		{recovery.Verified{Status: recovery.VerifyWrong}, 403, map[string]any{"error": "wrong"}, ""},
		{recovery.Verified{Status: recovery.VerifyUsed}, 403, map[string]any{"error": "used"}, ""},
		{recovery.Verified{Status: recovery.VerifyNotEnrolled}, 403, map[string]any{"error": "not_enrolled"}, ""},
		{recovery.Verified{Status: recovery.VerifyWait, RetryAfter: 30*time.Second + time.Millisecond}, 403, map[string]any{"error": "wait", "retry_after": 31.0}, "31"},
		{recovery.Verified{Status: recovery.VerifyWait}, 403, map[string]any{"error": "wait", "retry_after": 1.0}, "1"},
		{recovery.Verified{Status: "new"}, 500, map[string]any{"title": "Something failed inside Doorward"}, ""},
	} {
		say = tt.say
		a := b.call("POST", "/v1/accounts/acct-42/verify", `{"code":" 123 456 "}`)
		if a.status != tt.status || a.header.Get("Retry-After") != tt.retry {
			t.Errorf("%v: %d, Retry-After %q", tt.say, a.status, a.header.Get("Retry-After"))
		}
		for k, v := range tt.want {
			if a.body[k] != v {
				t.Errorf("%v: %s is %v, want %v", tt.say, k, a.body[k], v)
			}
		}
		if asked != "acct-42  123 456 " {
			t.Errorf("asked for %q", asked)
		}
	}
	b.wants(b.call("POST", "/v1/accounts/a/verify", `{}`), 422, "bad_value")
	b.wants(b.call("POST", "/v1/accounts/a/verify", `{"code":"`+strings.Repeat("1", 65)+`"}`), 422, "bad_value")
	b.wants(b.call("POST", "/v1/accounts/a/verify?code=1", `{"code":"1"}`), 400, "bad_query")
	// Nothing but the id differs between an account that nobody knows and one without a factor.
	say = recovery.Verified{Status: recovery.VerifyNotEnrolled}
	if x, y := b.call("POST", "/v1/accounts/known/verify", `{"code":"1"}`), b.call("POST", "/v1/accounts/unknown/verify", `{"code":"1"}`); x.text != y.text || !reflect.DeepEqual(x.header, y.header) {
		t.Errorf("%s\n%s", x.text, y.text)
	}
}

func TestDecide(t *testing.T) {
	var got *event.Event
	var raw string
	var left time.Duration
	say := detect.Decision{Event: detect.EventRef{Source: "/wallet/ledger", ID: "t-9"}, Account: "acct-42", State: auth.Limited, Refuse: []auth.Refusal{auth.RefuseMoneyOut, auth.RefuseChanges},
		Findings: []string{"f1"}, Reason: "drain", ReasonUser: map[string]string{"en": "We held a payment."}}
	var fail error
	b := newBench(t, func(c *Config) {
		c.Decide = func(ctx context.Context, e *event.Event, r []byte) (detect.Decision, error) {
			got, raw = e, string(r)
			at, _ := ctx.Deadline()
			left = time.Until(at)
			return say, fail
		}
		c.Account = func(_ context.Context, id auth.AccountID) (auth.Record, error) {
			if id == "acct-42" {
				return auth.Record{State: auth.Challenged, Challenge: true, Reason: "odd_login", Version: 1}, nil
			}
			return auth.Record{}, errors.New("store closed")
		}
	})
	a := b.call("POST", "/v1/decide", payment, "Content-Type: application/cloudevents+json")
	want := `{"event":{"source":"/wallet/ledger","id":"t-9"},"account":"acct-42","state":"limited","refuse":["money_out","changes"],"challenge":false,"findings":["f1"],"reason":"drain","reason_user":{"en":"We held a payment."},"late":false}` + "\n"
	if a.status != 200 || a.text != want {
		t.Errorf("%d %s, want %s", a.status, a.text, want)
	}
	if got.Account != "acct-42" || got.Amount != 250000 || raw != payment {
		t.Errorf("decided %+v of %s", got, raw)
	}
	if left > defaultDelay || left < defaultDelay/2 {
		t.Errorf("%v to decide, want %v", left, defaultDelay)
	}
	b.call("POST", "/v1/decide?timeout_ms=5000", payment)
	if left > 5*time.Second || left < 4*time.Second {
		t.Errorf("%v to decide, want what the call says", left)
	}
	say.Refuse, say.Findings = nil, nil
	if a := b.call("POST", "/v1/decide", payment); !reflect.DeepEqual(a.body["refuse"], []any{}) || !reflect.DeepEqual(a.body["findings"], []any{}) {
		t.Errorf("empty lists: %s", a.text)
	}
	for _, q := range []string{"timeout_ms=0", "timeout_ms=10001", "timeout_ms=x", "timeout_ms=1&timeout_ms=2", "a=1", "timeout_ms=1&a=2", "%zz", "timeout_ms=1;a=2"} {
		b.wants(b.call("POST", "/v1/decide?"+q, payment), 400, "bad_query")
	}

	// Written, but late: what is known, and the fail mode, flagged.
	fail = fmt.Errorf("wait for the shard: %w", ErrLate)
	a = b.call("POST", "/v1/decide", payment)
	if a.status != 200 || a.body["late"] != true || a.body["state"] != "challenged" || a.body["challenge"] != true || !reflect.DeepEqual(a.body["refuse"], []any{"money_out"}) || a.body["reason"] != "odd_login" {
		t.Errorf("late payment: %d %s", a.status, a.text)
	}
	a = b.call("POST", "/v1/decide", login)
	if a.body["late"] != true || !reflect.DeepEqual(a.body["refuse"], []any{}) {
		t.Errorf("late login: %s", a.text)
	}
	a = b.call("POST", "/v1/decide", strings.ReplaceAll(login, "acct-42", "acct-43"))
	if a.body["late"] != true || a.body["state"] != "unknown" || a.body["reason"] != "decision_late" {
		t.Errorf("late and nothing known: %s", a.text)
	}
	a = b.call("POST", "/v1/decide", strings.ReplaceAll(payment, `"out"`, `"in"`))
	if !reflect.DeepEqual(a.body["refuse"], []any{}) {
		t.Errorf("late money in: %s", a.text)
	}

	// Perhaps not written: the event stays the platform's to send, and it knows what to do with the payment.
	for _, fail = range []error{errors.New("no broker"), context.DeadlineExceeded} {
		a = b.call("POST", "/v1/decide", payment)
		b.wants(a, 503, "not_written")
		d, _ := a.body["decision"].(map[string]any)
		if d["late"] != true || !reflect.DeepEqual(d["refuse"], []any{"money_out"}) || a.header.Get("Retry-After") == "" || strings.Contains(a.text, "broker") {
			t.Errorf("not written: %s", a.text)
		}
	}
	b.config.Fail, fail = "allow", ErrLate
	b.h, _ = New(b.config)
	if a = b.call("POST", "/v1/decide", payment); !reflect.DeepEqual(a.body["refuse"], []any{}) || a.body["late"] != true {
		t.Errorf("fail mode allow: %s", a.text)
	}
}

func TestDecideRefusesEvents(t *testing.T) {
	b := newBench(t, func(c *Config) {
		c.Decide = func(context.Context, *event.Event, []byte) (detect.Decision, error) {
			t.Error("an event that is not one was decided")
			return detect.Decision{}, nil
		}
	})
	for _, tt := range []struct {
		body   string
		status int
		name   string
		field  string
	}{
		{`{"specversion":"1.0"}`, 422, "bad_envelope", "id"},
		{strings.Replace(payment, `250000`, `"much"`, 1), 422, "bad_data", "data.amount"},
		{strings.Replace(payment, `"id":"t-9"`, `"id":"t-9","id":"t-8"`, 1), 400, "bad_json", ""},
		{strings.Replace(payment, `"subject":"acct-42"`, `"subject":"a b"`, 1), 422, "bad_envelope", "subject"},
	} {
		a := b.call("POST", "/v1/decide", tt.body)
		b.wants(a, tt.status, tt.name)
		if field, _ := a.body["field"].(string); tt.field != "" && field != tt.field {
			t.Errorf("%s: field %q, want %q", tt.body, field, tt.field)
		}
		if a.body["detail"] == "" || a.body["detail"] == nil {
			t.Errorf("%s: no sentence about what would be right", a.text)
		}
	}
}

// FuzzBody: no body brings a call down, and a body that is taken says every field once, by its exact name.
func FuzzBody(f *testing.F) {
	for _, s := range []string{`{"code":"123456"}`, `{"emails":["a@example.com"],"phone":"+4915112345678","language":"de","otpauth":"x"}`, `{"emails":[],"emails":[]}`, `{"Emails":[]}`, `{}`, `{"code":"\ud800"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var w wanted
		if err := readObject(body, map[string]any{"emails": &w.emails, "phone": &w.phone, "language": &w.lang, "otpauth": &w.otpauth}); err != nil {
			var p problem
			if !errors.As(err, &p) {
				t.Fatalf("not a problem: %v", err)
			}
			return
		}
		var m map[string]json.RawMessage
		if err := json.Unmarshal(body, &m); err != nil {
			t.Fatalf("taken, but json says %v", err)
		}
		for name := range m {
			if !strings.Contains(" emails phone language otpauth ", " "+name+" ") {
				t.Fatalf("field %q was taken", name)
			}
		}
		if w.check() == nil {
			for _, e := range w.emails {
				if c, ok := canonicalEmail(e); !ok || c != e || strings.ContainsAny(e, "\r\n <>\x00") {
					t.Fatalf("address %q was taken", e)
				}
			}
		}
	})
}
