package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"doorward/auth"
	"doorward/auth/staff"
	"doorward/detect/cases"
	"doorward/detect/console"
	"doorward/rules/event"
	"doorward/store/journal"
)

// Every role on every route: the matrix is made of the route table itself, so a route without a permission can't be forgotten.
func TestEveryRoleOnEveryRoute(t *testing.T) {
	w := newWorld(t)
	q := w.trouble("acct-1")
	w.as("root", staff.Admin)
	people := map[staff.Role]*browser{}
	for _, r := range staff.Roles {
		people[r] = w.as("a-"+string(r), r)
	}
	version := func() string { return "0" } // an act with the wrong version is allowed and refused: 409, never 403
	forms := map[string]url.Values{
		"/cases/{case}/decide": {"act": {"confirm"}, "why": {"place"}, "saw": {version()}},
		"/cases/{case}/note":   {"text": {"x"}, "saw": {"1"}},
		"/account/lock":        {"account": {"acct-1"}, "reason": {"x"}, "saw": {version()}},
		"/account/limit":       {"account": {"acct-1"}, "reason": {"x"}, "saw": {version()}},
		"/account/unlock":      {"account": {"acct-1"}, "reason": {"x"}, "saw": {version()}},
		"/account/reveal":      {"account": {"acct-1"}, "reason": {"x"}},
		"/staff/invite":        {"name": {"somebody"}, "role": {"viewer"}},
		"/staff/role":          {"name": {"nobody-here"}, "role": {"viewer"}},
		"/staff/access":        {"name": {"nobody-here"}, "access": {"off"}},
		"/settings":            {"zone": {"UTC"}, "dense": {"0"}, "keys": {"1"}},
	}
	for _, rt := range console.Routes() {
		method, pattern, _ := strings.Cut(rt.Pattern, " ")
		if rt.Needs == staff.Anyone || pattern == "/live" || pattern == "/sign-out" {
			continue
		}
		path := strings.NewReplacer("{case}", q[0].ID, "{$}", "").Replace(pattern)
		ask := func(b *browser) *page {
			if method == "GET" {
				return b.get(path)
			}
			return b.post(path, forms[pattern])
		}
		if p := ask(w.browser()); p.status != http.StatusSeeOther || p.header.Get("Location") != "/sign-in" {
			t.Errorf("%s lets somebody in who is not signed in: %d", rt.Pattern, p.status)
		}
		for role, b := range people {
			p := ask(b)
			if may := staff.Can(role, rt.Needs); may == (p.status == http.StatusForbidden) {
				t.Errorf("%s for %s answers %d, and the table says %v", rt.Pattern, role, p.status, may)
			}
		}
	}
	if s := w.account("acct-1").State; s != auth.Locked {
		t.Errorf("the account is %s: an act without a right version had an effect", s)
	}
	refusals := 0
	lines, err := journal.Read(t.Context(), w.db, 0, 1000, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		if l.Entry.Kind == journal.StaffRefused && l.Entry.By == "staff:a-viewer" {
			refusals++
		}
	}
	if refusals < 8 {
		t.Errorf("%d refusals of the viewer are in the journal", refusals)
	}
}

// A role changes or ends on the next request, whatever the session says.
func TestRoleAndAccessActOnTheNextRequest(t *testing.T) {
	w := newWorld(t)
	w.as("root", staff.Admin)
	b := w.as("ana", staff.Admin)
	if p := b.get("/staff"); p.status != http.StatusOK {
		t.Fatalf("an administrator gets %d", p.status)
	}
	if err := w.staff.SetRole(t.Context(), "ana", staff.Viewer, "operator"); err != nil {
		t.Fatal(err)
	}
	if p := b.get("/staff"); p.status != http.StatusForbidden {
		t.Errorf("a viewer gets %d on the staff page", p.status)
	}
	if err := w.staff.SetDisabled(t.Context(), "ana", true, "operator"); err != nil {
		t.Fatal(err)
	}
	if p := b.get("/"); p.status != http.StatusSeeOther {
		t.Errorf("a disabled member gets %d", p.status)
	}
	if err := w.staff.SetDisabled(t.Context(), "ana", false, "operator"); err != nil {
		t.Fatal(err)
	}
	if p := b.get("/"); p.status != http.StatusSeeOther {
		t.Errorf("a session from before the access was switched off works again: %d", p.status)
	}
}

