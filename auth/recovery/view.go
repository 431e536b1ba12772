package recovery

import (
	"context"
	"strings"
	"time"

	"doorward/auth"
	"doorward/auth/totp"
)

// View is what the owner's page is made of. It holds no address in full and no secret.
type View struct {
	ID       string
	Account  auth.Record // state, reason and until as the platform is told them
	Status   Status      // Finished also when staff or the end of a limit let the owner in
	Other    bool        // the account has another, newer way back: this link is of an old one
	Steps    []StepView  // what is asked for, in order; empty once it is over
	Current  Step        // the step to do now; empty: none, or only "finish" (CanFinish)
	Hold     time.Time   // the end of the wait; zero: none has begun
	Until    time.Time   // of a probation or a limit
	Language string      // the owner's, BCP 47; empty: not known

	CanFinish bool // all is done, and the input "finish" lets the owner in
	CanGiveUp bool
	// RecoveryCodeToo: a recovery code may stand in for the current step's authenticator code.
	RecoveryCodeToo bool

	App   totp.Standing // budget of the authenticator app
	Codes totp.Standing // budget of the recovery codes, and how many are left

	Addresses []string     // masked; InputMailSend names one by its index
	Mailed    string       // masked address that the newest code went to
	MailTries int          // tries left for it
	Changes   []ChangeView // to review
	Reviewed  *Review

	CodesOffered bool // new recovery codes were shown and wait for "new_codes_saved"
}

// StepView is one step.
type StepView struct {
	Step    Step
	Done    bool
	Current bool
	At      time.Time // when it was done
	How     string    // password: "event" or "owner"
}

// ChangeView is one change to review.
type ChangeView struct {
	ID string
	auth.Change
}

// situation is everything that a step starts from, read once.
type situation struct {
	r        Recovery
	stored   []byte
	facts    Facts
	app      totp.Standing
	codes    totp.Standing
	language string
	moved    bool // the shard refused the act that would have let the owner in
}

// View is how a recovery stands; it changes nothing. ErrLink: there is none.
func (f *Flow) View(ctx context.Context, id string) (View, error) {
	s, err := f.look(ctx, id)
	if err != nil {
		return View{}, err
	}
	return s.view(f.now()), nil
}

// look gathers what there is to know, and takes the shard's answer when it has come.
func (f *Flow) look(ctx context.Context, id string) (*situation, error) {
	r, stored, err := Load(ctx, f.config.Store, id)
	switch {
	case err != nil:
		return nil, err
	case stored == nil:
		return nil, ErrLink
	}
	s := &situation{r: r, stored: stored}
	if r.Status == Applying {
		o, ok, err := auth.LoadOutcome(ctx, f.config.Store, r.Act)
		if err != nil {
			return nil, err
		}
		if ok {
			s.settle(o)
		}
	}
	return s, f.gather(ctx, s)
}

func (s *situation) settle(o auth.Outcome) {
	in := Input{Kind: inputApplied}
	if s.moved = !o.Applied; s.moved {
		in.Kind = inputRefused
	}
	s.r, _ = Next(s.r, in, time.Time{}) // answers need no clock
}

// gather reads the facts.
func (f *Flow) gather(ctx context.Context, s *situation) (err error) {
	a := s.r.Account
	if s.facts.Account, _, err = auth.LoadAccount(ctx, f.config.Store, a); err != nil {
		return err
	}
	since := s.facts.Account.Touched.Since
	if s.app, err = f.config.TOTP.Standing(ctx, a); err != nil {
		return err
	}
	switch {
	case !s.app.Enrolled:
		s.facts.App = NoApp
	case !since.IsZero() && !s.app.Since.Before(since):
		s.facts.App = NewApp
	case s.app.Paused:
		s.facts.App = PausedApp
	default:
		s.facts.App = GoodApp
	}
	if s.codes, err = f.config.Codes.Standing(ctx, a); err != nil {
		return err
	}
	if s.codes.Enrolled && !s.codes.Paused && (since.IsZero() || s.codes.Since.Before(since)) {
		s.facts.Codes = s.codes.Left
	}
	p, _, err := auth.LoadProfile(ctx, f.config.Store, f.config.Keys, a)
	if err != nil {
		return err
	}
	s.language = p.Language
	s.facts.Addresses = p.OlderThan(since)
	return nil
}

func (s *situation) view(now time.Time) View {
	a := &s.facts.Account
	v := View{ID: s.r.ID, Account: a.Record(), Status: s.r.Status, Until: a.Until, Language: s.language, App: s.app, Codes: s.codes,
		Hold: s.r.Hold, Reviewed: s.r.Reviews, CodesOffered: s.codes.Offered}
	v.Other = restricted(a) && a.Recovery != s.r.ID
	if !restricted(a) || v.Other {
		v.Status, v.Hold = Finished, time.Time{}
		return v
	}
	if v.Status == Applying || v.Status == Finished {
		return v
	}
	s.r = s.r.lapse(now)
	v.Status, v.Hold, v.Reviewed = s.r.Status, s.r.Hold, s.r.Reviews
	steps := Demand(s.r.known(s.facts, now))
	v.Current = s.r.current(steps, now)
	for _, step := range steps {
		p, done := s.r.proved(step, now)
		if step == StepHold {
			done = v.Current == ""
		}
		v.Steps = append(v.Steps, StepView{Step: step, Done: done, Current: step == v.Current, At: p.At, How: p.How})
	}
	if v.Current == StepStaff {
		v.Status = Staff
	}
	v.CanFinish = v.Current == ""
	v.CanGiveUp = a.State == auth.Recovering || len(s.r.Proofs) > 0
	v.RecoveryCodeToo = v.Current == StepCode && s.facts.Codes > 0
	if v.Current == StepMailCode {
		for _, address := range s.facts.Addresses {
			v.Addresses = append(v.Addresses, mask(address))
		}
		if m := s.r.Mail; m != nil && now.Before(m.Until) {
			v.Mailed, v.MailTries = m.Address, max(0, mailTries-m.Tries)
		}
	}
	for _, c := range a.Suspects() {
		v.Changes = append(v.Changes, ChangeView{ChangeID(c), c})
	}
	return v
}

// mask leaves of an address what its owner knows it by: j•••@e•••.com.
func mask(address string) string {
	user, domain, ok := strings.Cut(address, "@")
	if !ok {
		return "•••"
	}
	end := ""
	if i := strings.LastIndexByte(domain, '.'); i >= 0 {
		domain, end = domain[:i], domain[i:]
	}
	return first(user) + "•••@" + first(domain) + "•••" + end
}

func first(s string) string {
	for _, r := range s {
		return string(r)
	}
	return ""
}
