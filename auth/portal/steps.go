package portal

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"doorward/auth"
	"doorward/auth/recovery"
	"doorward/auth/totp"
	"doorward/auth/web"
)

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
