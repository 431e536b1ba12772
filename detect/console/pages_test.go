package console_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"doorward/auth"
	"doorward/auth/staff"
	"doorward/detect/cases"
	"doorward/store"
	"doorward/store/journal"

	"golang.org/x/net/html"
)

type journalLine = journal.Line

func journalOf(s store.Engine, account string) ([]journal.Line, error) {
	return journal.Find(context.Background(), s, account, 1000)
}

// The queue shows the worst first, with a preview that decides; deciding closes the case, moves the account and opens the next case.
func TestFromQueueToDecisionWithoutScript(t *testing.T) {
	w := newWorld(t)
	q := w.trouble("acct-1", "acct-2")
	b := w.as("ana", staff.Analyst)
	p := b.get("/")
	rows := p.all("tr", "data-case", q[0].ID)
	if len(rows) != 1 || len(p.all("table", "class", "queue")) != 1 {
		t.Fatalf("the queue does not list case %s: %s", q[0].ID, p.text())
	}
	if got := text(rows[0]); !strings.Contains(got, string(q[0].Account)) || !strings.Contains(got, "Locked") || !strings.Contains(got, "90") {
		t.Errorf("the row says %q", got)
	}
	action := "/cases/" + q[0].ID + "/decide"
	f := p.form(t, action)
	f.Set("act", "confirm")
	f.Set("why", "place")
	p = b.follow(b.post(action, f))
	if !strings.Contains(p.text(), "Closed.") || len(p.all("article", "class", "case")) != 1 || !strings.Contains(p.text(), string(q[1].Account)) {
		t.Fatalf("after the decision the next case is not there: %s", p.text())
	}
	if again := b.follow(b.post(action, f)); !strings.Contains(again.text(), "Closed.") {
		t.Errorf("pressed twice, it says %s", again.text())
	}
	c := w.kase(q[0].ID)
	if c.Status != cases.StatusClosed || c.Outcome != cases.Confirmed || c.ClosedBy != "staff:ana" || c.Reason != "place" {
		t.Errorf("the case is %+v", c)
	}
	if s := w.account(string(c.Account)).State; s != auth.Locked {
		t.Errorf("the account is %s", s)
	}
	entries := strings.Join(w.entries(string(c.Account)), "\n")
	for _, want := range []string{`"kind":"act.made"`, `"kind":"case.closed"`, `"by":"staff:ana"`} {
		if !strings.Contains(entries, want) {
			t.Errorf("the journal lacks %s: %s", want, entries)
		}
	}
	closed := b.get("/cases/" + q[0].ID)
	if len(closed.all("form", "class", "choose")) != 0 || !strings.Contains(closed.text(), "A stranger") {
		t.Errorf("a closed case still asks, or does not say what it was: %s", closed.text())
	}
}

func TestFalseAlarmOpensTheAccount(t *testing.T) {
	w := newWorld(t)
	q := w.trouble("acct-1")
	b := w.as("ana", staff.Analyst)
	action := "/cases/" + q[0].ID + "/decide"
	f := b.get("/cases/"+q[0].ID).form(t, action)
	f.Set("act", "false")
	f.Set("note", "called the owner: new laptop")
	p := b.follow(b.post(action, f))
	if a := w.account("acct-1"); a.State != auth.Open {
		t.Fatalf("the account is %s", a.State)
	}
	if !strings.Contains(p.text(), "Nothing to decide") || !strings.Contains(p.text(), "False alarm") {
		t.Errorf("the empty queue says %q", p.text())
	}
	if c := w.kase(q[0].ID); c.Outcome != cases.FalsePositive || c.Reason != "called the owner: new laptop" {
		t.Errorf("the case is %+v", c)
	}
}

// An act names the version that its page showed: when the account has moved on, nothing happens and the page shows where it is.
func TestADecisionOnAnOldPageIsRefusedAndShowsTheNewState(t *testing.T) {
	w := newWorld(t)
	q := w.trouble("acct-1")
	ana, bo := w.as("ana", staff.Analyst), w.as("bo", staff.Analyst)
	action := "/cases/" + q[0].ID + "/decide"
	old := ana.get("/cases/"+q[0].ID).form(t, action)
	f := bo.get("/account?id=acct-1").form(t, "/account/unlock")
	f.Set("reason", "owner called")
	bo.follow(bo.post("/account/unlock", f))
	old.Set("act", "confirm")
	old.Set("why", "place")
	p := ana.post(action, old)
	if p.status != http.StatusConflict || !strings.Contains(p.text(), "has moved on") || len(p.all("span", "class", "st-open")) == 0 {
		t.Fatalf("%d: %s", p.status, p.text())
	}
	if w.kase(q[0].ID).Status != cases.StatusOpen || w.account("acct-1").State != auth.Open {
		t.Error("an act on an old page had an effect")
	}
}

