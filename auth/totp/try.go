package totp

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"doorward/auth"
	"doorward/store"
	"doorward/store/journal"
)

// Result is what became of a code.
type Result struct {
	Reason    Reason
	WaitUntil time.Time // Wait: until when; zero for Paused
	TriesLeft int       // before the next wait
	Exhausted bool      // this code was the one too many: its owner ought to be told
}

// Try is a try that is spent already, so that whoever crashes, hangs up or panics after it has spent it (security.md, S-4).
type Try struct {
	factors *Factors
	account auth.AccountID
	name    string
	now     time.Time
	record  factor
	seed    *seed
	budget  budget
}

// Reserve spends a try of an account's app, on disk. A reason other than Accepted says why there is none; nothing may be looked at then.
// An app bound at or after olderThan counts as none (zero: any counts).
func (f *Factors) Reserve(ctx context.Context, a auth.AccountID, olderThan time.Time) (*Try, Reason, error) {
	return f.reserve(ctx, a, active, olderThan)
}

func (f *Factors) reserve(ctx context.Context, a auth.AccountID, name string, olderThan time.Time) (*Try, Reason, error) {
	for {
		r, stored, err := f.load(ctx, a, name)
		if err != nil {
			return nil, "", err
		}
		if r == nil || r.Void || !olderThan.IsZero() && r.Since >= olderThan.UnixMilli() {
			return nil, NotEnrolled, nil
		}
		now := f.config.Now()
		next, why := r.Budget.reserve(now)
		if why != Accepted {
			return nil, why, f.refused(ctx, a, name, r, stored, why)
		}
		s, err := f.open(a, r) // before the try is spent: a key that is missing is our fault, not the owner's
		if err != nil {
			return nil, "", err
		}
		r.Budget = next
		b, err := replace(a, name, stored, r)
		if err != nil {
			return nil, "", err
		}
		switch _, err = f.config.Store.Commit(ctx, b); {
		case err == nil:
			return &Try{f, a, name, now, *r, s, next}, Accepted, nil
		case !conflict(err):
			return nil, "", fmt.Errorf("spend a try: %w", err)
		}
	}
}

// refused writes the first refusal of a wait into the journal, not each of ten thousand.
func (f *Factors) refused(ctx context.Context, a auth.AccountID, name string, r *factor, stored []byte, why Reason) error {
	if r.Budget.Told {
		return nil
	}
	r.Budget.Told = true
	b, err := replace(a, name, stored, r)
	if err != nil {
		return err
	}
	if err := entry(b, rejected(f.config.Now(), a, name, why)); err != nil {
		return err
	}
	if _, err := f.config.Store.Commit(ctx, b); err != nil && !conflict(err) {
		return fmt.Errorf("journal a refused try: %w", err)
	}
	return nil
}

func rejected(now time.Time, a auth.AccountID, name string, why Reason) journal.Entry {
	return journal.Entry{At: now.UTC(), Kind: journal.CodeRejected, Account: string(a), By: "owner", Shard: -1, Reason: string(why),
		Detail: map[string]string{"factor": name}}
}

func conflict(err error) bool {
	var c *store.Conflict
	return errors.As(err, &c)
}

// Verify compares a code with all steps from the one before now to the one after. Used: its step, or a later one, was accepted before.
func (t *Try) Verify(code string) (step uint64, why Reason, err error) {
	c, ok := digits(code, codeDigits)
	if !ok {
		return 0, Malformed, nil
	}
	step, ok, err = t.seed.match(c, t.now)
	switch {
	case err != nil:
		return 0, "", err
	case !ok:
		return 0, Wrong, nil
	case step <= t.record.Last:
		return step, Used, nil
	}
	return step, Accepted, nil
}

// Burn is the transaction part that makes step the last one ever accepted and gives the tries back. It goes into one transaction with what
// the code is for; when that conflicts, Burn again. Used: somebody else has burned step meanwhile.
func (t *Try) Burn(ctx context.Context, step uint64) (*store.Batch, Reason, error) {
	r, stored, err := t.factors.load(ctx, t.account, t.name)
	switch {
	case err != nil:
		return nil, "", err
	case r == nil || r.Void || subtle.ConstantTimeCompare(r.Sealed, t.record.Sealed) != 1:
		return nil, NotEnrolled, nil // bound anew since the try began
	case step <= r.Last:
		return nil, Used, nil
	}
	r.Last, r.Budget = step, budget{}
	if t.name == pending {
		return t.bind(ctx, r, stored)
	}
	b, err := replace(t.account, t.name, stored, r)
	if err != nil {
		return nil, "", err
	}
	return b, Accepted, entry(b, accepted(t.now, t.account, active))
}

