package web_test

import (
	"bytes"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"doorward/auth/web"
)

// texts are catalogues with one text of the test's own.
func texts() fs.FS {
	m := fstest.MapFS{}
	for _, l := range web.Languages() {
		m[l+".yaml"] = &fstest.MapFile{Data: []byte("hello: 'hello in " + l + " to {{.who}}'\n")}
	}
	return m
}

func newSite(t *testing.T, public string, log io.Writer) *web.Site {
	t.Helper()
	pages := fstest.MapFS{
		"pages/hello.html": {Data: []byte(`{{define "title"}}Hi{{end}}{{define "main"}}<h1>{{t "hello" "who" .Body}}</h1>{{icon "lock"}}{{door 3}}{{end}}`)},
		"pages/bad.html":   {Data: []byte(`{{define "title"}}Hi{{end}}{{define "main"}}<h1>{{t "hello"}}</h1>{{end}}`)},
	}
	s, err := web.New(web.Config{Kind: "portal", Name: "Harbour", PublicURL: public, Now: time.Now, Texts: texts(), Templates: pages,
		Assets: fstest.MapFS{"a.js": {Data: []byte("export const a = 1\n")}}, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func handler(t *testing.T, public string, log io.Writer) http.Handler {
	s := newSite(t, public, log)
	mux := http.NewServeMux()
	mux.Handle("GET /hello", s.Do(func(w http.ResponseWriter, r *http.Request) error {
		return s.Show(w, r, web.Page{Template: "hello", Body: r.URL.Query().Get("who")})
	}))
	mux.Handle("GET /bad", s.Do(func(w http.ResponseWriter, r *http.Request) error { return s.Show(w, r, web.Page{Template: "bad"}) }))
	mux.Handle("GET /panic", s.Do(func(http.ResponseWriter, *http.Request) error { panic("the vault is at row 7") }))
	mux.Handle("POST /form", s.Do(func(w http.ResponseWriter, r *http.Request) error {
		f, err := web.ReadForm(w, r, "a", "b")
		if err != nil {
			return err
		}
		return s.Show(w, r, web.Page{Template: "hello", Body: f["a"]})
	}))
	return s.Handler(mux)
}

func get(h http.Handler, target string, with func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", target, nil)
	if with != nil {
		with(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestEveryAnswerHasTheStrictHeaders(t *testing.T) {
	h := handler(t, "https://account.example", io.Discard)
	for target, status := range map[string]int{
		"https://account.example/hello": 200, "https://account.example/none": 404, "https://account.example/panic": 500,
		"https://account.example/bad": 500, "https://other.example/hello": 421, "https://account.example/form": 405,
		"https://account.example/assets/0/a.js": 404,
	} {
		w := get(h, target, nil)
		if w.Code != status {
			t.Errorf("%s: %d, want %d", target, w.Code, status)
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
				"form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
			"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Cross-Origin-Opener-Policy": "same-origin",
			"Cache-Control": "no-store", "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", target, name, got, want)
			}
		}
		if !strings.Contains(w.Body.String(), "<h1>") {
			t.Errorf("%s: no page of ours: %s", target, w.Body)
		}
	}
}

func TestErrorsTellNothingInternal(t *testing.T) {
	var log bytes.Buffer
	h := handler(t, "http://127.0.0.1:8443", &log)
	w := get(h, "http://127.0.0.1:8443/panic", nil)
	if strings.Contains(w.Body.String(), "vault") || strings.Contains(w.Body.String(), "goroutine") {
		t.Errorf("the page tells what went wrong: %s", w.Body)
	}
	i := strings.Index(w.Body.String(), "DW-")
	if i < 0 {
		t.Fatalf("no reference in %s", w.Body)
	}
	ref := w.Body.String()[i : i+12]
	if !strings.Contains(log.String(), ref) || !strings.Contains(log.String(), "vault") {
		t.Errorf("the log does not tell the error under %s: %s", ref, &log)
	}
	if w.Header().Get("Strict-Transport-Security") != "" {
		t.Error("HSTS on plain http")
	}
}

func TestHost(t *testing.T) {
	h := handler(t, "https://account.example", io.Discard)
	for host, status := range map[string]int{
		"account.example": 200, "ACCOUNT.example": 200, "account.example:443": 200, "account.example:8443": 421, "account.example.evil.example": 421,
		"127.0.0.1": 421, "": 421, "account.example@evil.example": 421,
	} {
		w := get(h, "https://account.example/hello", func(r *http.Request) {
			r.Host = host
			r.Header.Set("X-Forwarded-Host", "evil.example")
			r.Header.Set("Forwarded", "host=evil.example")
		})
		if w.Code != status {
			t.Errorf("host %q: %d, want %d", host, w.Code, status)
		}
		if strings.Contains(w.Body.String(), "evil") {
			t.Errorf("host %q: a header came into the page", host)
		}
	}
}

func TestPublicURL(t *testing.T) {
	for u, ok := range map[string]bool{
		"https://a.example": true, "https://a.example/": true, "http://127.0.0.1:8443": true, "http://localhost:1": true, "http://[::1]:1": true,
		"http://a.example": false, "https://a.example/x": false, "https://u@a.example": false, "ftp://a.example": false, "a.example": false, "": false,
		"https://a.example?x=1": false,
	} {
		if _, err := web.ParsePublicURL(u); (err == nil) != ok {
			t.Errorf("%q: %v", u, err)
		}
	}
}

func TestForeignSitesCannotPost(t *testing.T) {
	h := handler(t, "https://account.example", io.Discard)
	for name, c := range map[string]struct {
		set    map[string]string
		status int
	}{
		"own site":        {map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "https://account.example"}, 200},
		"typed":           {map[string]string{"Sec-Fetch-Site": "none"}, 200},
		"cross":           {map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		"sibling":         {map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "https://blog.account.example"}, 403},
		"old browser":     {map[string]string{"Origin": "https://evil.example"}, 403},
		"null origin":     {map[string]string{"Origin": "null"}, 403},
		"method override": {map[string]string{"Sec-Fetch-Site": "cross-site", "X-HTTP-Method-Override": "GET"}, 403},
		"json as text":    {map[string]string{"Content-Type": "text/plain"}, 415},
		"multipart":       {map[string]string{"Content-Type": "multipart/form-data; boundary=x"}, 415},
	} {
		r := httptest.NewRequest("POST", "https://account.example/form", strings.NewReader("a=1"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for k, v := range c.set {
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.status {
			t.Errorf("%s: %d, want %d", name, w.Code, c.status)
		}
	}
}

func TestForm(t *testing.T) {
	h := handler(t, "https://account.example", io.Discard)
	for body, status := range map[string]int{
		"a=1&b=2": 200, "": 200, "a=1&a=2": 400, "a=1&role=admin": 400, "A=1": 400, "a=%ff": 400, "a=x%00": 400, "a=%zz": 400, "a;b": 400,
		"a=" + strings.Repeat("x", web.MaxForm): 413,
	} {
		if got := post(h, "https://account.example/form", body).Code; got != status {
			t.Errorf("%.40q: %d, want %d", body, got, status)
		}
	}
	if got := post(h, "https://account.example/form?a=1", "b=1").Code; got != 400 {
		t.Errorf("a field in the URL: %d, want 400", got)
	}
}

func FuzzForm(f *testing.F) {
	for _, s := range []string{"a=1&b=2", "a=1&a=2", "a=%ff", "a=1;b=2", "%61=1", "a=\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		form, err := web.ReadForm(httptest.NewRecorder(), r, "a", "b")
		if err != nil {
			return
		}
		want, err := url.ParseQuery(body)
		if err != nil {
			t.Fatalf("%q was taken, net/url refuses it: %v", body, err)
		}
		for name, v := range want {
			if name != "a" && name != "b" || len(v) != 1 || form[name] != v[0] {
				t.Fatalf("%q was taken as %v", body, form)
			}
		}
	})
}

func TestAssets(t *testing.T) {
	h := handler(t, "https://account.example", io.Discard)
	page := get(h, "https://account.example/hello", nil).Body.String()
	_, rest, _ := strings.Cut(page, `rel="stylesheet" href="`)
	css, _, _ := strings.Cut(rest, `"`)
	if !strings.HasPrefix(css, "/assets/") {
		t.Fatalf("no stylesheet in %s", page)
	}
	for name, want := range map[string]string{"doorward.css": "--paper", "a.js": "export", "icons.svg": "i-lock"} {
		target := "https://account.example" + strings.TrimSuffix(css, "doorward.css") + name
		w := get(h, target, nil)
		if w.Code != 200 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d", name, w.Code)
		}
		if got := w.Header().Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("%s: Cache-Control %q", name, got)
		}
		if got := post(h, target, "").Code; got != 405 {
			t.Errorf("POST %s: %d", name, got)
		}
		z := get(h, target, func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip") })
		if len(w.Body.Bytes()) > 1000 && z.Header().Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: not compressed", name)
		}
	}
}

func TestHostileTextIsEscaped(t *testing.T) {
	h := handler(t, "https://account.example", io.Discard)
	w := get(h, "https://account.example/hello?who="+url.QueryEscape(`<script>alert(1)</script>{{.}}<no value>`), nil)
	if w.Code != 200 || strings.Contains(w.Body.String(), "<script>") || !strings.Contains(w.Body.String(), "&lt;script&gt;") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func post(h http.Handler, target, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
