package portal

import (
	"html/template"
	"slices"
	"time"

	"doorward/auth"
	"doorward/auth/recovery"
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
