package staff

import (
	"context"
	"errors"
	"fmt"
	"time"

	"doorward/auth/totp"
	"doorward/store"
	"doorward/store/journal"
)

// ErrRefused is the one answer to a wrong name, a wrong password, a wrong or used code, and a disabled member.
var ErrRefused = errors.New("staff: name, password or code is wrong")

// Wait is the answer to too many tries, for names that exist and names that don't.
type Wait struct{ For time.Duration }

func (w *Wait) Error() string {
	return fmt.Sprintf("staff: too many tries, wait %s", w.For.Round(time.Second))
}

// SignIn checks a password and a code. address is where the request came from. ErrRefused, *Wait.
//
// The try is spent before the work and the work is the same for every name. The code is looked at only when the password is right, so that
// nobody without it can use up the codes' budget; that this takes longer is hidden by the time a refusal takes.
func (s *Staff) SignIn(ctx context.Context, name, password, code, address string) (Identity, error) {
	began := s.Now()
	name, nameErr := ParseName(name)
	now := s.Now()
	if wait, ok := s.addresses.take(address, now); !ok {
		return Identity{}, &Wait{wait}
	}
	if wait, ok := s.names.take(name, now); !ok {
		return Identity{}, &Wait{wait}
	}
	m, raw, err := s.read(ctx, name)
	if err != nil {
		return Identity{}, err
	}
	known := nameErr == nil && raw != nil
	right := false
	if err := s.hash(ctx, func() { right = rightPassword(m.Password, password, s.cost) }); err != nil {
		return Identity{}, err
	}
	if !right || !known || m.Disabled {
		return Identity{}, s.refuse(ctx, began, name, known)
	}
	r, err := s.Factors.Redeem(ctx, Subject(name), time.Time{}, code, func(ctx context.Context, b *store.Batch) error {
		fresh, raw, err := s.read(ctx, name)
		if err != nil {
			return err
		}
		if fresh.Disabled || fresh.Generation != m.Generation {
			return ErrRefused // disabled, or invited anew, since the password was looked at
		}
		m = fresh
		m.SignedIn = now.UTC()
		b.Expect = append(b.Expect, store.Expect{Key: memberKey(name), Value: raw})
		if err := m.into(b); err != nil {
			return err
		}
		return s.commit(ctx, b, m.entry(journal.Entry{Kind: journal.StaffSignedIn, By: m.By()}))
	})
	switch {
	case errors.Is(err, ErrRefused) || err == nil && r.Reason != totp.Accepted:
		return Identity{}, s.refuse(ctx, began, name, known)
	case err != nil:
		return Identity{}, fmt.Errorf("sign in: %w", err)
	}
	s.names.clear(name)
	return m.Identity, nil
}

// refuse journals a failed try and answers no sooner than floor after it began. A name that does not exist is not written down: people
// type passwords into the wrong field.
func (s *Staff) refuse(ctx context.Context, began time.Time, name string, known bool) error {
	e := journal.Entry{Kind: journal.StaffRefused, By: "doorward", Reason: "sign-in"}
	if known {
		e.Detail = map[string]string{"staff": name}
	}
	if err := s.commit(ctx, &store.Batch{}, e); err != nil {
		return err
	}
	rest := time.NewTimer(s.floor - s.Now().Sub(began))
	defer rest.Stop()
	select {
	case <-rest.C:
	case <-ctx.Done():
	}
	return ErrRefused
}

// SignedOut writes down that a member signed out.
func (s *Staff) SignedOut(ctx context.Context, i Identity) error {
	return s.commit(ctx, &store.Batch{}, journal.Entry{Kind: journal.StaffSignedOut, By: i.By()})
}

// Forbidden writes down that a member asked for what their role may not.
func (s *Staff) Forbidden(ctx context.Context, i Identity, p Permission) error {
	return s.commit(ctx, &store.Batch{}, journal.Entry{Kind: journal.StaffRefused, By: i.By(), Reason: "may not " + string(p)})
}

// Looked writes down that a member saw an owner's data in full; it is written before they see it.
func (s *Staff) Looked(ctx context.Context, i Identity, account, what, why string) error {
	return s.commit(ctx, &store.Batch{}, journal.Entry{Kind: journal.StaffLooked, By: i.By(), Account: account, Reason: why,
		Detail: map[string]string{"what": what}})
}
