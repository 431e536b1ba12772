package portal

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"doorward/auth"
	"doorward/auth/notice"
	"doorward/auth/recovery"
	"doorward/auth/web"
)

// The whole way with an authenticator app, by plain POSTs.
func TestBackInWithTheApp(t *testing.T) {
	b := newBench(t)
	w := b.browser("en")
	w.get("/r/good").want("/r/good", "Get back into your account").lacks("wei", "Locked")
	if len(w.cookies) > 0 {
		t.Errorf("a GET sets %v", w.cookies)
	}
	w.post("/r/good").want("/why", "Someone signed in with a new device", "Near Rotterdam, Netherlands", "S$2,900.00", "Nobody can sign in", `href="/code"`)
	w.get("/code").want("/code", "w••••g", `name="code"`, `inputmode="numeric"`, `autocomplete="one-time-code"`)
	w.post("/code", "code", "000000").want("/code", "That code did not work", "3 tries left", "<title>Error: ", `href="#code"`, `aria-invalid="true"`)
	w.get("/code").want("/code", "That code did not work")
	w.post("/code", "code", " １２３456 123456").want("/password", "Step 2 of 3", "https://harbour.example/app").lacks("did not work")
	w.post("/password").want("/review", "Mail address changed", "Sign-in check changed: authenticator app").lacks("checked")
	w.post("/review", b.flow.view.Changes[0].ID, "mine", b.flow.view.Changes[1].ID, "not_mine", b.flow.view.Changes[2].ID, "not_mine",
		b.flow.view.Changes[3].ID, "not_mine", b.flow.view.Changes[4].ID, "not_mine")
	w.want("/done", "You are back in", "Wednesday 25 November, 02:40 (Singapore time)", "3 days left", "ABCD EFGH JKLM NPQR STUV")
	in := b.flow.got[len(b.flow.got)-1]
	if len(in.Approved) != 1 || in.Approved[0] != recovery.ChangeID(b.flow.view.Changes[0].Change) || len(in.Denied) != 4 {
		t.Errorf("the recovery was told %+v", in)
	}
	w.get("/codes.txt")
	if w.status != 200 || !strings.HasPrefix(w.header.Get("Content-Type"), "text/plain") || !strings.Contains(w.page, "BBCD EFGH JKLM NPQR STUV\n") {
		t.Errorf("codes as a file: %d %s", w.status, w.page)
	}
	w.post("/codes/saved").want("/done", "Saved just now").lacks("ABCD EFGH")
	w.get("/codes.txt").want("/done")
	w.post("/leave").want("/")
	w.get("/done").want("/ended")
}

// The way of who lost the app: recovery code, mailed code, password, review, 24 hours.
func TestBackInWithoutTheApp(t *testing.T) {
	b := newBench(t)
	b.flow.set(lostFactor...)
	w := b.browser("en")
	w.enter().get("/code").want("/recovery-code", `name="recovery_code"`).post("/recovery-code", "recovery_code", "123456").want("/mail-code")
	w.post("/mail-code/send", "address", "1").want("/mail-code", "We sent it to z•••@m•••.com", `name="mail_code"`)
	if in := b.flow.got[1]; in.Kind != recovery.InputMailSend || in.Address != 1 {
		t.Errorf("asked for %+v", in)
	}
	w.post("/mail-code", "mail_code", "00123456").want("/password").post("/password").want("/review")
	w.get("/review/none").want("/review/none", "Mail address changed").post("/review", "all", "not_mine")
	w.want("/stopped", "1 day left", "Monday 23 November, 02:40 (Singapore time)", "Talk to a person")
	b.flow.view.Current, b.flow.view.CanFinish = "", true

	// a day later, from the mail again: the wait is over, and who only has the link gets no codes
	later := b.browser("en")
	later.enter().get("/code").want("/stopped", "The wait is over").post("/stopped").want("/done", "Nothing to do here any more").lacks("ABCD")
	later.get("/codes.txt").want("/done").lacks("ABCD")
	later.post("/codes").want("/done").lacks("ABCD")
	later.post("/enrol").want("/done").lacks("JBSW")
	w.get("/done").want("/done", "You are back in", `href="/enrol"`)
	w.get("/enrol").want("/enrol").lacks("JBSW").post("/enrol").want("/enrol", "JBSW Y3DP", "otpauth://totp/Harbour:wei.zhang?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", `class="qr"`)
	w.post("/enrol/confirm", "code", "999999").want("/enrol", "That code did not work", "JBSW Y3DP", `class="qr"`)
	w.post("/enrol/confirm", "code", "123456").want("/done", "Done just now")
	w.get("/enrol").lacks("JBSW")
}

