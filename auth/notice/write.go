package notice

import (
	"context"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"strings"
	"time"

	"doorward/auth"
	"doorward/auth/web"
)

//go:embed text/*.yaml
var ownTexts embed.FS

func texts() (fs.FS, error) { return fs.Sub(ownTexts, "text") }

// Config is what a Writer is made of.
type Config struct {
	Keys      *auth.Keys
	Name      string         // the platform's name, as its owners know it; default "Doorward"
	PublicURL string         // of the portal: the only source of links
	Language  string         // for profiles that name none of ours; default "en"
	Zone      *time.Location // in which times are told; default UTC
	Profiles  func(context.Context, auth.AccountID) (*auth.Profile, error)
	// RecoveryToken gives the token of a recovery's link; the same recovery gives the same token.
	RecoveryToken func(recovery string) (string, error)
}

// Writer makes notices.
type Writer struct {
	c     Config
	texts *web.Catalogue
	site  string // public URL without a slash at its end
}

// New makes a Writer.
func New(c Config) (*Writer, error) {
	if c.Keys == nil || c.Profiles == nil || c.RecoveryToken == nil {
		return nil, errors.New("notices need keys, profiles and recovery links")
	}
	u, err := web.ParsePublicURL(c.PublicURL)
	if err != nil {
		return nil, err
	}
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	if c.Name == "" {
		c.Name = "Doorward"
	}
	if c.Language == "" {
		c.Language = "en"
	}
	if !web.Known(c.Language) || !plainLine(c.Name) {
		return nil, fmt.Errorf("notices: language %q or name %q can't be used", c.Language, c.Name)
	}
	own, err := texts()
	if err != nil {
		return nil, fmt.Errorf("texts of notices: %w", err)
	}
	t, err := web.LoadCatalogue(own)
	if err != nil {
		return nil, err
	}
	return &Writer{c: c, texts: t, site: u.Scheme + "://" + u.Host}, nil
}

// Write makes the notice that is due, in the owner's language, and gives every address it goes to. The addresses are none when the platform
// never told one: the notice still goes to doorward.notices.v1.
func (w *Writer) Write(ctx context.Context, d Due) (Notice, []string, error) {
	p, err := w.c.Profiles(ctx, d.Account)
	if err != nil {
		return Notice{}, nil, fmt.Errorf("notice %s: %w", d.ID, err)
	}
	lang := web.Match(p.Language)
	if lang == "" {
		lang = w.c.Language
	}
	say := w.texts.Say(lang)
	if d.Kind == MailCode || !say.Has("notice."+string(d.Kind)+".subject") {
		return Notice{}, nil, fmt.Errorf("notice %s: kind %q is unknown", d.ID, d.Kind)
	}
	link, err := w.link(d)
	if err != nil {
		return Notice{}, nil, fmt.Errorf("notice %s: %w", d.ID, err)
	}
	n := Notice{ID: d.ID, Account: d.Account, Kind: d.Kind, Language: lang, Link: link, Finding: d.Finding, At: d.At,
		Subject: say.T("notice."+string(d.Kind)+".subject", "name", w.c.Name)}
	n.Text = strings.Join(w.paragraphs(say, d, link), "\n\n") + "\n"
	return n, p.Reachable(d.At), nil
}

// Code makes the mail that carries a recovery's mailed code, in the owner's language. It is for the one address that was asked for and for
// nothing else: it goes into no topic, as it holds a secret. Each call is a notice of its own.
func (w *Writer) Code(ctx context.Context, account auth.AccountID, code string, at time.Time) (Notice, error) {
	p, err := w.c.Profiles(ctx, account)
	if err != nil {
		return Notice{}, fmt.Errorf("mail a code: %w", err)
	}
	lang := web.Match(p.Language)
	if lang == "" {
		lang = w.c.Language
	}
	say := w.texts.Say(lang)
	mac := w.c.Keys.MAC("mailed code notice", []byte(account), []byte(code), []byte(at.Format(time.RFC3339Nano)))
	n := Notice{ID: hex.EncodeToString(mac[:16]), Account: account, Kind: MailCode, Language: lang, At: at, Subject: say.T("notice.mail_code.subject", "name", w.c.Name)}
	n.Text = strings.Join([]string{say.T("notice.mail_code.lead"), code, say.T("notice.mail_code.means"), say.T("notice.never"),
		say.T("notice.sign", "name", w.c.Name)}, "\n\n") + "\n"
	return n, nil
}

func (w *Writer) link(d Due) (string, error) {
	switch d.Kind {
	case Locked, Limited, Hold:
		if d.Recovery == "" {
			return "", errors.New("no recovery to link to")
		}
		token, err := w.c.RecoveryToken(d.Recovery)
		if err != nil {
			return "", fmt.Errorf("recovery link: %w", err)
		}
		return w.site + "/r/" + token, nil
	case WasThisYou, Challenged:
		if !asks(d) {
			return "", nil
		}
		if d.Finding == "" {
			return "", errors.New("no finding to ask about")
		}
		return w.site + "/n/" + LinkToken(w.c.Keys, d.Finding, d.At), nil
	}
	return "", nil
}

