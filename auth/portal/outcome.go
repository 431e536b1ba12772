package portal

import (
	"errors"
	"fmt"
	"html/template"
	"strings"

	"doorward/auth/recovery"
	"doorward/auth/totp"
	"doorward/auth/web"
)

// stopped is the page of a wait and of what only a person can do: it says until when, and whom to talk to.
func (p *Portal) stopped(v *visit) error { return p.show(v, "stopped", p.body(v, "/stopped")) }

// finish lets in who has waited. It asks for no code again: everything was proved before the wait began, and the wait was told to every
// address. New recovery codes are only for a browser that has proved something itself.
func (p *Portal) finish(v *visit) error {
	if _, err := web.ReadForm(v.w, v.r); err != nil {
		return err
	}
	return p.submit(v, "/stopped", recovery.Input{Kind: recovery.InputFinish})
}

// wait is for the seconds in which the account's shard has not answered yet. The page loads itself again.
func (p *Portal) wait(v *visit) error {
	if want := place(v); want != "/wait" {
		return p.send(v, want)
	}
	v.w.Header().Set("Refresh", "3")
	return p.show(v, "wait", p.body(v, "/wait"))
}

func (p *Portal) elsewhere(v *visit) error {
	if want := place(v); want != "/elsewhere" {
		return p.send(v, want)
	}
	return p.show(v, "elsewhere", p.body(v, "/elsewhere"))
}

func (p *Portal) giveUpPage(v *visit) error {
	if !v.view.CanGiveUp {
		return p.send(v, place(v))
	}
	return p.show(v, "give_up", p.body(v, "/give-up"))
}

// giveUp ends a way back: for who began it by mistake, and for an owner who sees that somebody else is on it. Again means: begin anew here.
func (p *Portal) giveUp(v *visit) error {
	f, err := web.ReadForm(v.w, v.r, "then")
	if err != nil {
		return err
	}
	view, _, err := p.c.Flow.Submit(v.ctx(), v.s.Subject, recovery.Input{Kind: recovery.InputGiveUp})
	if err != nil {
		return err
	}
	if f["then"] == "again" {
		v.view, v.m = view, memory{}
		if err := p.remember(v); err != nil {
			return err
		}
		return p.send(v, place(v))
	}
	if err := p.sessions.End(v.w, v.r); err != nil {
		return err
	}
	return p.send(v, "/given-up")
}

// done is the page of who is in. A browser that proved nothing, or whose link is of an older way back, learns only that this one is over.
func (p *Portal) done(v *visit) error {
	if !v.view.Other && v.view.Status != recovery.Finished {
		return p.send(v, place(v))
	}
	b := p.body(v, "/done")
	if v.view.Other || !v.proved() {
		return p.show(v, "over", b)
	}
	b.Door = 5
	if _, err := p.unseal(v, sealCodes, v.m.Codes, &b.Codes); err != nil {
		return err
	}
	return p.show(v, "done", b)
}

// in reports whether the session's owner is in: only then are codes and apps made anew.
func (v *visit) in() bool { return v.proved() && !v.view.Other && v.view.Status == recovery.Finished }

func (p *Portal) newCodes(v *visit) error {
	if _, err := web.ReadForm(v.w, v.r); err != nil {
		return err
	}
	if !v.in() {
		return p.send(v, place(v))
	}
	codes, err := p.c.OfferCodes(v.ctx(), v.account())
	if err != nil {
		return fmt.Errorf("new recovery codes: %w", err)
	}
	if v.m.Codes, err = p.seal(v, sealCodes, codes); err != nil {
		return err
	}
	v.m.Saved = false
	if err := p.remember(v); err != nil {
		return err
	}
	return p.send(v, "/done")
}