// The case page tells the path in its order, with the evidence of each finding and who did what.
func TestTheCasePageTellsThePath(t *testing.T) {
	w := newWorld(t)
	q := w.trouble("acct-1")
	p := w.as("ana", staff.Analyst).get("/cases/" + q[0].ID)
	order := []string{`id="event"`, `id="facts"`, `id="findings"`, `id="consequence"`, `id="journal"`, `id="verdict"`}
	last := -1
	for _, id := range order {
		i := strings.Index(p.body, id)
		if i < last {
			t.Errorf("%s stands before what comes before it on the path", id)
		}
		last = i
	}
	if n := len(p.all("article", "class", "finding")); n != len(q[0].Findings) {
		t.Errorf("%d findings of %d are on the page", n, len(q[0].Findings))
	}
	if len(p.all("rect", "class", "notch")) == 0 {
		t.Error("no evidence shows its limit on a bar")
	}
	hot := p.all("tr", "class", "hot")
	if len(hot) < 2 || len(p.all("tr", "class", "first")) != 1 {
		t.Errorf("%d rows are marked as a stranger's, %d as the first bad event", len(hot), len(p.all("tr", "class", "first")))
	}
	for _, r := range hot {
		if strings.Contains(text(r), "Kopi") {
			t.Errorf("the owner's own payment is marked as a stranger's: %s", text(r))
		}
	}
	for _, want := range []string{"owner: An iPhone with Safari", "stranger: A Windows computer with Chrome", "Rotterdam, Netherlands", "−S$2,900.00",
		"Account drained to a new payee", "sign-in, money out, changes"} {
		if !strings.Contains(p.text(), want) {
			t.Errorf("the page lacks %q: %s", want, p.text())
		}
	}
	if len(p.all("svg", "class", "wide")) != 1 || len(p.all("circle", "class", "s1")) == 0 || len(p.all("circle", "class", "halo")) == 0 {
		t.Error("the picture lacks its marks")
	}
}

func TestNotesAreWrittenOnce(t *testing.T) {
	w := newWorld(t)
	q := w.trouble("acct-1")
	b := w.as("ana", staff.Analyst)
	action := "/cases/" + q[0].ID + "/note"
	f := b.get("/cases/"+q[0].ID).form(t, action)
	f.Set("text", "Same payee as yesterday")
	b.follow(b.post(action, f))
	p := b.follow(b.post(action, f)) // the button was pressed twice
	if notes := w.kase(q[0].ID).Notes; len(notes) != 1 || notes[0].By != "staff:ana" {
		t.Fatalf("notes: %+v", notes)
	}
	if !strings.Contains(p.text(), "“Same payee as yesterday”") {
		t.Errorf("the note is not on the page: %s", p.text())
	}
}

func TestPersonalDataIsMaskedAndShowingItIsAnEntry(t *testing.T) {
	w := newWorld(t)
	w.trouble("acct-1")
	pair, err := auth.ProfilePair(w.keys, "acct-1", &auth.Profile{Emails: []auth.Contact{{Address: "wei.lim@okmail.example"}},
		Phone: &auth.Contact{Address: "+6591234567"}, Language: "en"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.db.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{pair}}); err != nil {
		t.Fatal(err)
	}
	b := w.as("ana", staff.Analyst)
	p := b.get("/account?id=acct-1")
	if strings.Contains(p.body, "wei.lim") || strings.Contains(p.body, "9123456") || !strings.Contains(p.text(), "w•••@o•••.example") || !strings.Contains(p.text(), "•••• 67") {
		t.Fatalf("not masked: %s", p.text())
	}
	f := p.form(t, "/account/reveal")
	if p := b.post("/account/reveal", f); p.status != http.StatusUnprocessableEntity || strings.Contains(p.body, "wei.lim") {
		t.Fatalf("shown without a reason: %d", p.status)
	}
	f.Set("reason", "owner on the phone")
	p = b.post("/account/reveal", f)
	if !strings.Contains(p.text(), "wei.lim@okmail.example") || !strings.Contains(p.text(), "+6591234567") {
		t.Fatalf("not shown: %s", p.text())
	}
	entries := strings.Join(w.entries("acct-1"), "\n")
	if !strings.Contains(entries, `"kind":"staff.looked"`) || !strings.Contains(entries, "owner on the phone") || strings.Contains(entries, "wei.lim") {
		t.Errorf("the journal says %s", entries)
	}
	if again := b.get("/account?id=acct-1"); strings.Contains(again.body, "wei.lim") {
		t.Error("it stays shown")
	}
}