func TestSessionsEndByIdlenessAndByAge(t *testing.T) {
	w := newWorld(t)
	b := w.as("ana", staff.Analyst)
	w.pass(14 * 60e9)
	if p := b.get("/"); p.status != http.StatusOK {
		t.Fatalf("after 14 idle minutes: %d", p.status)
	}
	w.pass(15*60e9 + 1)
	if p := b.get("/"); p.status != http.StatusSeeOther {
		t.Errorf("after 15 idle minutes: %d", p.status)
	}
	b = w.as("ana", staff.Analyst)
	for range 80 { // 12 hours and some, a request every ten minutes
		w.pass(10 * 60e9)
		b.get("/settings")
	}
	if p := b.get("/"); p.status != http.StatusSeeOther {
		t.Errorf("after 13 busy hours: %d", p.status)
	}
}

// Joining, signing in and out without a script.
func TestFromInvitationToSignInWithoutScript(t *testing.T) {
	w := newWorld(t)
	link := must[string](t)(w.staff.Invite(t.Context(), "Li.Wen", staff.Analyst, "operator"))
	path := strings.TrimPrefix(link, w.server.URL)
	b := w.browser()
	for range 2 { // a mail scanner opens it too
		if p := b.get(path); p.status != http.StatusOK || !strings.Contains(p.text(), "Welcome, li.wen") {
			t.Fatalf("%d: %s", p.status, p.text())
		}
	}
	for password, want := range map[string]string{"too short": "at least 15", "passwordpassword": "Thieves try", "123456789012345": "Thieves try"} {
		if p := b.post(path+"/password", url.Values{"password": {password}}); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.text(), want) {
			t.Errorf("%q: %d %s", password, p.status, p.text())
		}
	}
	password := "seven green lamps by the canal"
	answer := b.post(path+"/password", url.Values{"password": {password}})
	next := answer.header.Get("Location")
	p := b.follow(answer)
	if w.browser().get(path).status != http.StatusNotFound {
		t.Error("the invitation works a second time")
	}
	if len(p.all("div", "class", "qr")) != 1 || len(p.all("svg", "", "")) == 0 {
		t.Error("no picture of the key to scan")
	}
	l := must[staff.Link](t)(w.staff.Peek(t.Context(), next[strings.LastIndex(next, "/")+1:]))
	if p := b.post(next+"/code", url.Values{"code": {"000000"}}); p.status != http.StatusUnprocessableEntity {
		t.Errorf("a wrong code answers %d", p.status)
	}
	if p := b.follow(b.post(next+"/code", url.Values{"code": {w.code(l.App.URI)}})); !strings.Contains(p.text(), "li.wen") {
		t.Fatalf("not signed in: %s", p.text())
	}
	b.follow(b.post("/sign-out", url.Values{}))
	if b.get("/").status != http.StatusSeeOther {
		t.Error("still signed in")
	}
	w.pass(30e9)
	wrong := []url.Values{
		{"name": {"li.wen"}, "password": {"not the password at all"}, "code": {w.code(l.App.URI)}},
		{"name": {"li.wen"}, "password": {password}, "code": {"000000"}},
		{"name": {"nobody.here"}, "password": {password}, "code": {"000000"}},
	}
	said := map[string]bool{}
	for _, f := range wrong {
		p := b.post("/sign-in", f)
		if p.status != http.StatusUnprocessableEntity {
			t.Errorf("%v answers %d", f["name"], p.status)
		}
		said[strings.ReplaceAll(p.body, f.Get("name"), "NAME")] = true
	}
	if len(said) != 1 {
		t.Error("the answers to a wrong name, password and code differ")
	}
	good := url.Values{"name": {"LI.WEN "}, "password": {password}, "code": {w.code(l.App.URI)}}
	if p := b.post("/sign-in", good); p.status != http.StatusSeeOther {
		t.Fatalf("the right ones answer %d: %s", p.status, p.text())
	}
	if p := w.browser().post("/sign-in", good); p.status == http.StatusSeeOther {
		t.Error("a code works twice")
	}
}

