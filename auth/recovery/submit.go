package recovery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"doorward/auth"
	"doorward/auth/totp"
	"doorward/store"
	"doorward/store/journal"
)

// Result is what became of an input. All empty: it did what it is for.
type Result struct {
	Refused   Refused     // why it had no effect; RefusedWrong: see Code
	Code      totp.Reason // of a code: wrong, used, wait, paused, malformed, not_enrolled
	WaitUntil time.Time   // Code is wait: until when
	TriesLeft int         // before the next wait
	Applying  bool        // the shard has not answered within FlowConfig.Wait: look again
	Moved     bool        // the account's state had moved on: the owner sees the new one and goes on
	NewCodes  []string    // the owner is in: ten new recovery codes, shown this once; they count after "new_codes_saved"
	Unoffered error       // the owner is in, but no new recovery codes could be made
}

// refusal stops a transaction for a reason that is the owner's to know.
type refusal struct{ why Refused }

func (r *refusal) Error() string { return "recovery: refused: " + string(r.why) }

// Submit takes an owner's input. The proof, the burned step or recovery code, the record and the act go to disk in one transaction; then it
// waits for the shard. ErrLink: there is no such recovery. Any other error leaves it open whether the step was done: View says.
func (f *Flow) Submit(ctx context.Context, id string, in Input) (View, Result, error) {
	res, act, err := f.submit(ctx, id, in)
	if err != nil {
		return View{}, Result{}, err
	}
	if act.ID != "" {
		if err := f.await(ctx, act, &res); err != nil {
			return View{}, Result{}, err
		}
	}
	v, err := f.View(ctx, id)
	return v, res, err
}

func (f *Flow) submit(ctx context.Context, id string, in Input) (res Result, act auth.Act, err error) {
	s, err := f.look(ctx, id)
	if err != nil {
		return res, act, err
	}
	in.Facts, in.Mail, in.Right = s.facts, nil, true
	if in.Kind == InputMailSend {
		res, err = f.sendMail(ctx, s, in)
		return res, act, err
	}
	if in.Kind != InputMailCode { // its own door asks for a code that is there
		// what would not be taken if it were right costs no try
		if _, effects := Next(s.r, in, f.now()); len(effects) > 0 && effects[0].Kind == Refuse {
			return Result{Refused: effects[0].Why}, act, nil
		}
	}
	commit := func(ctx context.Context, burn *store.Batch) error {
		act, err = f.step(ctx, id, in, burn)
		return err
	}
	since := s.facts.Account.Touched.Since
	switch in.Kind {
	case InputCode:
		res, err = f.coded(ctx, s, func() (totp.Result, error) { return f.config.TOTP.Redeem(ctx, s.r.Account, since, in.Code, commit) })
	case InputRecoveryCode:
		res, err = f.coded(ctx, s, func() (totp.Result, error) { return f.config.Codes.Redeem(ctx, s.r.Account, since, in.Code, commit) })
	case InputMailCode:
		res, err = f.mailed(ctx, s, in, func(verified []byte) error {
			in.Mail = &MailCode{MAC: verified}
			return again(func() error { return commit(ctx, nil) })
		})
	default:
		err = again(func() error { return commit(ctx, nil) })
	}
	var no *refusal
	if errors.As(err, &no) {
		return Result{Refused: no.why}, auth.Act{}, nil
	}
	if res.Refused != "" { // an act that was tried and lost its transaction is another browser's: its codes are not for this one
		act = auth.Act{}
	}
	return res, act, err
}

// coded turns what became of a code into a Result, and warns its owner where somebody else seems to be at it.
func (f *Flow) coded(ctx context.Context, s *situation, redeem func() (totp.Result, error)) (Result, error) {
	c, err := redeem()
	if err != nil || c.Reason == totp.Accepted {
		return Result{}, err
	}
	f.warnOf(ctx, s.r.Account, c)
	return Result{Refused: RefusedWrong, Code: c.Reason, WaitUntil: c.WaitUntil, TriesLeft: c.TriesLeft}, nil
}

func (f *Flow) warnOf(ctx context.Context, a auth.AccountID, c totp.Result) {
	switch {
	case c.Reason == totp.Used:
		f.warn(ctx, a, "code_used")
	case c.Exhausted:
		f.warn(ctx, a, "budget")
	}
}

func (f *Flow) warn(ctx context.Context, a auth.AccountID, what string) {
	if f.config.Warn != nil {
		f.config.Warn(ctx, a, what)
	}
}

// again does what conflicts once more: somebody else has moved the recovery on.
func again(do func() error) (err error) {
	for range 20 {
		if err = do(); !conflict(err) {
			return err
		}
	}
	return err
}

