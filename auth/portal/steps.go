package portal

import (
	"errors"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"

	"doorward/auth"
	"doorward/auth/recovery"
	"doorward/auth/totp"
	"doorward/auth/web"
)

// chrome is what stands around every page: the help block, and until when the page works.
type chrome struct {
	Contacts  []contact
	Reference string
	Ends      time.Time
}

// contact is a Contact whose link New has checked: html/template knows tel: no more than otpauth:.
type contact struct {
	Contact
	URL template.URL
}

func checked(cs []Contact) []contact {
	var out []contact
	for _, c := range cs {
		out = append(out, contact{c, template.URL(c.Link)})
	}
	return out
}

// body is what the pages of a recovery have in common.
type body struct {
	View    recovery.View
	State   auth.State // as the owner is told it: while recovering, what it is meanwhile
	Since   time.Time
	Step    int // 1-based number of the current step
	Steps   int
	Door    int // how far the door is open, 0 to 5
	Problem *problem
	Waiting time.Time // no code is taken before; zero: none
	App     string    // AppURL
	Label   string    // how the authenticator app names the account, masked
	Story   Story
	Codes   []string
	Proved  recovery.InputKind
	NewApp  bool
	Saved   bool
	Enrol   *enrolment
	Now     time.Time
	next    string
}

type stepPage = page

// Next is where "get back in" leads.
func (b body) Next() string { return b.next }

// RefusesLogin reports whether nobody can sign in now.
func (b body) RefusesLogin() bool { return slices.Contains(b.View.Account.Refuse, auth.RefuseLogin) }

// Kind is which of its forms the page of a stop has: "hold", "ready" (the wait is over) or "staff".
func (b body) Kind() string {
	switch {
	case b.View.CanFinish:
		return "ready"
	case b.View.Current == recovery.StepHold:
		return "hold"
	}
	return "staff"
}

// ends is the time that a wait or a probation counts down to.
func (b body) ends() time.Time {
	if b.View.Current == recovery.StepHold {
		return b.View.Hold
	}
	return b.View.Until
}

// Left is the time until then.
func (b body) Left() time.Duration { return max(0, b.ends().Sub(b.Now)) }

// Passed is how much of it has passed, in percent; a probation counts from when the account came into its state.
func (b body) Passed() int {
	from := b.Since
	if b.View.Current == recovery.StepHold {
		from = b.ends().Add(-recovery.HoldTime)
	}
	whole := b.ends().Sub(from)
	if from.IsZero() || whole <= 0 {
		return 0
	}
	return int(min(100, max(0, 100*b.Now.Sub(from)/whole)))
}

func (p *Portal) body(v *visit, path string) body {
	b := body{View: v.view, State: v.view.Account.State, Problem: v.problem(path), App: p.c.AppURL, Label: maskAccount(string(v.account())),
		Proved: v.m.Proved, NewApp: v.m.NewApp, Saved: v.m.Saved, Now: p.c.Now(), next: place(v)}
	if v.view.Account.Since != nil {
		b.Since = v.view.Account.Since.In(p.c.Zone)
	}
	b.View.Hold, b.View.Until = inZone(v.view.Hold, p.c.Zone), inZone(v.view.Until, p.c.Zone)
	b.Steps = len(v.view.Steps)
	done := 0
	for i, s := range v.view.Steps {
		if s.Current {
			b.Step = i + 1
		}
		if s.Done {
			done++
		}
	}
	if b.Step == 0 {
		b.Step = b.Steps
	}
	if b.Steps > 0 {
		b.Door = min(1+4*done/b.Steps, 4)
	}
	if b.Problem != nil {
		pr := *b.Problem
		pr.Until = inZone(pr.Until, p.c.Zone)
		b.Problem = &pr
	}
	return b
}

func inZone(t time.Time, z *time.Location) time.Time {
	if t.IsZero() {
		return t
	}
	return t.In(z)
}

// maskAccount leaves what an owner knows the account by.
func maskAccount(id string) string {
	r := []rune(id)
	if len(r) < 3 {
		return "••••"
	}
	return string(r[0]) + "••••" + string(r[len(r)-1])
}

func (p *Portal) show(v *visit, name string, b body) error {
	c := chrome{Contacts: checked(p.c.Contacts), Reference: Reference(v.view.ID), Ends: v.s.Ends.In(p.c.Zone)}
	return p.site.Show(v.w, v.r, web.Page{Template: name, Body: b, Chrome: c, Error: b.Problem != nil})
}

func (p *Portal) story(v *visit) (Story, error) {
	if p.c.Story == nil {
		return Story{}, nil
	}
	s, err := p.c.Story(v.ctx(), v.view)
	if err != nil {
		return Story{}, err
	}
	s.First.At = inZone(s.First.At, p.c.Zone)
	for i := range s.Events {
		s.Events[i].At = inZone(s.Events[i].At, p.c.Zone)
	}
	return s, nil
}

func (p *Portal) why(v *visit) error {
	if v.view.Other || v.view.Status == recovery.Finished || v.view.Status == recovery.Applying {
		return p.send(v, place(v))
	}
	b := p.body(v, "/why")
	if b.State == auth.Recovering {
		b.Door = max(b.Door, 1)
	} else {
		b.Door = 0
	}
	var err error
	if b.Story, err = p.story(v); err != nil {
		return err
	}
	return p.show(v, "why", b)
}

func (p *Portal) code(v *visit) error {
	b := p.body(v, "/code")
	b.Waiting = p.waiting(v.view.App.WaitUntil, b.Problem)
	return p.show(v, "code", b)
}

func (p *Portal) recoveryCode(v *visit) error {
	b := p.body(v, "/recovery-code")
	b.Waiting = p.waiting(v.view.Codes.WaitUntil, b.Problem)
	return p.show(v, "recovery_code", b)
}