func accepted(now time.Time, a auth.AccountID, name string) journal.Entry {
	return journal.Entry{At: now.UTC(), Kind: journal.CodeAccepted, Account: string(a), By: "owner", Shard: -1, Detail: map[string]string{"factor": name}}
}

// bind makes a confirmed enrolment the account's app.
func (t *Try) bind(ctx context.Context, r *factor, stored []byte) (*store.Batch, Reason, error) {
	_, old, err := t.factors.load(ctx, t.account, active)
	if err != nil {
		return nil, "", err
	}
	r.Since = t.now.UnixMilli()
	b, err := replace(t.account, active, old, r)
	if err != nil {
		return nil, "", err
	}
	k := factorKey(t.account, pending)
	b.Expect = append(b.Expect, store.Expect{Key: k, Value: stored})
	b.Delete = append(b.Delete, k)
	return b, Accepted, entry(b, journal.Entry{At: t.now.UTC(), Kind: journal.FactorEnrolled, Account: string(t.account), By: "owner", Shard: -1,
		Detail: map[string]string{"factor": active, "how": "confirmed"}})
}

// Redeem spends a try on a code and, when it is right, calls commit with the part that burns it; commit puts that and what the code is for
// into one transaction. It is called again, with a new part, when its transaction conflicts, so it reads what it depends on each time. An
// app bound at or after olderThan counts as none.
func (f *Factors) Redeem(ctx context.Context, a auth.AccountID, olderThan time.Time, code string, commit func(context.Context, *store.Batch) error) (Result, error) {
	return f.redeem(ctx, a, active, olderThan, code, commit)
}

func (f *Factors) redeem(ctx context.Context, a auth.AccountID, name string, olderThan time.Time, code string, commit func(context.Context, *store.Batch) error) (Result, error) {
	code, ok := digits(code, codeDigits)
	if !ok {
		return Result{Reason: Malformed}, nil
	}
	t, why, err := f.reserve(ctx, a, name, olderThan)
	if err != nil || why != Accepted {
		return f.turnedAway(ctx, a, name, why, err)
	}
	step, why, err := t.Verify(code)
	if err != nil {
		return Result{}, err
	}
	if why == Accepted {
		why, err = burnWith(ctx, func() (*store.Batch, Reason, error) { return t.Burn(ctx, step) }, commit)
		if err != nil {
			return Result{}, err
		}
	}
	if why == Accepted {
		return Result{TriesLeft: freeTries}, nil
	}
	return reject(ctx, f.config, a, name, t.budget, why)
}

// turnedAway is the result of a try that there was none for.
func (f *Factors) turnedAway(ctx context.Context, a auth.AccountID, name string, why Reason, err error) (Result, error) {
	if err != nil {
		return Result{}, err
	}
	res := Result{Reason: why}
	r, _, err := f.load(ctx, a, name)
	if err == nil && r != nil {
		res.WaitUntil = r.Budget.until(f.config.Now())
	}
	return res, err
}

// burnWith commits until it either works or fails for a reason that trying again does not mend.
func burnWith(ctx context.Context, burn func() (*store.Batch, Reason, error), commit func(context.Context, *store.Batch) error) (Reason, error) {
	const most = 100 // each round somebody else got something done; the budget alone allows five others
	for range most {
		b, why, err := burn()
		if err != nil || why != Accepted {
			return why, err
		}
		if err := commit(ctx, b); !conflict(err) {
			return Accepted, err
		}
	}
	return "", errors.New("burn a code: its records never stopped changing")
}

// reject writes a code that was looked at and refused into the journal and says how its factor stands now.
func reject(ctx context.Context, c Config, a auth.AccountID, name string, spent budget, why Reason) (Result, error) {
	b := &store.Batch{Shard: store.NoShard}
	if err := entry(b, rejected(c.Now(), a, name, why)); err != nil {
		return Result{}, err
	}
	if _, err := c.Store.Commit(ctx, b); err != nil {
		return Result{}, fmt.Errorf("journal a rejected code: %w", err)
	}
	now := c.Now()
	return Result{Reason: why, WaitUntil: spent.until(now), TriesLeft: spent.left(now), Exhausted: len(spent.Fails) == freeTries || spent.paused(c.Now())}, nil
}