// What one browser has proved opens nothing in another that only has the link.
func TestAProofIsOfOneBrowser(t *testing.T) {
	b := newBench(t)
	owner, thief := b.browser("en"), b.browser("en")
	thief.enter()
	owner.enter().post("/code", "code", "123456").want("/password")
	inputs := len(b.flow.got)
	for _, path := range []string{"/password", "/review", "/codes", "/codes/saved", "/enrol"} {
		thief.post(path, "all", "not_mine").want("/elsewhere")
	}
	for _, path := range []string{"/password", "/review", "/review/none", "/codes.txt", "/enrol", "/done"} {
		thief.get(path).want("/elsewhere").lacks("Mail address changed")
	}
	thief.post("/mail-code", "mail_code", "123456").want("/elsewhere")
	if len(b.flow.got) != inputs {
		t.Errorf("the recovery was given %+v", b.flow.got[inputs:])
	}
	thief.post("/give-up", "then", "again").want("/code")
	owner.get("/password").want("/code")
}

func TestTheSecretChangesWithTheProof(t *testing.T) {
	b := newBench(t)
	w := b.browser("en").enter()
	const name = "__Host-doorward-portal-session"
	before := *w.cookies[name]
	for _, c := range w.cookies {
		if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" {
			t.Errorf("cookie %v", c)
		}
	}
	w.post("/code", "code", "000000")
	if w.cookies[name].Value != before.Value {
		t.Error("a wrong code changes the session")
	}
	w.post("/code", "code", "123456").want("/password")
	if w.cookies[name].Value == before.Value {
		t.Error("the session kept its secret over the proof")
	}
	planted := b.browser("en")
	planted.cookies[name] = &before
	planted.get("/password").want("/ended")
}

func TestASessionEnds(t *testing.T) {
	b := newBench(t)
	w := b.browser("en").enter().get("/code").want("/code", "until 02:55 (Singapore time)")
	b.now = start.Add(Idle - time.Second)
	w.get("/code").want("/code")
	b.now = b.now.Add(Idle)
	w.get("/code").want("/ended", "Nothing is lost")
	w.enter().want("/why")
	for range 8 {
		b.now = b.now.Add(8 * time.Minute)
		w.get("/code")
	}
	w.want("/ended")
}

func TestLinksThatDoNotWorkLookAlike(t *testing.T) {
	b := newBench(t)
	pages := map[string]string{}
	for _, link := range []string{"old", "bad", strings.Repeat("x", 300)} {
		w := b.browser("en").get("/r/"+link).post("/r/"+link).want("/r/"+link+"/old", "This link no longer works")
		if len(w.cookies) > 0 {
			t.Errorf("%s: gives %v", link, w.cookies)
		}
		pages[strings.ReplaceAll(w.page, "/r/"+link, "LINK")] = link
		w.post("/r/"+link+"/again").want("/sent", "If there is an account")
	}
	if len(pages) != 1 {
		t.Errorf("pages differ: %v", pages)
	}
	b.run()
	if got := b.requests(); len(got) != 1 || got[0] != "r-1" {
		t.Errorf("new links were made for %v", got)
	}
}

// run does what waits for the background.
func (b *bench) run() {
	for len(b.portal.queue) > 0 {
		if err := (<-b.portal.queue)(context.Background()); err != nil {
			b.t.Error(err)
		}
	}
}

func (b *bench) requests() (all []string) {
	for len(b.asked) > 0 {
		all = append(all, <-b.asked)
	}
	return all
}

// A link's token is anybody's text: what breaks a header or leads to another host is a link that does not work, no failure of ours.
func TestHostileLinksAreLinksThatDoNotWork(t *testing.T) {
	b := newBench(t)
	for _, token := range []string{"x%0D%0ASet-Cookie:%20a=b", "%5Cevil.example", "%2F%2Fevil.example", "x%3Fy", "%09"} {
		for path, to := range map[string]string{"/r/": "/r/" + token + "/old", "/n/": "/n/" + token} {
			r := b.browser("en").do("POST", path+token, url.Values{})
			if at := r.Header().Get("Location"); r.Code != 303 || at != to {
				t.Errorf("%s%s: %d, to %q", path, token, r.Code, at)
			}
		}
	}
}