// S-12: a cookie that somebody planted is worth nothing after the sign-in.
func TestSignInGivesANewSession(t *testing.T) {
	w := newWorld(t)
	b := w.as("ana", staff.Analyst)
	u := must[*url.URL](t)(url.Parse(w.server.URL))
	old := b.client.Jar.Cookies(u)
	link := strings.TrimPrefix(must[string](t)(w.staff.SignInLink(t.Context(), "ana", staff.Analyst)), w.server.URL)
	if w.browser().get(link).status != http.StatusOK {
		t.Fatal("looking at the link changed something")
	}
	b.follow(b.post(link, url.Values{}))
	thief := w.browser()
	thief.client.Jar.SetCookies(u, old)
	if thief.get("/").status != http.StatusSeeOther {
		t.Error("the session from before the sign-in still works")
	}
	if b.post(link, url.Values{}).status != http.StatusNotFound {
		t.Error("the link works twice")
	}
}

// S-13: what another site makes a browser send changes nothing.
func TestForeignFormsAreRefused(t *testing.T) {
	w := newWorld(t)
	w.trouble("acct-1")
	b := w.as("ana", staff.Analyst)
	form := b.get("/account?id=acct-1").form(t, "/account/unlock")
	form.Set("reason", "x")
	for _, headers := range []map[string]string{{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"},
		{"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:1"}} {
		r := must[*http.Request](t)(http.NewRequest("POST", w.server.URL+"/account/unlock", strings.NewReader(form.Encode())))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for k, v := range headers {
			r.Header.Set(k, v)
		}
		if p := b.do(r); p.status != http.StatusForbidden {
			t.Errorf("%v answers %d", headers, p.status)
		}
	}
	r := must[*http.Request](t)(http.NewRequest("POST", w.server.URL+"/account/unlock", strings.NewReader(`{"account":"acct-1"}`)))
	r.Header.Set("Content-Type", "text/plain")
	if p := b.do(r); p.status < 400 {
		t.Errorf("JSON as text answers %d", p.status)
	}
	twice := form.Encode() + "&account=acct-2"
	r = must[*http.Request](t)(http.NewRequest("POST", w.server.URL+"/account/unlock", strings.NewReader(twice)))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if p := b.do(r); p.status != http.StatusBadRequest {
		t.Errorf("a field that stands twice answers %d", p.status)
	}
	form.Set("role", "admin")
	if p := b.post("/account/unlock", form); p.status != http.StatusBadRequest {
		t.Errorf("a field of nobody answers %d", p.status)
	}
	if s := w.account("acct-1").State; s != auth.Locked {
		t.Errorf("the account is %s", s)
	}
}

// hostile are payloads of a stranger who writes into every field: markup, templates, formulas, terminals, and what hides.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'><svg/onload=alert(1)>`, `</title><script>alert(1)</script>`, `javascript:alert(1)`,
	`</textarea><script>alert(1)</script>`, `{{.Me}}`, `{{constructor.constructor('alert(1)')()}}`, "${7*7}", `<iframe srcdoc="<script>1</script>">`,
	`<a href="javascript:alert(1)">x</a>`, `<style>*{display:none}</style>`, `<base href="//evil.example/">`, `<form action="//evil.example">`, `--><!--`,
	`]]><script>`, `\u003cscript\u003e`, `=cmd|' /C calc'!A0`, "\x1b]52;c;aGk=\x07", "line\r\nSet-Cookie: a=b", "a\u202egnp.exe", "a\u200bb", "\u2066hid\u2069",
	"\u2028alert(1)", "data:text/html,<script>1</script>", "' OR 1=1 --", "%3Cscript%3E", "&lt;script&gt;", `<math><mtext><script>1</script>`,
	strings.Repeat("A", 3000), "\u115f\u3164", "x\ufe0fy", "\U000e0041tag",
}