// codesSaved makes the codes that were shown the ones that count, and shows them no more.
func (p *Portal) codesSaved(v *visit) error {
	if _, err := web.ReadForm(v.w, v.r); err != nil {
		return err
	}
	if !v.in() || len(v.m.Codes) == 0 {
		return p.send(v, place(v))
	}
	_, res, err := p.c.Flow.Submit(v.ctx(), v.s.Subject, recovery.Input{Kind: recovery.InputCodesSaved})
	if err != nil {
		return err
	}
	if res.Refused == "" {
		v.m.Codes, v.m.Saved = nil, true
		if err := p.remember(v); err != nil {
			return err
		}
	}
	return p.send(v, "/done")
}

// codesText is the codes as a file to keep or print.
func (p *Portal) codesText(v *visit) error {
	var codes []string
	ok, err := p.unseal(v, sealCodes, v.m.Codes, &codes)
	if err != nil {
		return err
	}
	if !ok || !v.in() {
		return p.send(v, place(v))
	}
	say := p.site.Say(p.site.Lang(v.r))
	text := say.T("portal.codes.file", "name", p.name(), "day", say.Day(p.c.Now().In(p.c.Zone))) + "\n\n" + strings.Join(codes, "\n") + "\n"
	h := v.w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="recovery-codes.txt"`)
	if _, err := v.w.Write([]byte(text)); err != nil {
		p.c.Log.DebugContext(v.ctx(), "codes not sent whole", "error", err) // the browser has left; it can ask again
	}
	return nil
}

func (p *Portal) name() string {
	if p.c.Name == "" {
		return "Doorward"
	}
	return p.c.Name
}

// enrolment is a new app's secret as it is shown.
type enrolment struct {
	URI string        `json:"uri"`
	Key string        `json:"key"`
	QR  template.HTML `json:"-"`
	App template.URL  `json:"-"` // URI as a link: html/template knows no otpauth
}

func (p *Portal) enrolPage(v *visit) error {
	if !v.in() {
		return p.send(v, place(v))
	}
	b := p.body(v, "/enrol")
	b.Door = 5
	var e enrolment
	ok, err := p.unseal(v, sealApp, v.m.App, &e)
	if err != nil {
		return err
	}
	if ok {
		if !strings.HasPrefix(e.URI, "otpauth://totp/") {
			return errors.New("an enrolment that is no otpauth link")
		}
		drawn, err := totp.Picture(e.URI)
		if err != nil {
			return err
		}
		e.QR = template.HTML(drawn)
		e.App = template.URL(e.URI)
		b.Enrol = &e
	}
	return p.show(v, "enrol", b)
}

func (p *Portal) enrol(v *visit) error {
	if _, err := web.ReadForm(v.w, v.r); err != nil {
		return err
	}
	if !v.in() {
		return p.send(v, place(v))
	}
	e, err := p.c.Enrol(v.ctx(), v.account())
	if err != nil {
		return fmt.Errorf("set up an app: %w", err)
	}
	if v.m.App, err = p.seal(v, sealApp, enrolment{URI: e.URI, Key: e.Key}); err != nil {
		return err
	}
	v.m.Problem = nil
	if err := p.remember(v); err != nil {
		return err
	}
	return p.send(v, "/enrol")
}

func (p *Portal) enrolConfirm(v *visit) error {
	f, err := web.ReadForm(v.w, v.r, "code")
	if err != nil {
		return err
	}
	if !v.in() || len(v.m.App) == 0 {
		return p.send(v, place(v))
	}
	if strings.TrimSpace(f["code"]) == "" {
		return p.tell(v, problem{Page: "/enrol", Why: "empty"})
	}
	res, err := p.c.Confirm(v.ctx(), v.account(), f["code"])
	if err != nil {
		return fmt.Errorf("confirm an app: %w", err)
	}
	if res.Reason != totp.Accepted {
		pr := problemOf("/enrol", recovery.Result{Refused: recovery.RefusedWrong, Code: res.Reason, WaitUntil: res.WaitUntil, TriesLeft: res.TriesLeft})
		return p.tell(v, *pr)
	}
	v.m.App, v.m.NewApp, v.m.Problem = nil, true, nil
	if err := p.remember(v); err != nil {
		return err
	}
	return p.send(v, "/done")
}
