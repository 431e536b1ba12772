package recovery

import (
	"time"

	"doorward/auth"
)

// Step is a thing that a recovery asks for.
type Step string

const (
	StepCode         Step = "code"          // a code of the authenticator app; one of the recovery codes instead, for who lost the app
	StepRecoveryCode Step = "recovery_code" // a recovery code, nothing else
	StepMailCode     Step = "mail_code"     // a code mailed to an address that is older than the first bad event
	StepPassword     Step = "password"      // a new password at the platform
	StepReview       Step = "review"        // mine or not mine, for each change since the first bad event
	StepHold         Step = "hold"          // wait for HoldTime, then finish
	StepStaff        Step = "staff"         // two of the staff
)

// App is what an account's authenticator app is worth for a recovery.
type App string

const (
	NoApp     App = "none"
	GoodApp   App = "good"   // bound before the first bad event
	PausedApp App = "paused" // too many wrong codes
	NewApp    App = "new"    // bound after the first bad event: the stranger's, for all we know
)

// Facts is what Next needs to know of the world beside the recovery.
type Facts struct {
	Account   auth.Account
	App       App
	Codes     int      // unused recovery codes of a set older than the first bad event; 0 while their budget is paused
	Addresses []string // e-mail addresses older than the first bad event, in full; never stored
}

// Demand is what a way back asks for, in order, by what was touched since the first bad event:
//
//	nothing                     authenticator code
//	password or contact         authenticator code, new password at the platform, review of the changes
//	a factor, or the app itself recovery code and mailed code, (new password,) review, 24 h
//	nothing left, or the rule   staff
//
// Where the app has no code to give (lost, paused) a recovery code stands in for it: 80 bits, once.
func Demand(f Facts) []Step {
	t := f.Account.Touched
	factor := t.Factor || f.App == NewApp
	var steps []Step
	switch {
	case f.Account.Demand == auth.DemandStaff:
		return []Step{StepStaff}
	case factor && f.Codes > 0 && len(f.Addresses) > 0:
		steps = []Step{StepRecoveryCode, StepMailCode}
	case factor:
		return []Step{StepStaff}
	case f.App == GoodApp:
		steps = []Step{StepCode}
	case f.Codes > 0:
		steps = []Step{StepRecoveryCode}
	default:
		return []Step{StepStaff}
	}
	if t.Password || t.Contact {
		steps = append(steps, StepPassword)
	}
	if t.Password || t.Contact || factor {
		steps = append(steps, StepReview)
	}
	if factor {
		steps = append(steps, StepHold)
	}
	return steps
}

// restricted says whether the account is one that a recovery can help: limited or locked, or recovering out of one of the two.
func restricted(a *auth.Account) bool {
	s := a.State
	if s == auth.Recovering {
		s = a.Before
	}
	return s == auth.Limited || s == auth.Locked
}

// proved says when a step was done, if its proof still counts.
func (r *Recovery) proved(s Step, now time.Time) (Proof, bool) {
	for _, p := range r.Proofs {
		if p.Step != s && !(s == StepCode && p.Step == StepRecoveryCode) {
			continue
		}
		end := p.At.Add(ProofLife)
		if !r.Hold.IsZero() {
			end = r.Hold.Add(HeldLife)
		}
		if now.Before(end) {
			return p, true
		}
	}
	return Proof{}, false
}

// current is the first step that is not done; empty when all are. A hold is done when its time has come.
func (r *Recovery) current(steps []Step, now time.Time) Step {
	for _, s := range steps {
		if s == StepHold {
			if r.Hold.IsZero() || now.Before(r.Hold) {
				return StepHold
			}
			continue
		}
		if _, ok := r.proved(s, now); !ok {
			return s
		}
	}
	return ""
}
