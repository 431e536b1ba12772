package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"doorward/auth"
	"doorward/auth/recovery"
	"doorward/detect"
	"doorward/rules/event"
	"doorward/store"
	"doorward/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is an API over a real store, whose other neighbours say what the test tells them to.
type bench struct {
	t      *testing.T
	config Config
	store  store.Engine
	token  string
	log    *bytes.Buffer
	h      http.Handler
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newBench(t *testing.T, change ...func(*Config)) *bench {
	t.Helper()
	db := storetest.Open(t)
	keys, err := auth.NewKeys(make([]byte, auth.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, store: db, log: new(bytes.Buffer)}
	b.config = Config{
		Authorise: func(ctx context.Context, token string) (bool, error) { return CheckToken(ctx, db, token) },
		Store:     db, Keys: keys,
		Import:  func(context.Context, auth.AccountID, string) error { return nil },
		Account: func(context.Context, auth.AccountID) (auth.Record, error) { return auth.Record{}, nil },
		Decide: func(_ context.Context, e *event.Event, _ []byte) (detect.Decision, error) {
			return detect.Decision{Event: detect.EventRef{Source: e.Source, ID: e.ID}, Account: e.Account, State: auth.Open}, nil
		},
		Verify: func(context.Context, auth.AccountID, string) (recovery.Verified, error) {
			return recovery.Verified{Status: recovery.VerifyNotEnrolled}, nil
		},
		Now: func() time.Time { return noon },
		Log: slog.New(slog.NewTextHandler(b.log, nil)),
	}
	for _, c := range change {
		c(&b.config)
	}
	token, pair, err := MakeToken(noon)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Commit(context.Background(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{pair}}); err != nil {
		t.Fatal(err)
	}
	b.token = token
	if b.h, err = New(b.config); err != nil {
		t.Fatal(err)
	}
	return b
}

// answer is what came back, with its JSON read.
type answer struct {
	status int
	header http.Header
	text   string
	body   map[string]any
}

// name is the last part of a problem's type.
func (a answer) name() string {
	s, _ := a.body["type"].(string)
	return strings.TrimPrefix(s, typePrefix)
}

// call sends one request; headers are "Name: value" and stand instead of the usual ones, an empty value leaves it out.
func (b *bench) call(method, target, body string, headers ...string) answer {
	b.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+b.token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Del(name)
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	return b.do(r)
}

func (b *bench) do(r *http.Request) answer {
	b.t.Helper()
	w := httptest.NewRecorder()
	b.h.ServeHTTP(w, r)
	a := answer{status: w.Code, header: w.Header(), text: w.Body.String()}
	if a.text != "" {
		if err := json.Unmarshal(w.Body.Bytes(), &a.body); err != nil {
			b.t.Fatalf("%s %s: the answer is no JSON object: %q", r.Method, r.URL, a.text)
		}
	}
	if a.status >= 400 {
		if a.header.Get("Content-Type") != "application/problem+json" || a.name() == "" || a.body["title"] == "" || a.body["status"] != float64(a.status) {
			b.t.Errorf("%s %s: %d without a problem: %q", r.Method, r.URL, a.status, a.text)
		}
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
		"Referrer-Policy": "no-referrer", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"} {
		if a.header.Get(name) != want {
			b.t.Errorf("%s %s: header %s is %q", r.Method, r.URL, name, a.header.Get(name))
		}
	}
	return a
}

func (b *bench) wants(a answer, status int, name string) {
	b.t.Helper()
	if a.status != status || a.name() != name {
		b.t.Errorf("answered %d %q (%s), want %d %q", a.status, a.name(), a.text, status, name)
	}
}

const login = `{"specversion":"1.0","id":"l-1","source":"/wallet/login","type":"login.failed","subject":"acct-42","time":"2026-03-01T08:00:00Z","data":{"ip":"203.0.113.9","method":"password","reason":"bad_password"}}`
const payment = `{"specversion":"1.0","id":"t-9","source":"/wallet/ledger","type":"transaction.requested","subject":"acct-42","time":"2026-03-01T08:03:10Z","data":{"transaction":"tx-9","kind":"transfer","direction":"out","amount":250000,"currency":"CNY"}}`

// calls are all calls that need a token.
var calls = []struct{ method, path, body string }{
	{"GET", "/v1/accounts/acct-42", ""},
	{"HEAD", "/v1/accounts/acct-42", ""},
	{"PUT", "/v1/accounts/acct-42", `{"language":"de"}`},
	{"POST", "/v1/accounts/acct-42/verify", `{"code":"123456"}`},
	{"POST", "/v1/decide", login},
}

func TestToken(t *testing.T) {
	b := newBench(t)
	other, _, err := MakeToken(noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range calls {
		if a := b.call(c.method, c.path, c.body); c.method != "POST" && a.status >= 300 || a.status == 401 {
			t.Errorf("%s %s with the token: %d %s", c.method, c.path, a.status, a.text)
		}
		for header, name := range map[string]string{
			"Authorization: ": "no_token", "Authorization: Basic " + b.token: "no_token", "Authorization: Bearer ": "no_token", "Authorization: " + b.token: "no_token",
			"Authorization: Bearer x": "wrong_token", "Authorization: Bearer " + other: "wrong_token", "Authorization: Bearer " + b.token + " ": "wrong_token",
			"Authorization: Bearer " + b.token[:len(b.token)-1]: "wrong_token", "Authorization: Bearer " + strings.Repeat("x", 300): "no_token",
		} {
			b.h, _ = New(b.config) // forgets the wrong guesses
			a := b.call(c.method, c.path, c.body, header)
			b.wants(a, 401, name)
			if a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s %s %q: no WWW-Authenticate", c.method, c.path, header)
			}
		}
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
		r.Header["Authorization"] = []string{"Bearer " + b.token, "Bearer " + b.token}
		b.wants(b.do(r), 401, "no_token")
	}
	if strings.Contains(b.log.String(), other) || strings.Contains(b.log.String(), b.token) {
		t.Error("a token is in the log")
	}
	if a := b.call("GET", "/v1/accounts/a", "", "Authorization: bearer "+b.token); a.status != 200 {
		t.Errorf("the scheme in lower case: %d", a.status)
	}
}

// What is stored of a token does not let anybody in.
func TestStoredToken(t *testing.T) {
	token, pair, err := MakeToken(noon)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(pair.Value, []byte(token)) || bytes.Contains(pair.Key, []byte(token)) || len(token) < 40 {
		t.Errorf("token %q, record %q %q", token, pair.Key, pair.Value)
	}
	b := newBench(t)
	for _, try := range []string{"", "dw_", token, string(pair.Key), "dw_" + string(pair.Key[1:]), b.token + "A"} {
		if ok, err := CheckToken(context.Background(), b.store, try); ok || err != nil {
			t.Errorf("%q: %v, %v", try, ok, err)
		}
	}
	if ok, err := CheckToken(context.Background(), b.store, b.token); !ok || err != nil {
		t.Errorf("the right one: %v, %v", ok, err)
	}
}

func TestGuessing(t *testing.T) {
	b := newBench(t)
	limited := 0
	for range 100 {
		if b.call("GET", "/v1/accounts/a", "", "Authorization: Bearer guess").status == 429 {
			limited++
		}
	}
	if limited != 80 {
		t.Errorf("%d of 100 guesses at once were turned away, want 80", limited)
	}
	if a := b.call("GET", "/v1/accounts/a", ""); a.status != 200 {
		t.Errorf("the platform behind the same address: %d", a.status)
	}
}

func TestPathsAndMethods(t *testing.T) {
	b := newBench(t)
	for _, path := range []string{"/", "/v1", "/v1/", "/v2/decide", "/v1/decide/", "/v1/decide/x", "/v1/accounts", "/v1/accounts/a/b", "/v1/accounts/a/verify/", "/v1/ACCOUNTS/a", "//v1/decide", "/metrics"} {
		b.wants(b.call("GET", path, ""), 404, "no_such_path")
	}
	for path, allow := range map[string]string{"/v1/accounts/a": "GET, HEAD, OPTIONS, PUT", "/v1/accounts/a/verify": "OPTIONS, POST", "/v1/decide": "OPTIONS, POST"} {
		for _, method := range []string{"DELETE", "PATCH", "TRACE", "BREW"} {
			a := b.call(method, path, "")
			b.wants(a, 405, "no_such_method")
			if a.header.Get("Allow") != allow {
				t.Errorf("%s %s: Allow %q, want %q", method, path, a.header.Get("Allow"), allow)
			}
		}
		a := b.call("OPTIONS", path, "", "Authorization: ", "Origin: https://evil.example")
		if a.status != 204 || a.header.Get("Allow") != allow || a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("OPTIONS %s: %d %v", path, a.status, a.header)
		}
	}
	var saw auth.AccountID
	b = newBench(t, func(c *Config) {
		c.Account = func(_ context.Context, id auth.AccountID) (auth.Record, error) { saw = id; return auth.Record{}, nil }
	})
	for path, want := range map[string]auth.AccountID{"acct-42": "acct-42", "a%2Fb": "a/b", "..": "..", "%2e%2e": "..", "a%2F..%2Fb": "a/../b", "%EF%BC%A1": "A", "a+b": "a+b", "verify": "verify", "%20a%20": "a"} {
		if a := b.call("GET", "/v1/accounts/"+path, ""); a.status != 200 || saw != want || a.body["account"] != string(want) {
			t.Errorf("%s: %d, asked for %q, want %q", path, a.status, saw, want)
		}
	}
	for _, path := range []string{"", "%00", "a%20b", "%FF", "%E2%80%8B", strings.Repeat("a", 257)} {
		b.wants(b.call("GET", "/v1/accounts/"+path, ""), 400, "bad_account")
		b.wants(b.call("POST", "/v1/accounts/"+path+"/verify", `{"code":"1"}`), 400, "bad_account")
	}
}

func TestShow(t *testing.T) {
	since := noon
	known := auth.Record{Account: "acct-42", State: auth.Locked, Refuse: []auth.Refusal{auth.RefuseLogin, auth.RefuseMoneyOut, auth.RefuseChanges}, Reason: "failed_logins",
		ReasonUser: map[string]string{"en": "Someone tried."}, Findings: []string{"f1"}, Since: &since, Version: 3, PreviousVersion: 2, Recovery: "r1"}
	b := newBench(t, func(c *Config) {
		c.Account = func(_ context.Context, id auth.AccountID) (auth.Record, error) {
			switch id {
			case "acct-42":
				return known, nil
			case "broken":
				return auth.Record{}, errors.New("disk on fire at sector 7")
			case "unsure":
				return auth.Record{State: auth.Limited, Refuse: []auth.Refusal{auth.RefuseMoneyOut}, Version: 2, Unknown: true}, nil
			}
			return auth.Record{}, nil
		}
	})
	a := b.call("GET", "/v1/accounts/acct-42", "")
	var got auth.Record
	if err := json.Unmarshal([]byte(a.text), &got); err != nil || !reflect.DeepEqual(got, known) || a.status != 200 || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("got %d %s", a.status, a.text)
	}
	if a := b.call("GET", "/v1/accounts/never", ""); a.text != `{"account":"never","state":"open","refuse":[],"challenge":false,"findings":[],"version":0,"previous_version":0}`+"\n" {
		t.Errorf("never seen: %s", a.text)
	}
	a = b.call("GET", "/v1/accounts/broken", "")
	if a.status != 200 || a.body["unknown"] != true || a.body["state"] != "unknown" || !reflect.DeepEqual(a.body["refuse"], []any{"money_out"}) || strings.Contains(a.text, "sector") {
		t.Errorf("not known: %d %s", a.status, a.text)
	}
	if !strings.Contains(b.log.String(), "sector 7") {
		t.Error("the log does not say why a state is not known")
	}
	if a = b.call("GET", "/v1/accounts/unsure", ""); a.body["unknown"] != true || a.body["state"] != "limited" {
		t.Errorf("unsure: %s", a.text)
	}
	b.wants(b.call("GET", "/v1/accounts/a?a=1&a=2", ""), 400, "bad_query")
}