func TestEveryAccountGetsTheSameAnswer(t *testing.T) {
	b := newBench(t)
	b.portal.c.Ask = func(context.Context, auth.AccountID) error {
		t.Error("the request does the work itself")
		return nil
	}
	b.portal.asks = web.NewLimiter(time.Minute, 100, 10, func() time.Time { return b.now })
	var first string
	for _, account := range []string{"wei.zhang", "nobody", "", "two words", "\u202ex", strings.Repeat("x", 5000)} {
		w := b.browser("en").post("/", "account", account).want("/sent")
		rec := b.browser("en").do("POST", "/", url.Values{"account": {account}})
		got := rec.Body.String() + rec.Header().Get("Location") + w.page
		if first == "" {
			first = got
		}
		if got != first || rec.Code != http.StatusSeeOther || len(rec.Result().Cookies()) > 0 {
			t.Errorf("%.20q gets another answer: %d %v", account, rec.Code, rec.Header())
		}
	}
	b.portal.c.Ask = func(_ context.Context, a auth.AccountID) error { b.asked <- string(a); return nil }
	b.run()
	if got := strings.Join(b.requests(), " "); got != "wei.zhang wei.zhang nobody nobody" {
		t.Errorf("links are mailed for %q", got)
	}
}

func TestAskingIsBounded(t *testing.T) {
	b := newBench(t)
	codes := map[int]int{}
	for range 50 {
		codes[b.browser("en").do("POST", "/", url.Values{"account": {"x"}}).Code]++
	}
	if codes[303] != 30 || codes[429] != 20 {
		t.Errorf("answers %v, want thirty links and then none", codes)
	}
	b.address = "198.51.100.9:1"
	if got := b.browser("en").do("POST", "/", url.Values{"account": {"x"}}).Code; got != 303 {
		t.Errorf("another address: %d", got)
	}
	b.portal.tries = web.NewLimiter(time.Minute, 3, 10, func() time.Time { return b.now })
	for i := range 5 {
		if got := b.browser("en").do("POST", "/r/bad", nil).Code; (got == 429) != (i >= 3) {
			t.Errorf("post %d: %d", i, got)
		}
	}
}

// A program that opens every link of a mail and every page behind it changes nothing.
func TestAGetChangesNothing(t *testing.T) {
	b := newBench(t)
	w := b.browser("en").enter().post("/code", "code", "123456")
	inputs, cookies := len(b.flow.got), len(w.cookies)
	tok := token(b.keys, "f-9")
	for _, path := range []string{"/", "/sent", "/r/good", "/r/good/old", "/r/good/again", "/n/" + tok, "/n/" + tok + "/yes", "/n/" + tok + "/no", "/why", "/code", "/code?code=123456",
		"/recovery-code", "/mail-code", "/mail-code/send?address=0", "/password", "/review", "/review?all=not_mine", "/review/none", "/stopped", "/give-up",
		"/given-up", "/leave", "/done", "/codes", "/codes/saved", "/enrol", "/enrol/confirm", "/wait", "/language?lang=de&back=/"} {
		for _, method := range []string{"GET", "HEAD"} {
			w.do(method, path, nil)
		}
	}
	b.run()
	if len(b.flow.got) != inputs || len(b.answers) > 0 || len(b.requests()) > 0 || len(w.cookies) != cookies {
		t.Errorf("GETs had effects: %v %v", b.flow.got[inputs:], b.answers)
	}
	w.get("/password").want("/password")
}