// asks reports whether a notice asks its owner yes or no: always when that is what it is for, and of a challenge when somebody got in or moved
// money. Of tries that failed it does not: everybody has failed tries, and a "no" locks.
func asks(d Due) bool {
	done := d.EventType == "login.succeeded" || strings.HasPrefix(d.EventType, "transaction.")
	return d.Kind == WasThisYou || d.Kind == Challenged && d.Finding != "" && done
}

// paragraphs are the text, in the order of worry: what is so, what it means, what to do, what happened, what we never ask.
func (w *Writer) paragraphs(say *web.Say, d Due, link string) []string {
	kind := "notice." + string(d.Kind)
	lead := line(d.Reason.User[say.Lang])
	if lead == "" || d.Kind != Locked && d.Kind != Limited && d.Kind != Challenged && d.Kind != WasThisYou {
		lead = say.T(kind + ".lead")
	}
	ps := []string{lead, say.T(kind + ".means")}
	if !d.Until.IsZero() && d.Kind != Opened {
		key := "notice.until"
		if d.Kind == BackIn {
			key = "notice.until.back_in"
		}
		ps = append(ps, say.T(key, "until", say.Moment(d.Until.In(w.c.Zone))))
	}
	switch d.Kind {
	case Locked, Limited:
		ps = append(ps, say.T("notice.recover")+"\n"+link, say.T("notice.expires.recover", "site", w.site))
	case Hold:
		ps = append(ps, say.T("notice.stop")+"\n"+link, say.T("notice.expires.recover", "site", w.site))
	case Challenged:
		if asks(d) {
			ps = append(ps, say.T("notice.ask")+"\n"+link, say.T("notice.expires.answer"))
		}
	case WasThisYou:
		ps = append(ps, say.T("notice.answer")+"\n"+link, say.T("notice.expires.answer"))
	}
	return append(ps, w.happened(say, d), say.T("notice.never"), say.T("notice.sign", "name", w.c.Name))
}

// happened are the facts an owner may recognise; nothing of it is the stranger's own text but the city's name.
func (w *Writer) happened(say *web.Say, d Due) string {
	lines := []string{say.T("notice.when", "at", say.Moment(d.At.In(w.c.Zone)))}
	if d.EventType != "" {
		lines = append(lines, say.T("notice.what", "event", say.Event(d.EventType)))
	}
	if d.Amount > 0 && d.Currency != "" {
		lines = append(lines, say.T("notice.amount", "amount", say.Money(d.Amount, d.Currency)))
	}
	if place := say.Place(line(d.City), d.Country); place != "" {
		key := "notice.where"
		if d.City == "" {
			key = "notice.country"
		}
		lines = append(lines, say.T(key, "place", place))
	}
	if d.UserAgent != "" {
		lines = append(lines, say.T("notice.device", "device", say.Device(d.UserAgent)))
	}
	return strings.Join(lines, "\n")
}

// line makes one line of outside text: no breaks, no control, no direction marks that would turn the rest around (S-16), at most 300 bytes.
func line(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f,
			r == 0x2028, r == 0x2029, r == 0xfffd:
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	for i := range s {
		if i > 300 {
			return s[:i]
		}
	}
	return s
}

// HTML is the same text for mail programs that show HTML: the paragraphs, the link as a button too. It is a function of the notice, so
// that it needs no place in it.
func (w *Writer) HTML(n Notice) string {
	say := w.texts.Say(n.Language)
	var b strings.Builder
	fmt.Fprintf(&b, "<!doctype html>\n<html lang=\"%s\">\n<head><meta charset=\"utf-8\"><title>%s</title></head>\n", html.EscapeString(say.Lang),
		html.EscapeString(n.Subject))
	b.WriteString("<body style=\"margin:0;padding:24px 16px;background:#f5f7f7;color:#0f191c;font:16px/1.5 system-ui,sans-serif\">\n" +
		"<div style=\"max-width:36rem;margin:0 auto;padding:24px;background:#ffffff;border:1px solid #d7dfe0;border-radius:8px\">\n")
	subject, _, _ := strings.Cut(n.Subject, " – ")
	fmt.Fprintf(&b, "<h1 style=\"margin:0 0 16px;font-size:22px;line-height:1.25\">%s</h1>\n", html.EscapeString(subject))
	for p := range strings.SplitSeq(strings.TrimSpace(n.Text), "\n\n") {
		before, isLink := strings.CutSuffix(p, "\n"+n.Link)
		if n.Link == "" || !isLink {
			fmt.Fprintf(&b, "<p>%s</p>\n", strings.ReplaceAll(html.EscapeString(p), "\n", "<br>\n"))
			continue
		}
		button := say.T("notice.recover.button")
		switch n.Kind {
		case WasThisYou, Challenged:
			button = say.T("notice.answer.button")
		case Hold:
			button = say.T("notice.stop.button")
		}
		link := html.EscapeString(n.Link)
		fmt.Fprintf(&b, "<p>%s</p>\n<p><a href=\"%s\" style=\"display:inline-block;padding:14px 24px;background:#0a5b67;color:#ffffff;"+
			"border-radius:8px;font-weight:600;text-decoration:none\">%s</a></p>\n<p style=\"color:#48565c;font-size:14px;word-break:break-all\">%s</p>\n",
			html.EscapeString(before), link, html.EscapeString(button), link)
	}
	b.WriteString("</div>\n</body>\n</html>\n")
	return b.String()
}