func TestBodies(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct{ method, path, good string }{
		{"PUT", "/v1/accounts/a", `{"language":"de"}`},
		{"POST", "/v1/accounts/a/verify", `{"code":"123456"}`},
		{"POST", "/v1/decide", login},
	} {
		call := func(body string, headers ...string) answer { return b.call(c.method, c.path, body, headers...) }
		for _, media := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "application/json; boundary=x", "multipart/form-data; boundary=x", "nonsense/"} {
			b.wants(call(c.good, "Content-Type: "+media), 415, "bad_content_type")
		}
		for _, encoding := range []string{"gzip", "identity", "br, gzip"} {
			b.wants(call(c.good, "Content-Encoding: "+encoding), 415, "bad_content_type")
		}
		b.wants(call(`{"x":"`+strings.Repeat("a", maxBody)+`"}`), 413, "too_large")
		for _, body := range []string{"", "null", "[]", `"x"`, "{", `{"a"`, `{"a":1`, c.good + c.good, c.good[:len(c.good)-1], "\xff" + c.good, `{"code":"` + "\xff" + `"}`} {
			if a := call(body, "Content-Type: application/json"); a.status != 400 || a.name() != "bad_json" {
				t.Errorf("%s %s %q: %d %s", c.method, c.path, body, a.status, a.text)
			}
		}
		if a := call(c.good, "Content-Type: application/json; charset=UTF-8"); a.status == 415 {
			t.Errorf("charset=UTF-8 is refused at %s", c.path)
		}
		// The same bytes without a length, as chunks: the same answer.
		r := httptest.NewRequest(c.method, c.path, io.MultiReader(strings.NewReader(c.good[:5]), strings.NewReader(c.good[5:])))
		r.ContentLength = -1
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+b.token)
		if got, want := b.do(r), call(c.good); got.status != want.status || got.text != want.text {
			t.Errorf("%s in chunks: %d %s, whole %d %s", c.path, got.status, got.text, want.status, want.text)
		}
	}
	for _, body := range []string{
		`{"code":"1","code":"2"}`, `{"Code":"1"}`, `{"code":"1","admin":true}`, `{"code":123456}`, `{"code":null}`, `{"code":["1"]}`, `{"code":{"a":1}}`, `{"code":"1"}x`,
	} {
		b.wants(b.call("POST", "/v1/accounts/a/verify", body), 400, "bad_json")
	}
	for _, body := range []string{`{"emails":["a@example.com"],"emails":[]}`, `{"state":"open"}`, `{"Emails":[]}`, `{"emails":"a@example.com"}`, `{"emails":[1]}`, `{"phone":1}`, `{"language":null}`} {
		b.wants(b.call("PUT", "/v1/accounts/a", body), 400, "bad_json")
	}
}

