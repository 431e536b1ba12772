package recovery

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"fmt"
	"math/big"

	"doorward/auth/totp"
	"doorward/store"
	"doorward/store/journal"
)

// mailMAC is how a mailed code is kept: bound to its recovery and account.
func (f *Flow) mailMAC(r *Recovery, code string) []byte {
	mac := f.config.Keys.MAC("mail code", []byte(r.ID), []byte(r.Account), []byte(code))
	return mac[:]
}

func newMailCode() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(100_000_000))
	if err != nil {
		return "", fmt.Errorf("make a code: %w", err)
	}
	return fmt.Sprintf("%0*d", mailDigits, n), nil
}

// sendMail makes a code, stores it, and only then sends it: a code that nobody can check is worse than one that is sent again.
func (f *Flow) sendMail(ctx context.Context, s *situation, in Input) (Result, error) {
	code, err := newMailCode()
	if err != nil {
		return Result{}, err
	}
	for {
		now := f.now()
		in.Facts, in.Mail = s.facts, &MailCode{MAC: f.mailMAC(&s.r, code)}
		if in.Address >= 0 && in.Address < len(s.facts.Addresses) {
			in.Mail.Address = mask(s.facts.Addresses[in.Address])
		}
		next, effects := Next(s.r, in, now)
		if effects[0].Kind == Refuse {
			return Result{Refused: effects[0].Why}, nil
		}
		b, err := f.batch(next, s.stored, now, string(in.Kind))
		if err != nil {
			return Result{}, err
		}
		if _, err = f.config.Store.Commit(ctx, b); err == nil {
			break
		} else if !conflict(err) {
			return Result{}, fmt.Errorf("store a mailed code: %w", err)
		}
		if s, err = f.look(ctx, s.r.ID); err != nil {
			return Result{}, err
		}
	}
	if err := f.config.SendCode(ctx, s.r.Account, s.facts.Addresses[in.Address], code); err != nil {
		return Result{}, fmt.Errorf("send a code: %w", err)
	}
	return Result{TriesLeft: mailTries}, nil
}

// mailed spends a try on a mailed code, on disk, before it looks at it; right is called with the MAC of a code that was right.
func (f *Flow) mailed(ctx context.Context, s *situation, in Input, right func(verified []byte) error) (Result, error) {
	code, ok := totp.Digits(in.Code, mailDigits)
	if !ok {
		return Result{Refused: RefusedWrong, Code: totp.Malformed}, nil
	}
	for {
		now := f.now()
		if step := s.r.current(Demand(s.r.known(s.facts, now)), now); step != StepMailCode || !s.open() {
			return Result{Refused: RefusedStep}, nil
		}
		m := s.r.Mail
		if m == nil || !now.Before(m.Until) {
			return Result{Refused: RefusedWrong, Code: totp.NotEnrolled}, nil
		}
		if m.Tries >= mailTries {
			return Result{Refused: RefusedWrong, Code: totp.Paused}, nil
		}
		next := s.r.clone()
		next.Mail.Tries++
		put, err := next.pair()
		if err != nil {
			return Result{}, err
		}
		b := &store.Batch{Shard: store.NoShard, Expect: []store.Expect{{Key: put.Key, Value: s.stored}}, Put: []store.Pair{put}}
		if _, err = f.config.Store.Commit(ctx, b); err == nil {
			return f.checkMailed(ctx, next, code, right)
		} else if !conflict(err) {
			return Result{}, fmt.Errorf("spend a try: %w", err)
		}
		if s, err = f.look(ctx, s.r.ID); err != nil {
			return Result{}, err
		}
	}
}

// open says whether the recovery still takes proofs.
func (s *situation) open() bool {
	return s.r.Status != Applying && s.r.Status != Finished && restricted(&s.facts.Account) && s.facts.Account.Recovery == s.r.ID
}

func (f *Flow) checkMailed(ctx context.Context, r Recovery, code string, right func(verified []byte) error) (Result, error) {
	if hmac.Equal(r.Mail.MAC, f.mailMAC(&r, code)) {
		return Result{}, right(r.Mail.MAC)
	}
	b := &store.Batch{Shard: store.NoShard}
	if err := addEntry(b, journal.Entry{At: f.now(), Kind: journal.CodeRejected, Account: string(r.Account), By: "owner", Cause: r.ID, Shard: -1,
		Reason: string(totp.Wrong), Detail: map[string]string{"factor": "mail"}}); err != nil {
		return Result{}, err
	}
	if _, err := f.config.Store.Commit(ctx, b); err != nil {
		return Result{}, fmt.Errorf("journal a rejected code: %w", err)
	}
	left := mailTries - r.Mail.Tries
	if left == 0 {
		f.warn(ctx, r.Account, "budget")
	}
	return Result{Refused: RefusedWrong, Code: totp.Wrong, TriesLeft: left}, nil
}