// step does one step as it stands now, in one transaction with burn, and returns the act that went with it.
func (f *Flow) step(ctx context.Context, id string, in Input, burn *store.Batch) (act auth.Act, err error) {
	s, err := f.look(ctx, id)
	if err != nil {
		return act, err
	}
	now := f.now()
	in.Facts = s.facts
	if in.Kind == InputMailCode && (s.r.Mail == nil || string(s.r.Mail.MAC) != string(in.Mail.MAC)) {
		in.Right = false // another code has been sent, or this one is spent
	}
	next, effects := Next(s.r, in, now)
	for _, e := range effects {
		switch e.Kind {
		case Refuse:
			return act, &refusal{e.Why}
		case MakeAct:
			act = auth.Act{ID: fmt.Sprintf("recovery-%s-%d", next.ID, next.Acts), Kind: e.Act, Account: next.Account, At: now, By: "owner",
				Saw: s.facts.Account.Version, Recovery: next.ID}
		}
	}
	if act.Kind == auth.ActRecovered {
		next.Act = act.ID
	}
	b, err := f.transaction(ctx, s, next, in, effects, burn, now)
	if err != nil {
		return act, err
	}
	if act.ID == "" {
		if _, err := f.config.Store.Commit(ctx, b); err != nil {
			return act, fmt.Errorf("store a step of a recovery: %w", err)
		}
	} else if err := f.config.Desk.Submit(ctx, act, b); err != nil {
		return act, err
	}
	for _, e := range effects {
		if e.Kind == TellHold {
			f.warn(ctx, next.Account, "hold")
		}
	}
	return act, nil
}

// transaction is what a step writes.
func (f *Flow) transaction(ctx context.Context, s *situation, next Recovery, in Input, effects []Effect, burn *store.Batch, now time.Time) (*store.Batch, error) {
	put, err := next.pair()
	if err != nil {
		return nil, err
	}
	b := &store.Batch{Shard: store.NoShard, Expect: []store.Expect{{Key: put.Key, Value: s.stored}}, Put: []store.Pair{put}}
	merge(b, burn)
	for _, e := range effects {
		var part *store.Batch
		switch e.Kind {
		case VoidApp:
			part, err = f.config.TOTP.VoidBatch(ctx, next.Account, next.ID)
		case Unpause:
			part, err = f.config.TOTP.UnpauseBatch(ctx, next.Account)
		case KeepNew:
			part, err = f.config.Codes.KeepBatch(ctx, next.Account)
		}
		if err != nil {
			return nil, err
		}
		merge(b, part)
	}
	return b, addEntry(b, stepEntry(next, in, effects, now))
}

func merge(b, part *store.Batch) {
	if part == nil {
		return
	}
	b.Expect, b.Put = append(b.Expect, part.Expect...), append(b.Put, part.Put...)
	b.Delete, b.Append = append(b.Delete, part.Delete...), append(b.Append, part.Append...)
}

// stepEntry is the journal's line of a step. The owner's answers are in it, codes are not.
func stepEntry(r Recovery, in Input, effects []Effect, now time.Time) journal.Entry {
	e := journal.Entry{At: now, Kind: journal.RecoveryStep, Account: string(r.Account), By: "owner", Cause: r.ID, Shard: -1,
		Reason: string(in.Kind), To: string(r.Status), Detail: map[string]string{}}
	for _, x := range effects {
		if x.Kind == TellHold {
			e.Detail["hold"] = r.Hold.Format(time.RFC3339)
		}
	}
	switch in.Kind {
	case InputReviewed:
		e.Detail["denied"], e.Detail["approved"] = strings.Join(in.Denied, " "), strings.Join(in.Approved, " ")
	case InputPasswordDone:
		if n := len(r.Proofs); n > 0 {
			e.Detail["how"] = r.Proofs[n-1].How
		}
	}
	return e
}

// await waits for the shard's answer to an act, and offers new recovery codes to who is in.
func (f *Flow) await(ctx context.Context, act auth.Act, res *Result) error {
	wait, cancel := context.WithTimeout(ctx, f.config.Wait)
	defer cancel()
	o, err := f.config.Desk.Await(wait, act.ID)
	switch {
	case err != nil && wait.Err() != nil && ctx.Err() == nil:
		res.Applying = true
		return nil
	case err != nil:
		return err
	case !o.Applied:
		res.Moved = true
	case act.Kind == auth.ActRecovered:
		// no part of the recovery: who is in stays in
		res.NewCodes, res.Unoffered = f.config.Codes.Offer(ctx, act.Account)
	}
	return nil
}