// An error inside is a number for the platform and a line in the log, and so is a panic.
func TestErrorsTellNothing(t *testing.T) {
	inner := errors.New("secret path /var/lib/doorward, seed JBSWY3DP")
	b := newBench(t, func(c *Config) {
		c.Verify = func(context.Context, auth.AccountID, string) (recovery.Verified, error) {
			return recovery.Verified{}, inner
		}
		c.Import = func(context.Context, auth.AccountID, string) error { return inner }
		c.Account = func(context.Context, auth.AccountID) (auth.Record, error) { panic(inner) }
		c.Decide = func(context.Context, *event.Event, []byte) (detect.Decision, error) { panic(inner) }
	})
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/v1/accounts/a/verify", `{"code":"1"}`}, {"PUT", "/v1/accounts/a", `{"otpauth":"otpauth://totp/x"}`}, {"GET", "/v1/accounts/a", ""}, {"POST", "/v1/decide", login},
	} {
		b.log.Reset()
		a := b.call(c.method, c.path, c.body)
		b.wants(a, 500, "internal")
		reference, _ := a.body["reference"].(string)
		if strings.Contains(a.text, "secret") || strings.Contains(a.text, "JBSWY") || reference == "" || !strings.Contains(b.log.String(), reference) || !strings.Contains(b.log.String(), "secret path") {
			t.Errorf("%s %s: %s; log: %s", c.method, c.path, a.text, b.log)
		}
	}
	b = newBench(t, func(c *Config) { c.Authorise = func(context.Context, string) (bool, error) { return true, inner } })
	b.wants(b.call("GET", "/v1/accounts/a", ""), 500, "internal")
}

