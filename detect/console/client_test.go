package console_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"doorward/auth/staff"
	"doorward/auth/totp"

	"golang.org/x/net/html"
)

// browser is one browser with its cookies; it follows no redirect by itself.
type browser struct {
	w      *world
	client *http.Client
	lang   string
}

func (w *world) browser() *browser {
	jar := must[*cookiejar.Jar](w.t)(cookiejar.New(nil))
	return &browser{w: w, lang: "en", client: &http.Client{Jar: jar, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// as signs somebody of a role in, by a demo's link.
func (w *world) as(name string, role staff.Role) *browser {
	w.t.Helper()
	link := must[string](w.t)(w.staff.SignInLink(context.Background(), name, role))
	b := w.browser()
	path := strings.TrimPrefix(link, w.server.URL)
	if p := b.post(path, url.Values{}); p.status != http.StatusSeeOther {
		w.t.Fatalf("the sign-in link answers %d: %s", p.status, p.text())
	}
	return b
}

// page is an answer, parsed.
type page struct {
	status int
	header http.Header
	body   string
	root   *html.Node
}

func (b *browser) get(path string) *page {
	b.w.t.Helper()
	return b.do(must[*http.Request](b.w.t)(http.NewRequest("GET", b.w.server.URL+path, nil)))
}

func (b *browser) post(path string, form url.Values) *page {
	b.w.t.Helper()
	r := must[*http.Request](b.w.t)(http.NewRequest("POST", b.w.server.URL+path, strings.NewReader(form.Encode())))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", b.w.server.URL)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.do(r)
}

func (b *browser) do(r *http.Request) *page {
	b.w.t.Helper()
	r.Header.Set("Accept-Language", b.lang)
	res, err := b.client.Do(r)
	if err != nil {
		b.w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.w.t.Fatal(err)
	}
	root, err := html.Parse(bytes.NewReader(body))
	if err != nil {
		b.w.t.Fatal(err)
	}
	if res.StatusCode >= 500 {
		b.w.t.Fatalf("%s %s answers %d; the log says: %s", r.Method, r.URL.Path, res.StatusCode, b.w.logged())
	}
	return &page{res.StatusCode, res.Header, string(body), root}
}

// follow goes where a redirect leads.
func (b *browser) follow(p *page) *page {
	b.w.t.Helper()
	if p.status != http.StatusSeeOther {
		b.w.t.Fatalf("not a redirect but %d: %s", p.status, p.text())
	}
	return b.get(p.header.Get("Location"))
}

// all finds elements by tag and, when name is not empty, by an attribute's value (a class among several is enough).
func (p *page) all(tag, name, value string) (found []*html.Node) {
	for n := range p.root.Descendants() {
		if n.Type != html.ElementNode || tag != "" && n.Data != tag {
			continue
		}
		if v, ok := attr(n, name); name == "" || ok && (v == value || name == "class" && contains(strings.Fields(v), value)) {
			found = append(found, n)
		}
	}
	return found
}

func contains(all []string, s string) bool {
	for _, x := range all {
		if x == s {
			return true
		}
	}
	return false
}

func attr(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && d.Parent.Data != "script" {
			b.WriteString(d.Data)
			b.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func (p *page) text() string { return text(p.root) }

// form reads what a browser would send of the form with this action: its hidden fields.
func (p *page) form(t testing.TB, action string) url.Values {
	t.Helper()
	forms := p.all("form", "action", action)
	if len(forms) == 0 {
		t.Fatalf("the page has no form that goes to %s: %s", action, p.text())
	}
	v := url.Values{}
	for n := range forms[0].Descendants() {
		if kind, _ := attr(n, "type"); n.Data == "input" && kind == "hidden" {
			name, _ := attr(n, "name")
			value, _ := attr(n, "value")
			v.Set(name, value)
		}
	}
	return v
}

func (w *world) entries(account string) []string {
	w.t.Helper()
	var out []string
	lines := must[[]journalLine](w.t)(journalOf(w.db, account))
	for _, l := range lines {
		b, err := json.Marshal(l.Entry)
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, string(b))
	}
	return out
}

// code is what the authenticator app of an otpauth URI shows now.
func (w *world) code(uri string) string {
	w.t.Helper()
	return must[string](w.t)(totp.CodeAt(uri, w.clock()))
}

// stream opens a stream of events: says gives the next one's text, wait waits for its end.
func (b *browser) stream(path string) (says func() string, wait func()) {
	b.w.t.Helper()
	res, err := b.client.Get(b.w.server.URL + path)
	if err != nil {
		b.w.t.Fatal(err)
	}
	b.w.t.Cleanup(func() { res.Body.Close() })
	if kind := res.Header.Get("Content-Type"); kind != "text/event-stream; charset=utf-8" {
		b.w.t.Fatalf("%s is %s, %d", path, kind, res.StatusCode)
	}
	lines := bufio.NewScanner(res.Body)
	says = func() string {
		b.w.t.Helper()
		for lines.Scan() {
			if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return text
			}
		}
		b.w.t.Fatalf("the stream ended: %v", lines.Err())
		return ""
	}
	return says, func() {
		b.w.t.Helper()
		for lines.Scan() {
		}
		if err := lines.Err(); err != nil {
			b.w.t.Errorf("the stream did not end well: %v", err)
		}
	}
}
