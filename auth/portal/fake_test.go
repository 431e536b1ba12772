package portal

import (
	"context"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"doorward/auth"
	"doorward/auth/notice"
	"doorward/auth/recovery"
	"doorward/auth/totp"
	"doorward/store/storetest"
)

// writePages makes TestPages write every page it sees to a folder, to be looked at in a browser.
var writePages = flag.String("pages", "", "write every page to this `folder`")

const site = "https://account.harbour.example"

// start is a Sunday, 02:40 in Singapore.
var start = time.Date(2026, 11, 21, 18, 40, 0, 0, time.UTC)

// flow stands for a recovery.Flow: the world's answers, without a shard. Code 123456 is right, 222222 used, 333333 too soon.
type flow struct {
	mu    sync.Mutex
	view  recovery.View
	res   recovery.Result // what the next input gets instead
	steps []recovery.Step
	got   []recovery.Input
	codes []string
}

func (f *flow) Open(_ context.Context, token string) (string, error) {
	switch token {
	case "good":
		return "r-1", nil
	case "old":
		return "r-1", recovery.ErrLinkExpired
	}
	return "", recovery.ErrLink
}

func (f *flow) View(_ context.Context, id string) (recovery.View, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id != "r-1" {
		return recovery.View{}, recovery.ErrLink
	}
	return f.view, nil
}

func (f *flow) Submit(_ context.Context, _ string, in recovery.Input) (recovery.View, recovery.Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = append(f.got, in)
	if f.res.Refused != "" || f.res.Moved || f.res.Applying {
		r := f.res
		f.res = recovery.Result{}
		return f.view, r, nil
	}
	res := recovery.Result{}
	switch in.Kind {
	case recovery.InputGiveUp:
		f.set(f.steps...)
		return f.view, res, nil
	case recovery.InputMailSend:
		f.view.Mailed, f.view.MailTries = f.view.Addresses[in.Address], 5
		return f.view, res, nil
	case recovery.InputCodesSaved:
		f.view.CodesOffered = false
		return f.view, res, nil
	case recovery.InputCode, recovery.InputMailCode, recovery.InputRecoveryCode:
		if !strings.Contains(in.Code, "123456") {
			return f.view, recovery.Result{Refused: recovery.RefusedWrong, Code: totp.Wrong, TriesLeft: 3}, nil
		}
	}
	f.done()
	if f.view.Status == recovery.Finished {
		res.NewCodes = f.codes
	}
	return f.view, res, nil
}

// done marks the current step done and goes to the next one.
func (f *flow) done() {
	for i := range f.view.Steps {
		if s := &f.view.Steps[i]; s.Current {
			s.Current, s.Done = false, true
			f.view.CanGiveUp = true
			f.view.Account.State = auth.Recovering
			if i+1 == len(f.view.Steps) {
				break
			}
			f.view.Steps[i+1].Current = true
			f.view.Current = f.view.Steps[i+1].Step
			f.view.RecoveryCodeToo = false
			if f.view.Current == recovery.StepHold {
				f.view.Status, f.view.Hold = recovery.Held, start.Add(24*time.Hour)
			}
			return
		}
	}
	f.finish()
}

func (f *flow) finish() {
	f.view.Status, f.view.Current, f.view.Steps = recovery.Finished, "", nil
	f.view.Account.State, f.view.Account.Refuse = auth.Probation, []auth.Refusal{auth.RefuseChanges}
	f.view.Until = start.Add(72 * time.Hour)
	since := start
	f.view.Account.Since = &since
	f.view.App.Enrolled = !slices.Contains(f.steps, recovery.StepHold)
}

// set begins a recovery that asks for steps.
func (f *flow) set(steps ...recovery.Step) {
	since := start.Add(-27 * time.Minute)
	f.steps = steps
	f.view = recovery.View{ID: "r-1", Status: recovery.Pending, Current: steps[0], RecoveryCodeToo: steps[0] == recovery.StepCode,
		Account: auth.Record{Account: "wei.zhang", State: auth.Locked, Since: &since, Recovery: "r-1",
			Refuse:     []auth.Refusal{auth.RefuseLogin, auth.RefuseMoneyOut, auth.RefuseChanges},
			ReasonUser: map[string]string{"en": "Someone signed in with a new device and tried to send money."}},
		App: totp.Standing{Enrolled: true, TriesLeft: 5}, Codes: totp.Standing{Left: 6}, Addresses: []string{"w•••@o•••.sg", "z•••@m•••.com"}}
	for i, s := range steps {
		f.view.Steps = append(f.view.Steps, recovery.StepView{Step: s, Current: i == 0})
	}
	if steps[0] == recovery.StepStaff {
		f.view.Status = recovery.Staff
	}
	for i, kind := range []auth.ChangeKind{auth.ChangedEmail, auth.ChangedPassword, auth.ChangedFactor, auth.ChangedPhone, auth.ChangedSIM} {
		c := auth.Change{Kind: kind, At: start.Add(-time.Duration(30-i) * time.Minute)}
		if kind == auth.ChangedFactor {
			c.Factor = "totp"
		}
		f.view.Changes = append(f.view.Changes, recovery.ChangeView{ID: recovery.ChangeID(c), Change: c})
	}
	f.codes = []string{"ABCD EFGH JKLM NPQR STUV", "BBCD EFGH JKLM NPQR STUV", "CBCD EFGH JKLM NPQR STUV"}
}

var full = []recovery.Step{recovery.StepCode, recovery.StepPassword, recovery.StepReview}
var lostFactor = []recovery.Step{recovery.StepRecoveryCode, recovery.StepMailCode, recovery.StepPassword, recovery.StepReview, recovery.StepHold}