func TestTooManyAtOnce(t *testing.T) {
	inside, release := make(chan struct{}), make(chan struct{})
	b := newBench(t, func(c *Config) {
		c.Account = func(context.Context, auth.AccountID) (auth.Record, error) {
			inside <- struct{}{}
			<-release
			return auth.Record{}, nil
		}
	})
	var all sync.WaitGroup
	for range maxAtOnce {
		all.Go(func() { b.call("GET", "/v1/accounts/a", "") })
		<-inside
	}
	a := b.call("GET", "/v1/accounts/a", "")
	b.wants(a, 503, "busy")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	close(release)
	all.Wait()
	go func() { <-inside }()
	if a := b.call("GET", "/v1/accounts/a", ""); a.status != 200 {
		t.Errorf("afterwards: %d", a.status)
	}
}

func TestNew(t *testing.T) {
	good := newBench(t).config
	for name, change := range map[string]func(*Config){
		"fail mode": func(c *Config) { c.Fail = "open" }, "timeout": func(c *Config) { c.Timeout = time.Minute }, "no store": func(c *Config) { c.Store = nil },
		"no verify": func(c *Config) { c.Verify = nil },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Over a real listener: HEAD has the headers of GET and no body, and a client that sends nothing does not hold others up.
func TestOverHTTP(t *testing.T) {
	b := newBench(t)
	server := httptest.NewServer(b.h)
	defer server.Close()
	idle, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	fmt.Fprintf(idle, "PUT /v1/accounts/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n")
	client := server.Client()
	defer client.CloseIdleConnections()
	do := func(method string) (*http.Response, string) {
		r, err := http.NewRequest(method, server.URL+"/v1/accounts/a", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+b.token)
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp, string(body)
	}
	get, body := do("GET")
	head, nothing := do("HEAD")
	if get.StatusCode != 200 || head.StatusCode != 200 || body == "" || nothing != "" || head.Header.Get("Content-Type") != "application/json" {
		t.Errorf("GET %d %q, HEAD %d %q %v", get.StatusCode, body, head.StatusCode, nothing, head.Header)
	}
}