func (p *Portal) mailCode(v *visit) error { return p.show(v, "mail_code", p.body(v, "/mail-code")) }
func (p *Portal) password(v *visit) error { return p.show(v, "password", p.body(v, "/password")) }

func (p *Portal) waiting(until time.Time, pr *problem) time.Time {
	if pr != nil && pr.Until.After(until) {
		until = pr.Until
	}
	if !p.c.Now().Before(until) {
		return time.Time{}
	}
	return until.In(p.c.Zone)
}

// submitCode hands on a code as it was typed. A right one makes the session proved, under a new secret.
func (p *Portal) submitCode(path, field string, kind recovery.InputKind) page {
	return func(v *visit) error {
		if kind == recovery.InputMailCode && !v.proved() {
			return p.send(v, place(v))
		}
		f, err := web.ReadForm(v.w, v.r, field)
		if err != nil {
			return err
		}
		if strings.TrimSpace(f[field]) == "" {
			return p.tell(v, problem{Page: path, Why: "empty"})
		}
		return p.submit(v, path, recovery.Input{Kind: kind, Code: f[field]})
	}
}

// submit gives an input to the recovery and goes where it leads.
func (p *Portal) submit(v *visit, path string, in recovery.Input) error {
	view, res, err := p.c.Flow.Submit(v.ctx(), v.s.Subject, in)
	if err != nil {
		return err
	}
	v.view = view
	if pr := problemOf(path, res); pr != nil {
		return p.tell(v, *pr)
	}
	proof := in.Kind == recovery.InputCode || in.Kind == recovery.InputRecoveryCode
	v.m.Problem = nil
	if proof && res.Refused == "" {
		v.m.Proved = in.Kind
	}
	if len(res.NewCodes) > 0 && v.proved() { // who did not prove anything here gets no codes
		if v.m.Codes, err = p.seal(v, sealCodes, res.NewCodes); err != nil {
			return err
		}
	}
	if proof && res.Refused == "" {
		if v.s, err = p.sessions.Begin(v.w, v.r, v.s.Subject, v.m); err != nil {
			return err
		}
	} else if err := p.remember(v); err != nil {
		return err
	}
	if res.Unoffered != nil {
		p.c.Log.ErrorContext(v.ctx(), "portal: no new recovery codes", "error", res.Unoffered)
	}
	return p.send(v, place(v))
}

// problemOf is what the owner is told of an input that had no effect; nil: go where the recovery stands.
func problemOf(path string, res recovery.Result) *problem {
	switch res.Refused {
	case "":
		if res.Moved {
			return &problem{Page: "/why", Why: "moved"}
		}
		return nil
	case recovery.RefusedWrong:
		switch res.Code {
		case totp.Used, totp.Wait, totp.Paused, totp.Malformed:
			return &problem{Page: path, Why: string(res.Code), Until: res.WaitUntil, Left: res.TriesLeft}
		case totp.NotEnrolled:
			return &problem{Page: path, Why: "none"}
		}
		return &problem{Page: path, Why: "wrong", Until: res.WaitUntil, Left: res.TriesLeft}
	case recovery.RefusedIncomplete, recovery.RefusedOften:
		return &problem{Page: path, Why: string(res.Refused)}
	}
	return nil // hold, step, state, busy: the page it leads to says it
}

func (p *Portal) sendMailCode(v *visit) error {
	f, err := web.ReadForm(v.w, v.r, "address")
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(f["address"])
	if err != nil || place(v) != "/mail-code" {
		return p.send(v, place(v))
	}
	return p.submit(v, "/mail-code", recovery.Input{Kind: recovery.InputMailSend, Address: n})
}

func (p *Portal) passwordDone(v *visit) error {
	if _, err := web.ReadForm(v.w, v.r); err != nil {
		return err
	}
	return p.submit(v, "/password", recovery.Input{Kind: recovery.InputPasswordDone})
}

func (p *Portal) review(v *visit) error {
	b := p.body(v, "/review")
	var err error
	if b.Story, err = p.story(v); err != nil {
		return err
	}
	for i := range b.View.Changes {
		b.View.Changes[i].At = b.View.Changes[i].At.In(p.c.Zone)
	}
	return p.show(v, "review", b)
}

// reviewNone shows what "none of it was me" says, before it is said.
func (p *Portal) reviewNone(v *visit) error {
	if place(v) != "/review" {
		return p.send(v, place(v))
	}
	b := p.body(v, "/review/none")
	for i := range b.View.Changes {
		b.View.Changes[i].At = b.View.Changes[i].At.In(p.c.Zone)
	}
	return p.show(v, "review_none", b)
}

// reviewed takes an answer for each change that is asked about now. Fields are the changes' ids, so that an answer can't land on another one.
func (p *Portal) reviewed(v *visit) error {
	fields := []string{"all"}
	for _, c := range v.view.Changes {
		fields = append(fields, c.ID)
	}
	f, err := web.ReadForm(v.w, v.r, fields...)
	if bad, ok := errors.AsType[*web.Fault](err); ok && bad.Status == 400 {
		return p.tell(v, problem{Page: "/review", Why: "incomplete"}) // another change came in meanwhile, or one went
	}
	if err != nil {
		return err
	}
	in := recovery.Input{Kind: recovery.InputReviewed}
	for _, c := range v.view.Changes {
		switch {
		case f["all"] == "not_mine", f[c.ID] == "not_mine":
			in.Denied = append(in.Denied, c.ID)
		case f[c.ID] == "mine":
			in.Approved = append(in.Approved, c.ID)
		}
	}
	return p.submit(v, "/review", in)
}
