package notice

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"doorward/auth"
	"doorward/auth/web"
)

var at = time.Date(2026, 11, 21, 18, 13, 0, 0, time.UTC)

func keys(t *testing.T) *auth.Keys {
	t.Helper()
	k, err := auth.NewKeys([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func writer(t *testing.T, p *auth.Profile) *Writer {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Singapore")
	if err != nil {
		t.Fatal(err)
	}
	w, err := New(Config{Keys: keys(t), Name: "Harbour", PublicURL: "https://account.example/", Zone: zone,
		Profiles:      func(context.Context, auth.AccountID) (*auth.Profile, error) { return p, nil },
		RecoveryToken: func(id string) (string, error) { return "token-of-" + id, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func due(kind Kind) Due {
	return Due{ID: "n-1", Account: "acct-42", Kind: kind, State: auth.Locked, Finding: "f-9", Recovery: "r-7", At: at, Until: at.Add(72 * time.Hour),
		EventType: "transaction.requested", UserAgent: "Mozilla/5.0 (Windows NT 10.0) Chrome/130.0 Safari/537.36", City: "Rotterdam", Country: "NL",
		Amount: 290000, Currency: "SGD"}
}

var kinds = []Kind{Locked, Limited, Challenged, WasThisYou, BackIn, Opened, CodeUsed, NewCodes, Hold}

func TestEveryKindInEveryLanguage(t *testing.T) {
	seen := map[string]bool{}
	for _, lang := range web.Languages() {
		w := writer(t, &auth.Profile{Language: lang, Emails: []auth.Contact{{Address: "old@a.example"}, {Address: "new@a.example"}, {Address: "old@a.example"}}})
		for _, kind := range kinds {
			n, to, err := w.Write(context.Background(), due(kind))
			if err != nil {
				t.Fatalf("%s %s: %v", lang, kind, err)
			}
			if strings.Join(to, " ") != "old@a.example new@a.example" {
				t.Errorf("%s %s goes to %v", lang, kind, to)
			}
			if n.Language != lang || n.ID != "n-1" || n.Account != "acct-42" || n.Finding != "f-9" || !n.At.Equal(at) {
				t.Errorf("%s %s: %+v", lang, kind, n)
			}
			if seen[n.Subject] || !strings.HasSuffix(n.Subject, " – Harbour") {
				t.Errorf("%s %s: subject %q", lang, kind, n.Subject)
			}
			seen[n.Subject] = true
			checkWords(t, lang, n)
			checkLink(t, kind, n)
			checkHTML(t, w, n)
			again, _, err := w.Write(context.Background(), due(kind))
			if err != nil || again != n || w.HTML(again) != w.HTML(n) {
				t.Errorf("%s %s: written twice it differs", lang, kind)
			}
		}
	}
}

// checkWords: facts an owner may recognise are there; jargon, placeholders and the account's id are not.
func checkWords(t *testing.T, lang string, n Notice) {
	t.Helper()
	for _, want := range map[string][]string{
		"en":      {"Sunday 22 November, 02:13 (Singapore time)", "S$2,900.00", "near Rotterdam, Netherlands", "A Windows computer with Chrome", "Payment started"},
		"zh-Hans": {"11 月 22 日（星期日）02:13（新加坡时间）", "2,900.00\u00a0新元", "荷兰 Rotterdam 附近", "一台 Windows 电脑", "发起付款"},
		"es":      {"domingo 22 de noviembre a las 02:13 (hora de Singapur)", "2900,00\u00a0S$", "Rotterdam, Países Bajos", "Pago iniciado"},
		"fr":      {"dimanche 22 novembre à 02:13 (heure de Singapour)", "2\u202f900,00\u00a0S$", "près de Rotterdam, Pays-Bas", "Paiement lancé"},
		"de":      {"Sonntag, 22. November, 02:13 Uhr (Zeit in Singapur)", "2.900,00\u00a0S$", "in der Nähe von Rotterdam, Niederlande", "Zahlung begonnen"},
	}[lang] {
		if !strings.Contains(n.Text, want) {
			t.Errorf("%s %s lacks %q:\n%s", lang, n.Kind, want, n.Text)
		}
	}
	for _, bad := range []string{"TOTP", "OTP", "MFA", "token", "session", "risk", "fraud", "acct-42", "{{", "<no value>", "!"} {
		if text := strings.ReplaceAll(n.Text+n.Subject, n.Link, ""); strings.Contains(text, bad) {
			t.Errorf("%s %s says %q:\n%s", lang, n.Kind, bad, text)
		}
	}
}

func checkLink(t *testing.T, kind Kind, n Notice) {
	t.Helper()
	switch kind {
	case Locked, Limited, Hold:
		if n.Link != "https://account.example/r/token-of-r-7" {
			t.Errorf("%s: link %q", kind, n.Link)
		}
	case WasThisYou, Challenged: // of money that moved; of failed tries see TestFailedTriesAskNothing
		token, ok := strings.CutPrefix(n.Link, "https://account.example/n/")
		if !ok || OpenLink(keys(t), token, at.Add(time.Hour)) != "f-9" {
			t.Errorf("%s: link %q", kind, n.Link)
		}
	default:
		if n.Link != "" || strings.Contains(n.Text, "https://") {
			t.Errorf("%s has a link: %q", kind, n.Link)
		}
	}
	if n.Link != "" && strings.Count(n.Text, "\n"+n.Link+"\n") != 1 {
		t.Errorf("%s: the link does not stand on a line of its own:\n%s", kind, n.Text)
	}
}

func checkHTML(t *testing.T, w *Writer, n Notice) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(w.HTML(n)))
	if err != nil {
		t.Fatal(err)
	}
	h1, links := 0, 0
	for node := range doc.Descendants() {
		switch node.Data {
		case "h1":
			h1++
		case "a":
			links++
			for _, a := range node.Attr {
				if a.Key == "href" && a.Val != n.Link {
					t.Errorf("%s: HTML links to %q", n.Kind, a.Val)
				}
			}
		case "script", "img", "form", "link", "iframe":
			t.Errorf("%s: HTML has <%s>", n.Kind, node.Data)
		}
	}
	if want := min(len(n.Link), 1); h1 != 1 || links != want {
		t.Errorf("%s: %d headings, %d links, want 1 and %d", n.Kind, h1, links, want)
	}
}

func TestMailedCode(t *testing.T) {
	for _, lang := range web.Languages() {
		w := writer(t, &auth.Profile{Language: lang, Emails: []auth.Contact{{Address: "a@b.example"}}})
		n, err := w.Code(context.Background(), "acct-42", "01234567", at)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(n.Text, "\n\n01234567\n\n") || strings.Contains(n.Subject+n.ID, "01234567") || n.Language != lang || n.Link != "" || !strings.Contains(w.HTML(n), "<p>01234567</p>") {
			t.Errorf("%s: %+v", lang, n)
		}
		if other, err := w.Code(context.Background(), "acct-42", "76543210", at); err != nil || other.ID == n.ID {
			t.Errorf("two codes are one notice (%v)", err)
		}
		d := due(MailCode)
		if _, _, err := w.Write(context.Background(), d); err == nil {
			t.Error("a mailed code can be due, and so published")
		}
	}
}

func TestTheRulesReasonIsSaidFirst(t *testing.T) {
	w := writer(t, &auth.Profile{Language: "de-AT"})
	d := due(Locked)
	d.Reason = auth.Reason{Code: "new_device", User: map[string]string{"de": "Jemand hat sich\r\nBcc: x@y.example\u202e angemeldet."}}
	n, to, err := w.Write(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	if n.Language != "de" || !strings.HasPrefix(n.Text, "Jemand hat sich Bcc: x@y.example angemeldet.\n\n") || to != nil {
		t.Errorf("%q to %v in %s", n.Text, to, n.Language)
	}
}

func TestHostileFactsStayText(t *testing.T) {
	w := writer(t, &auth.Profile{})
	d := due(WasThisYou)
	d.City, d.UserAgent, d.Currency = "<script>alert(1)</script>\n\nhttps://evil.example", "<img src=x>", "<b>"
	n, _, err := w.Write(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(n.Text, "\nhttps://evil") || strings.Contains(n.Text, "<img") || strings.Contains(n.Text, "<b>") {
		t.Errorf("text: %s", n.Text)
	}
	if h := w.HTML(n); strings.Contains(h, "<script>") || strings.Contains(h, `href="https://evil`) {
		t.Errorf("HTML: %s", h)
	}
}

func TestWriteRefuses(t *testing.T) {
	w := writer(t, &auth.Profile{})
	for name, change := range map[string]func(*Due){
		"no recovery": func(d *Due) { d.Kind, d.Recovery = Locked, "" }, "no finding": func(d *Due) { d.Kind, d.Finding = WasThisYou, "" },
		"unknown kind": func(d *Due) { d.Kind = "siren" },
	} {
		d := due(Locked)
		change(&d)
		if n, _, err := w.Write(context.Background(), d); err == nil {
			t.Errorf("%s: %+v", name, n)
		}
	}
	w.c.Profiles = func(context.Context, auth.AccountID) (*auth.Profile, error) { return nil, errors.New("disk") }
	if _, _, err := w.Write(context.Background(), due(Locked)); err == nil {
		t.Error("a profile that can't be read is passed over")
	}
}

func TestLinkTokens(t *testing.T) {
	k := keys(t)
	token := LinkToken(k, "f-9", at)
	if token != LinkToken(k, "f-9", at) {
		t.Error("the same link twice differs")
	}
	for age, want := range map[time.Duration]string{0: "f-9", LinkLife - time.Second: "f-9", LinkLife: "", LinkLife + time.Second: ""} {
		if got := OpenLink(k, token, at.Add(age)); got != want {
			t.Errorf("after %v: %q, want %q", age, got, want)
		}
	}
	other, err := auth.NewKeys([]byte("another key, another installatio"))
	if err != nil {
		t.Fatal(err)
	}
	if OpenLink(other, token, at) != "" {
		t.Error("another installation's link works")
	}
	for i := range token {
		for _, c := range "Aq-" {
			bad := token[:i] + string(c) + token[i+1:]
			if bad != token && OpenLink(k, bad, at) != "" {
				t.Errorf("changed at %d it still works", i)
			}
		}
		if OpenLink(k, token[:i], at) != "" {
			t.Errorf("cut at %d it still works", i)
		}
	}
	if OpenLink(k, token+"A", at) != "" || OpenLink(k, strings.Repeat("A", 2000), at) != "" {
		t.Error("a longer one works")
	}
}

func FuzzOpenLink(f *testing.F) {
	k, err := auth.NewKeys([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(LinkToken(k, "f-9", at))
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, token string) {
		if got := OpenLink(k, token, at); got != "" && LinkToken(k, got, at) != token {
			t.Errorf("%q opens as %q", token, got)
		}
	})
}

// TestFailedTriesAskNothing: everybody has failed tries, and a "no" locks: the notice of a challenge by them has no link.
func TestFailedTriesAskNothing(t *testing.T) {
	w := writer(t, &auth.Profile{Language: "en"})
	d := due(Challenged)
	d.EventType = "login.failed"
	n, _, err := w.Write(context.Background(), d)
	if err != nil || n.Link != "" || strings.Contains(n.Text, "https://") {
		t.Errorf("link %q, %v:\n%s", n.Link, err, n.Text)
	}
}
