package auth

import (
	"slices"
	"time"
)

// ChangeKind is what of an account was changed. The first two letters of a recovery's demand: see recovery.Demand.
type ChangeKind string

const (
	ChangedPassword ChangeKind = "password"
	ChangedEmail    ChangeKind = "email"
	ChangedPhone    ChangeKind = "phone"
	ChangedSIM      ChangeKind = "sim"
	ChangedFactor   ChangeKind = "factor" // added or removed
)

// Change is one change of what an owner is recognised or reached by.
type Change struct {
	Kind   ChangeKind `json:"kind"`
	Factor string     `json:"factor,omitempty"` // of a factor: totp, sms, push, passkey, recovery_code, or other
	At     time.Time  `json:"at"`               // event time
}

const (
	// MaxRecent is how many changes an account's record keeps. There are ten groups of kind and factor; a full list gives up the oldest
	// of its largest group, so that nobody can push a new factor out of it by changing an address over and over.
	MaxRecent = 16
	// Lookback is how long before the first finding a change may be and still be taken for the stranger's: a takeover is noticed when the
	// money moves, minutes to hours after the password did (our choice; an owner's own change costs him two more steps).
	Lookback = 24 * time.Hour
)

var changes = map[string]ChangeKind{
	"account.password.changed": ChangedPassword,
	"account.password.reset":   ChangedPassword,
	"account.email.changed":    ChangedEmail,
	"account.phone.changed":    ChangedPhone,
	"account.sim.swapped":      ChangedSIM,
	"account.factor.added":     ChangedFactor,
	"account.factor.removed":   ChangedFactor,
}

// TouchOf says what an event of a type changes; empty for types that change nothing an owner is recognised or reached by.
func TouchOf(eventType string) ChangeKind { return changes[eventType] }

var factors = []string{"totp", "sms", "push", "passkey", "recovery_code"}

// Touch notes a change. What is at or after the first bad event counts as touched from then on. It moves no state and no version:
// the platform is told nothing by it. factor is the event's and counts for ChangedFactor only.
func (a Account) Touch(kind ChangeKind, at time.Time, factor string) Account {
	if kind != ChangedFactor {
		factor = ""
	} else if i := slices.Index(factors, factor); i >= 0 {
		factor = factors[i] // the platform's text is good for its batch only
	} else {
		factor = "other" // ten groups at most, whatever a platform sends
	}
	c := Change{kind, factor, at}
	if slices.Contains(a.Recent, c) {
		return a
	}
	a.Recent = append(slices.Clone(a.Recent), c)
	if len(a.Recent) > MaxRecent {
		a.Recent = dropOldest(a.Recent)
	}
	if !a.Touched.Since.IsZero() && !at.Before(a.Touched.Since) {
		a.Touched.mark(kind)
	}
	return a
}

// dropOldest removes the oldest change of the group that has the most.
func dropOldest(recent []Change) []Change {
	type group struct {
		kind   ChangeKind
		factor string
	}
	size := map[group]int{}
	for _, c := range recent {
		size[group{c.Kind, c.Factor}]++
	}
	drop := -1
	for i, c := range recent {
		n := size[group{c.Kind, c.Factor}]
		if drop < 0 {
			drop = i
			continue
		}
		d := recent[drop]
		most := size[group{d.Kind, d.Factor}]
		if n > most || n == most && c.At.Before(d.At) {
			drop = i
		}
	}
	return slices.Delete(recent, drop, drop+1)
}

func (t *Touched) mark(kind ChangeKind) {
	switch kind {
	case ChangedPassword:
		t.Password = true
	case ChangedFactor:
		t.Factor = true
	default:
		t.Contact = true
	}
}

// suspect begins an account's trouble with its first bad event: what was changed since then is the stranger's. first is the earliest
// event among the evidence; when the shard does not know one, every change of the Lookback before at counts, and the trouble begins with
// the earliest of them. Nothing happens when the trouble has begun already: first stays first.
func (a *Account) suspect(first time.Time, event string, at time.Time) {
	if !a.Touched.Since.IsZero() {
		return
	}
	from := at.Add(-Lookback)
	if a.Recovered.After(from) { // what was before it, the owner has gone through; an unlock by staff says nothing about that
		from = a.Recovered
	}
	since := at
	switch {
	case !first.IsZero() && first.Before(at):
		if since = first; since.Before(from) {
			since = from
		}
		from = since
	case first.IsZero():
		for _, c := range a.Recent {
			if !c.At.Before(from) && c.At.Before(since) {
				since = c.At
			}
		}
	}
	a.FirstBad = event
	a.Touched = Touched{Since: since}
	for _, c := range a.Recent {
		if !c.At.Before(since) {
			a.Touched.mark(c.Kind)
		}
	}
}

// Suspects are the changes since the first bad event: what an owner reviews on the way back.
func (a *Account) Suspects() []Change {
	var s []Change
	for _, c := range a.Recent {
		if !a.Touched.Since.IsZero() && !c.At.Before(a.Touched.Since) {
			s = append(s, c)
		}
	}
	return s
}

// PasswordChanged is the time of the newest change of the password that the record knows; zero for none.
func (a *Account) PasswordChanged() (newest time.Time) {
	for _, c := range a.Recent {
		if c.Kind == ChangedPassword && c.At.After(newest) {
			newest = c.At
		}
	}
	return newest
}