// bench is a portal with what the world does to it.
type bench struct {
	t       *testing.T
	flow    *flow
	portal  *Portal
	h       http.Handler
	keys    *auth.Keys
	now     time.Time
	asked   chan string // accounts and recoveries that were asked a link for
	answers []string
	event   Event
	address string
}

func newBench(t *testing.T) *bench { t.Helper(); return newBenchAt(t, site) }

func newBenchAt(t *testing.T, public string) *bench {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Singapore")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := auth.NewKeys([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, flow: &flow{}, keys: keys, now: start, asked: make(chan string, 300), address: "203.0.113.7:4444"}
	b.flow.set(full...)
	b.event = Event{Type: "transaction.requested", At: start.Add(-27 * time.Minute), City: "Rotterdam", Country: "NL", Amount: 290000, Currency: "SGD",
		UserAgent: "Mozilla/5.0 (Windows NT 10.0) Chrome/130.0 Safari/537.36", Stopped: true}
	b.portal, err = New(Config{Name: "Harbour", PublicURL: public, Zone: zone, Now: func() time.Time { return b.now }, AppURL: "https://harbour.example/app",
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Engine: storetest.Open(t), Keys: keys, Flow: b.flow,
		Contacts: []Contact{
			{Kind: "chat", Text: map[string]string{"en": "Chat in the Harbour app", "de": "Chat in der Harbour-App"}, Link: "https://harbour.example/chat", Hours: map[string]string{"en": "Day and night", "de": "Rund um die Uhr"}},
			{Kind: "phone", Text: map[string]string{"en": "+65 6555 0142"}, Link: "tel:+6565550142"}},
		Ask:   func(_ context.Context, a auth.AccountID) error { b.asked <- string(a); return nil },
		Again: func(_ context.Context, r string) error { b.asked <- r; return nil },
		Story: func(context.Context, recovery.View) (Story, error) {
			return Story{First: b.event, Events: []Event{b.event, {Type: "login.succeeded", At: start.Add(-32 * time.Minute), Country: "NL"}}}, nil
		},
		Asked: func(_ context.Context, finding string) (Event, error) {
			if finding != "f-9" {
				return Event{}, ErrUnknown
			}
			return b.event, nil
		},
		Answer: func(_ context.Context, finding string, denied bool) error {
			b.answers = append(b.answers, map[bool]string{true: "no ", false: "yes "}[denied]+finding)
			return nil
		},
		Enrol: func(context.Context, auth.AccountID) (totp.Enrolment, error) {
			return totp.Enrolment{URI: "otpauth://totp/Harbour:wei.zhang?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Harbour", Key: "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP"}, nil
		},
		Confirm: func(_ context.Context, _ auth.AccountID, code string) (totp.Result, error) {
			if code != "123456" {
				return totp.Result{Reason: totp.Wrong, TriesLeft: 4}, nil
			}
			return totp.Result{}, nil
		},
		OfferCodes: func(context.Context, auth.AccountID) ([]string, error) { return b.flow.codes, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	b.h = b.portal.Handler()
	return b
}

// browser is one person's browser, without JavaScript.
type browser struct {
	b       *bench
	cookies map[string]*http.Cookie
	lang    string
	at      string // path of the page
	page    string // its HTML
	status  int
	header  http.Header
}

func (b *bench) browser(lang string) *browser {
	return &browser{b: b, cookies: map[string]*http.Cookie{}, lang: lang}
}

func (w *browser) do(method, path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, site+path, strings.NewReader(form.Encode()))
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	r.Header.Set("Accept-Language", w.lang)
	r.RemoteAddr = w.b.address
	for _, c := range w.cookies {
		r.AddCookie(c)
	}
	rec := httptest.NewRecorder()
	w.b.h.ServeHTTP(rec, r)
	for _, c := range rec.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(w.cookies, c.Name)
		} else {
			w.cookies[c.Name] = c
		}
	}
	return rec
}

// follow goes where an answer leads and keeps the page.
func (w *browser) follow(path string, rec *httptest.ResponseRecorder) *browser {
	for range 6 {
		if rec.Code != http.StatusSeeOther {
			break
		}
		path = rec.Header().Get("Location")
		rec = w.do("GET", path, nil)
	}
	w.at, w.page, w.status, w.header = path, rec.Body.String(), rec.Code, rec.Header()
	return w
}

func (w *browser) get(path string) *browser { return w.follow(path, w.do("GET", path, nil)) }

func (w *browser) post(path string, pairs ...string) *browser {
	w.b.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	rec := w.do("POST", path, form)
	if rec.Code == http.StatusOK {
		w.b.t.Errorf("POST %s answers with a page, not with a redirect", path)
	}
	return w.follow(path, rec)
}

// enter opens the good link.
func (w *browser) enter() *browser { return w.get("/r/good").post("/r/good") }

// mine answers every change.
func (w *browser) review(answer string) *browser {
	var pairs []string
	for _, c := range w.b.flow.view.Changes {
		pairs = append(pairs, c.ID, answer)
	}
	return w.post("/review", pairs...)
}

// want says that the browser is on a page.
func (w *browser) want(path string, texts ...string) *browser {
	w.b.t.Helper()
	if w.at != path {
		w.b.t.Fatalf("on %s, want %s\n%s", w.at, path, w.page)
	}
	for _, text := range texts {
		if !strings.Contains(w.page, text) {
			w.b.t.Errorf("%s lacks %q", path, text)
		}
	}
	return w
}

func (w *browser) lacks(texts ...string) *browser {
	w.b.t.Helper()
	for _, text := range texts {
		if strings.Contains(w.page, text) {
			w.b.t.Errorf("%s shows %q", w.at, text)
		}
	}
	return w
}

func token(k *auth.Keys, finding string) string { return notice.LinkToken(k, finding, start) }