func TestAccountLockAndUnlockNeedAReason(t *testing.T) {
	w := newWorld(t)
	w.trouble("acct-1")
	b := w.as("ana", staff.Analyst)
	for _, step := range []struct {
		path string
		want auth.State
	}{{"/account/unlock", auth.Open}, {"/account/limit", auth.Limited}, {"/account/lock", auth.Locked}, {"/account/unlock", auth.Open}} {
		f := b.get("/account?id=acct-1").form(t, step.path)
		if p := b.post(step.path, f); p.status != http.StatusUnprocessableEntity {
			t.Fatalf("%s without a reason answers %d", step.path, p.status)
		}
		f.Set("reason", "test of "+step.path)
		b.follow(b.post(step.path, f))
		if s := w.account("acct-1").State; s != step.want {
			t.Fatalf("%s led to %s", step.path, s)
		}
	}
}

func TestAccountsThatAreNot(t *testing.T) {
	w := newWorld(t)
	b := w.as("vi", staff.Viewer)
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/account":                {200, "Which account?"},
		"/account?id=never-seen":  {404, "never heard of"},
		"/account?id=a%20b":       {422, "can’t be an account id"},
		"/account?id=a%E2%80%AEb": {422, "⟨U+202E⟩"},
		"/cases/c-0000":           {404, ""},
		"/cases/%2e%2e%2fstaff":   {404, ""},
		"/?after=!!":              {404, ""},
		"/journal?before=minus":   {404, ""},
		"/find?q=c-0000":          {303, ""},
		"/nothing":                {404, ""},
	} {
		if p := b.get(path); p.status != want.status || !strings.Contains(html.UnescapeString(p.body), want.text) {
			t.Errorf("%s: %d %s", path, p.status, p.text())
		}
	}
}

func TestTheJournalPageFiltersAndChecksItsChain(t *testing.T) {
	w := newWorld(t)
	w.trouble("acct-1", "acct-2")
	b := w.as("vi", staff.Viewer)
	p := b.get("/journal")
	if !strings.Contains(p.text(), "fit each other") || !strings.Contains(p.text(), "acct-2") {
		t.Fatalf("the journal says %s", p.text())
	}
	p = b.get("/journal?account=acct-1")
	rows := p.all("tbody", "", "")
	if len(rows) != 1 || strings.Contains(text(rows[0]), "acct-2") || !strings.Contains(text(rows[0]), "acct-1") {
		t.Errorf("filtered, it says %s", p.text())
	}
	if p := b.get("/journal?check=1"); !strings.Contains(p.text(), "Chain intact") {
		t.Errorf("checked whole, it says %s", p.text())
	}
	head, err := journal.Head(t.Context(), w.db)
	if err != nil {
		t.Fatal(err)
	}
	// somebody with the disk in hand changes an entry
	key := store.LineKey(store.Journal, head.Position-1)
	v, err := w.db.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	forged := append([]byte(nil), v[0]...)
	forged[len(forged)-3] ^= 1
	if _, err := w.db.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: key, Value: forged}}}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/journal", "/journal?check=1"} {
		if p := b.get(path); !strings.Contains(p.text(), "Chain broken") || strings.Contains(p.text(), "fit each other") {
			t.Errorf("%s after a forgery: %s", path, p.text())
		}
	}
}

func TestRulesPageShowsEveryRuleWithItsFindings(t *testing.T) {
	w := newWorld(t)
	w.trouble("acct-1")
	vi := w.as("vi", staff.Viewer)
	if home := vi.get("/"); strings.Contains(text(home.all("footer", "", "")[0]), "decide") || len(home.all("form", "class", "choose")) > 0 {
		t.Error("a viewer is offered to decide")
	}
	p := vi.get("/rules")
	for _, r := range w.set.Rules() {
		s := p.all("section", "id", r.ID)
		if len(s) != 1 || !strings.Contains(text(s[0]), r.Title) {
			t.Errorf("rule %s is not on the page", r.ID)
		}
		if r.ID == "money.drained" && !strings.Contains(text(s[0]), "1 finding") {
			t.Errorf("%s: %s", r.ID, text(s[0]))
		}
	}
}

