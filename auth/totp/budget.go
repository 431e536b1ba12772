package totp

import (
	"slices"
	"time"
)

// Reason is what became of a try.
type Reason string

const (
	Accepted    Reason = ""
	Wrong       Reason = "wrong"
	Used        Reason = "used"         // right, but spent before: somebody else may have seen it
	Wait        Reason = "wait"         // too many tries; nothing was looked at
	Paused      Reason = "paused"       // far too many: another proof or staff
	Malformed   Reason = "malformed"    // not a code at all; no try was spent
	NotEnrolled Reason = "not_enrolled" // nothing to check against
)

// 5 tries, then waits; 10 failures within 24 h pause the factor until they are older, so that nobody's guesses shut an owner out for good;
// 50 without a success are the hard stop, until another proof or staff (NIST SP 800-63B-4, 3.2.2, asks for at most 100). So a guesser has 10
// tries a day at 3 codes of a million: 3 in 100,000 a day, and five days.
const (
	freeTries = 5
	dayTries  = 10
	hardStop  = 50
	day       = 24 * time.Hour
)

var waits = [...]time.Duration{30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}

// budget counts the failures of one account's factor, over all sessions and addresses. Times are unix milliseconds. Part of stored records:
// names are added, never changed.
type budget struct {
	Fails []int64 `json:"fails,omitempty"` // of the last 24 h, at most dayTries
	Total int     `json:"total,omitempty"` // since the last success
	Wait  int64   `json:"wait,omitempty"`
	Told  bool    `json:"told,omitempty"` // a refusal of this wait is in the journal already
}

// reserve spends a try as if it had failed, or says why there is none.
func (b budget) reserve(now time.Time) (budget, Reason) {
	if r := b.refusal(now); r != Accepted {
		return b, r
	}
	b.Fails = append(b.recent(now), now.UnixMilli())
	b.Total++
	b.Told = false
	n := len(b.Fails)
	if n >= freeTries {
		b.Wait = now.Add(waits[min(n-freeTries, len(waits)-1)]).UnixMilli()
	}
	return b, Accepted
}

// paused reports whether there are no tries but after another proof, staff, or a day.
func (b budget) paused(now time.Time) bool {
	return b.Total >= hardStop || len(b.recent(now)) >= dayTries
}

func (b budget) refusal(now time.Time) Reason {
	switch {
	case b.paused(now):
		return Paused
	case now.UnixMilli() < b.Wait:
		return Wait
	}
	return Accepted
}

// recent are the failures of the last 24 h. A clock that went back keeps them: they never go down by that.
func (b budget) recent(now time.Time) []int64 {
	from := now.Add(-day).UnixMilli()
	return slices.DeleteFunc(slices.Clone(b.Fails), func(t int64) bool { return t <= from })
}

// left is how many tries there are before the next wait.
func (b budget) left(now time.Time) int {
	if b.refusal(now) != Accepted {
		return 0
	}
	return max(1, freeTries-len(b.recent(now)))
}

func (b budget) until(now time.Time) time.Time {
	if b.paused(now) || now.UnixMilli() >= b.Wait {
		return time.Time{}
	}
	return time.UnixMilli(b.Wait).UTC()
}

// Standing is what may be told of a factor without its secret.
type Standing struct {
	Enrolled  bool
	Since     time.Time // when it was bound to the account
	Paused    bool
	WaitUntil time.Time // zero: no wait
	TriesLeft int       // before the next wait
	Left      int       // recovery codes: how many are unused
	Offered   bool      // recovery codes: a new set was shown and waits for its owner to have saved it
}
