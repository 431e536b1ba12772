package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"
)

// Verdict is what the findings of one event together demand.
type Verdict struct {
	Response Response
	Findings []string // ids
	Reason   Reason
	Demand   string        // "totp" or "staff": the least that a recovery asks for; empty: totp
	For      time.Duration // Limit only: how long; 0: no end by itself
	At       time.Time     // the event's time
	Event    string        // "source id"
	Case     string
	Recovery string // the id of the way back, if this verdict opens one
	Sequence uint64

	// FirstAt is the time of the earliest event among the evidence, FirstEvent its "source id". It counts up to Lookback before At.
	// Zero FirstAt: not known, and then every change within Lookback before At is taken for the stranger's.
	FirstAt    time.Time
	FirstEvent string
}

// DefaultProbation is how long a recovered account stays guarded (EVENTS.md, "What comes back").
const DefaultProbation = 72 * time.Hour

// DemandStaff is the Demand that only staff can meet.
const DemandStaff = "staff"

// RecoveryID is the id of the way back that a cause opens: of the same cause always the same.
func RecoveryID(cause string) string {
	h := sha256.Sum256([]byte("doorward recovery\x00" + cause))
	return hex.EncodeToString(h[:16])
}

// restriction is the state whose refusals hold now: Before while recovering.
func (a *Account) restriction() State {
	switch {
	case a.State == "":
		return Open
	case a.State == Recovering:
		return a.Before
	}
	return a.State
}

// restrict puts the account under s without ending a recovery that is under way.
func (a *Account) restrict(s State, at time.Time) {
	if a.State == Recovering {
		a.Before = s
		return
	}
	a.State, a.Since = s, at
}

// Judge moves the account as a verdict demands. Findings only tighten, so a verdict that is no stronger than what holds changes nothing:
// its findings are in the case, and the version, by which an owner's act knows what its maker saw, stays. changed says whether there is a
// new version. The whole table is in the package's documentation.
func (a Account) Judge(v Verdict) (next Account, changed bool) {
	n := a
	switch v.Response {
	case Challenge:
		changed = n.challenge(v)
	case Limit:
		changed = n.limit(v)
	case Lock:
		changed = n.lock(v)
	}
	if v.Response >= Limit && v.Demand == DemandStaff && n.Demand != DemandStaff {
		n.Demand, changed = DemandStaff, true
	}
	if !changed {
		return a, false
	}
	event := v.FirstEvent
	if event == "" {
		event = v.Event
	}
	n.suspect(v.FirstAt, event, v.At)
	n.addFindings(v.Findings)
	n.Reason = v.Reason
	if v.Case != "" {
		n.Case = v.Case
	}
	n.Sequence = v.Sequence
	n.Version++
	return n, true
}

func (a *Account) challenge(v Verdict) bool {
	if a.Challenge || a.restriction() == Locked {
		return false
	}
	a.Challenge = true
	if s := a.restriction(); s == Open {
		a.State, a.Since, a.Until = Challenged, v.At, time.Time{}
	}
	return true
}

func (a *Account) limit(v Verdict) bool {
	var until time.Time
	if v.For > 0 {
		until = v.At.Add(v.For)
	}
	switch a.restriction() {
	case Locked:
		return false
	case Limited:
		// the later end holds, and none is later than any
		if a.Until.IsZero() || !until.IsZero() && !until.After(a.Until) {
			return false
		}
		a.Until = until
		return true
	case Probation:
		// a limit of ten minutes must not end a probation of three days
		if !until.IsZero() && until.Before(a.Until) {
			until = a.Until
		}
	}
	a.restrict(Limited, v.At)
	a.Until = until
	a.Recovery = v.Recovery
	return true
}

func (a *Account) lock(v Verdict) bool {
	was := a.restriction()
	if was == Locked {
		return false
	}
	a.restrict(Locked, v.At)
	a.Until, a.Challenge = time.Time{}, false
	if was != Limited { // a limited account has its way back already, and its link has been sent
		a.Recovery = v.Recovery
	}
	return true
}

func (a *Account) addFindings(ids []string) {
	f := slices.Clone(a.Findings)
	for _, id := range ids {
		if !slices.Contains(f, id) {
			f = append(f, id)
		}
	}
	if over := len(f) - MaxFindings; over > 0 {
		f = slices.Delete(f, 0, over)
	}
	a.Findings = f
}

// settle forgets what the trouble was about. Recent stays: it is no accusation. Recovery stays, so that its link can say how it ended;
// Case stays until staff close it.
func (a *Account) settle() {
	a.Findings, a.Reason = nil, Reason{}
	a.FirstBad, a.Touched, a.Demand = "", Touched{}, ""
	a.Before, a.Challenge, a.Until = "", false, time.Time{}
}

// Expire ends what has an end, before the first event at or past it: a limit and a probation lead to open, or to challenged when a
// challenge is still unanswered. A recovery out of a limit ends with the limit. now is event time, or a timer's for a quiet account.
func (a Account) Expire(now time.Time) (Account, bool) {
	s := a.restriction()
	if a.Until.IsZero() || now.Before(a.Until) || s != Limited && s != Probation {
		return a, false
	}
	end := a.Until
	if a.Challenge {
		a.State, a.Before, a.Until = Challenged, "", time.Time{}
	} else {
		a.settle()
		a.State = Open
	}
	a.Since = end
	a.Version++
	return a, true
}

// FactorProved takes a platform's own second factor, told as login.mfa.succeeded. It answers a challenge only when it comes later than the
// first bad event and the factor is older than it: a thief's own phone proves nothing. at is the event's time, factor as in EVENTS.md.
func (a Account) FactorProved(at time.Time, factor string) (Account, bool) {
	if !a.Challenge || a.restriction() == Locked || !at.After(a.Touched.Since) || !slices.Contains(factors, factor) {
		return a, false
	}
	for _, c := range a.Suspects() {
		if c.Kind == ChangedFactor && (c.Factor == factor || c.Factor == "other") {
			return a, false
		}
		if factor == "sms" && (c.Kind == ChangedPhone || c.Kind == ChangedSIM) {
			return a, false
		}
	}
	return a.answered(at), true
}

// answered takes a challenge off.
func (a Account) answered(at time.Time) Account {
	a.Challenge = false
	if a.State == Challenged {
		a.settle()
		a.State, a.Since = Open, at
	}
	a.Version++
	return a
}