func TestSettingsChangeZoneDensityAndKeys(t *testing.T) {
	w := newWorld(t)
	q := w.trouble("acct-1")
	b := w.as("ana", staff.Analyst)
	b.follow(b.post("/settings", url.Values{"zone": {"Asia/Singapore"}, "dense": {"1"}, "keys": {"0"}}))
	p := b.get("/cases/" + q[0].ID)
	if !strings.Contains(p.text(), "+08:00") || len(p.all("header", "class", "dense")) != 1 || len(p.all("footer", "data-keys", "off")) != 1 {
		t.Errorf("the page does not follow the settings: %s", p.text())
	}
	for _, n := range p.all("time", "", "") {
		if title, _ := attr(n, "title"); !strings.HasSuffix(title, "UTC") {
			t.Fatalf("a time does not say its UTC: %s", text(n))
		}
	}
	for _, bad := range []string{"", "Mars/Base", "../../etc/passwd", "Local"} {
		if p := b.post("/settings", url.Values{"zone": {bad}, "dense": {"0"}, "keys": {"1"}}); p.status != http.StatusUnprocessableEntity {
			t.Errorf("zone %q answers %d", bad, p.status)
		}
	}
}

// Every page in every language: no text is missing (a missing one fails the page), and the language is said.
func TestEveryPageInEveryLanguage(t *testing.T) {
	w := newWorld(t)
	q := w.trouble("acct-1", "acct-2")
	invite := must[string](t)(w.staff.Invite(t.Context(), "new", staff.Viewer, "operator"))
	invite = strings.TrimPrefix(invite, w.server.URL)
	for _, lang := range []string{"en", "zh-Hans", "es", "fr", "de"} {
		out, in := w.browser(), w.as("ana", staff.Admin)
		out.lang, in.lang = lang, lang
		for _, path := range []string{"/sign-in", invite, "/join/none", "/enter/none"} {
			check(t, out.get(path), path, lang)
		}
		for _, path := range []string{"/", "/cases/" + q[0].ID, "/account", "/account?id=acct-1", "/account?id=none", "/rules", "/journal",
			"/journal?account=acct-1", "/journal?check=1", "/staff", "/settings"} {
			check(t, in.get(path), path, lang)
		}
		check(t, in.post("/staff/invite", url.Values{"name": {"x y"}, "role": {"viewer"}}), "bad invite", lang)
		check(t, in.post("/cases/"+q[0].ID+"/decide", url.Values{"saw": {"0"}}), "bad decision", lang)
	}
}

func check(t *testing.T, p *page, path, lang string) {
	t.Helper()
	if got, _ := attr(p.all("html", "", "")[0], "lang"); got != lang {
		t.Errorf("%s in %s says it is in %s", path, lang, got)
	}
	if len(p.all("h1", "", ""))+len(p.all("h2", "", "")) == 0 || strings.Contains(p.text(), "ZgotmplZ") {
		t.Errorf("%s in %s is no page: %s", path, lang, p.text())
	}
	for _, n := range p.all("", "style", "") {
		t.Errorf("%s has an inline style on %s", path, n.Data)
	}
	seen := map[string]bool{}
	for n := range p.root.Descendants() {
		if id, ok := attr(n, "id"); ok && seen[id] {
			t.Errorf("%s has two elements with id %s", path, id)
		} else if ok {
			seen[id] = true
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") {
				t.Errorf("%s has %s on %s", path, a.Key, n.Data)
			}
		}
	}
}

// A stream says what has changed since the page was made, and ends when whoever reads it may not any more, or the server stops.
func TestLiveStreamSaysWhatIsNewAndEndsWithAccess(t *testing.T) {
	w := newWorld(t)
	w.trouble("acct-1")
	w.as("root", staff.Admin)
	b := w.as("ana", staff.Analyst)
	says, wait := b.stream("/live")
	if !strings.Contains(says(), `{"open":1,`) {
		t.Error("the stream does not begin with what is")
	}
	patient := time.NewTimer(1200 * time.Millisecond) // longer than the server's limits for a request
	<-patient.C
	w.happen(takeover("acct-2")...)
	if !strings.Contains(says(), `{"open":2,`) {
		t.Error("the stream does not say that there is another case")
	}
	if err := w.staff.SetDisabled(t.Context(), "ana", true, "operator"); err != nil {
		t.Fatal(err)
	}
	wait()
	if after := b.get("/"); after.status != http.StatusSeeOther || after.header.Get("Location") != "/sign-in" {
		t.Errorf("a disabled member still gets %d", after.status)
	}
	says, wait = w.as("bo", staff.Viewer).stream("/live")
	says()
	w.console.EndStreams()
	wait()
}