// S-16: whatever stands in an event's fields, a note or a search, no page has markup of it, and what is hidden is seen.
func TestHostileTextIsTextOnEveryPage(t *testing.T) {
	w := newWorld(t)
	es := takeover("acct-1")
	for i := range hostile {
		h := hostile[i]
		e := es[len(es)-1]
		e.ID, e.Time = fmt.Sprintf("h-%d", i), t0.Add(10*60e9-1e9)
		if id := h[:min(len(h), 200)]; printable(id) { // the contract lets no other into ids
			e.ID, e.Source, e.Counterparty, e.Transaction, e.Device = id, "/"+strings.ReplaceAll(id, " ", "_"), id, id, id
		}
		e.Category, e.UserAgent = h, h
		e.Geo = &event.Geo{City: h[:min(len(h), 200)], Country: "NL"}
		e.Extra = map[string]any{"x": h}
		es = append(es[:len(es)-1], e, es[len(es)-1])
	}
	if n := w.happen(es...); n < len(es)-6 {
		t.Fatalf("%d of %d events were taken: the test shows too little", n, len(es))
	}
	w.pass(11 * 60e9)
	var q []cases.Case
	w.until("there is a case", func() bool {
		var err error
		if q, _, err = cases.Queue(t.Context(), w.db, nil, 10); err != nil {
			t.Fatal(err)
		}
		return len(q) > 0
	})
	b := w.as("ana", staff.Admin)
	action := "/cases/" + q[0].ID + "/note"
	for _, h := range hostile {
		f := url.Values{"text": {h}, "saw": {h}}
		if strings.ContainsRune(h, 0) {
			continue
		}
		if p := b.post(action, f); p.status >= 500 {
			t.Fatalf("note %q answers %d", h, p.status)
		}
	}
	paths := []string{"/", "/cases/" + q[0].ID, "/account?id=acct-1", "/journal", "/rules", "/staff"}
	for _, h := range hostile {
		paths = append(paths, "/account?id="+url.QueryEscape(h), "/journal?account="+url.QueryEscape(h), "/find?q="+url.QueryEscape(h), "/?done="+url.QueryEscape(h),
			"/?at="+url.QueryEscape(h))
	}
	for _, path := range paths {
		p := b.get(path)
		harmless(t, path, p)
	}
	harmless(t, "sign-in", w.browser().post("/sign-in", url.Values{"name": {hostile[1]}, "password": {"x"}, "code": {"1"}}))
	p := b.get("/cases/" + q[0].ID)
	for _, want := range []string{"⟨U+202E⟩", "⟨U+200B⟩", "⟨U+2066⟩", "⟨U+3164⟩", "⟨U+001B⟩", "<script>alert(1)</script>"} {
		if !strings.Contains(p.text(), want) {
			t.Errorf("the case page does not show %s", want)
		}
	}
}

func printable(s string) bool {
	for _, r := range s {
		if r < ' ' {
			return false
		}
	}
	return true
}

// harmless: the page has only our scripts, no handler, no foreign address, nothing hidden.
func harmless(t *testing.T, path string, p *page) {
	t.Helper()
	for _, n := range p.all("script", "", "") {
		if src, _ := attr(n, "src"); !strings.HasPrefix(src, "/assets/") || n.FirstChild != nil {
			t.Errorf("%s has a script that is not ours", path)
		}
	}
	for _, tag := range []string{"img", "iframe", "base", "style", "object", "embed", "math"} {
		if len(p.all(tag, "", "")) > 0 {
			t.Errorf("%s has a %s", path, tag)
		}
	}
	for n := range p.root.Descendants() {
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") && len(a.Key) > 2 || a.Key == "style" || a.Key == "srcdoc" {
				t.Errorf("%s has %s on %s", path, a.Key, n.Data)
			}
			if (a.Key == "href" || a.Key == "src" || a.Key == "action") && !strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "#") && a.Val != "data:," {
				t.Errorf("%s leads to %q", path, a.Val)
			}
		}
	}
	for _, r := range p.text() {
		if r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200b || r == 0x1b || r == 0x2028 || r == 0x3164 || r == 0xfe0f || r == 0xe0041 {
			t.Errorf("%s shows U+%04X as it is", path, r)
		}
	}
	if csp := p.header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") {
		t.Errorf("%s has policy %q", path, csp)
	}
}