func TestWasThisYou(t *testing.T) {
	b := newBench(t)
	link := "/n/" + token(b.keys, "f-9")
	w := b.browser("en").get(link).want(link, "Was this you?", "Payment started", "S$2,900.00", "Today, Sunday 22 November, at 02:13 (Singapore time)").lacks("wei", `class="btn main"`)
	w.post(link, "answer", "no").want(link+"/no", "We are locking the account")
	w.post(link, "answer", "yes").want(link+"/yes", "Thank you")
	if got := strings.Join(b.answers, ", "); got != "no f-9, yes f-9" {
		t.Errorf("answers %q", got)
	}
	if got := w.do("POST", link, url.Values{"answer": {"maybe"}}).Code; got != 400 {
		t.Errorf("a third answer: %d", got)
	}
	gone := map[string]bool{}
	for _, bad := range []string{"/n/x", "/n/" + token(b.keys, "f-8"), link[:len(link)-1], "/n/" + notice.LinkToken(b.keys, "f-9", start.Add(-notice.LinkLife))} {
		w.get(bad)
		if w.status != 404 {
			t.Errorf("%s: %d", bad, w.status)
		}
		gone[strings.ReplaceAll(w.page, bad, "LINK")] = true
		w.post(bad, "answer", "no")
	}
	if len(gone) != 1 || len(b.answers) != 2 {
		t.Errorf("%d kinds of page, answers %v", len(gone), b.answers)
	}
}

func TestLanguagesLoseNothing(t *testing.T) {
	b := newBench(t)
	w := b.browser("en").enter().post("/code", "code", "000000").want("/code", "That code did not work")
	for lang, text := range map[string]string{"de": "Der Code hat nicht gepasst", "zh-Hans": "验证码不对", "es": "Ese código no ha funcionado", "fr": "Ce code n’a pas fonctionné"} {
		w.post("/language", "lang", lang, "back", "/code").want("/code", text, `<html lang="`+lang+`"`)
	}
	w.post("/code", "code", "123456").want("/password", `<html lang="`)
}

func TestHostileEventsStayText(t *testing.T) {
	b := newBench(t)
	const evil = `"><script>alert(1)</script>` + "\u202e"
	b.event = Event{Type: evil, At: start, City: evil, Country: evil, UserAgent: evil, Amount: 1, Currency: evil}
	b.flow.view.Account.Account = auth.AccountID(`<b>x</b>`)
	b.flow.view.Account.ReasonUser = map[string]string{"en": evil}
	w := b.browser("en").enter().want("/why").lacks("<script", "alert(1)</s")
	b.flow.view.Account.ReasonUser = nil // a rule's own text, its author's to mind
	for _, at := range []string{"/why", "/n/" + token(b.keys, "f-9")} {
		w.get(at).lacks("\u202e") // or the rest of the line would read backwards
	}
	w.get("/code").lacks("<b>x")
	w.post("/code", "code", "123456").post("/password").want("/review").lacks("<script")
	w.get("/n/" + token(b.keys, "f-9")).lacks("<script")
}

func TestForeignFieldsAreRefused(t *testing.T) {
	b := newBench(t)
	w := b.browser("en").enter()
	inputs := len(b.flow.got)
	for _, form := range []url.Values{{"code": {"123456"}, "proved": {"true"}}, {"code": {"123456", "654321"}}, {"Code": {"123456"}}} {
		if got := w.do("POST", "/code", form).Code; got != 400 {
			t.Errorf("%v: %d", form, got)
		}
	}
	if len(b.flow.got) != inputs {
		t.Errorf("the recovery was given %v", b.flow.got[inputs:])
	}
	// a change that came in while the owner was reading is no error, but asked about
	w.post("/code", "code", "123456").post("/password").post("/review", "email..1", "mine").want("/review", "One answer is missing")
}

func TestConfigIsChecked(t *testing.T) {
	good := newBench(t).portal.c
	for name, change := range map[string]func(*Config){
		"script link": func(c *Config) {
			c.Contacts = []Contact{{Kind: "chat", Text: map[string]string{"en": "x"}, Link: "javascript:alert(1)"}}
		},
		"no text": func(c *Config) { c.Contacts = []Contact{{Kind: "chat", Link: "https://a.example"}} },
		"kind": func(c *Config) {
			c.Contacts = []Contact{{Kind: "fax", Text: map[string]string{"en": "x"}, Link: "tel:1"}}
		},
		"app":     func(c *Config) { c.AppURL = "http://a.example" },
		"no flow": func(c *Config) { c.Flow = nil }, "no enrolment": func(c *Config) { c.Enrol = nil }, "public URL": func(c *Config) { c.PublicURL = "http://a.example" },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestRunStops(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { b.portal.Run(ctx); close(ended) }()
	b.browser("en").post("/", "account", "wei.zhang")
	if got := <-b.asked; got != "wei.zhang" {
		t.Errorf("a link for %q", got)
	}
	cancel()
	<-ended
}
