package totp

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"doorward/auth"
	"doorward/store"
)

// typedCode is a recovery code as it is stored, from what somebody typed: any case, spaces and hyphens anywhere, and the digits that base32
// does not have for the letters they look like.
func typedCode(s string) (string, bool) {
	s = strings.NewReplacer("0", "O", "1", "I", "8", "B").Replace(strings.ToUpper(plain(s)))
	if len(s) != codeLength {
		return "", false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'A' || c > 'Z') && (c < '2' || c > '7') {
			return "", false
		}
	}
	return s, true
}

// Redeem spends a try on a recovery code and, when it is right, calls commit with the part that burns it, as Factors.Redeem does. A set
// issued at or after olderThan counts as none (zero: any counts).
func (c *Codes) Redeem(ctx context.Context, a auth.AccountID, olderThan time.Time, typed string, commit func(context.Context, *store.Batch) error) (Result, error) {
	code, ok := typedCode(typed)
	if !ok {
		return Result{Reason: Malformed}, nil
	}
	spent, why, err := c.reserve(ctx, a, olderThan)
	if err != nil {
		return Result{}, err
	}
	if why != Accepted {
		return Result{Reason: why, WaitUntil: spent.until(c.config.Now())}, nil
	}
	why, err = c.verify(ctx, a, code)
	if err != nil {
		return Result{}, err
	}
	if why == Accepted {
		why, err = burnWith(ctx, func() (*store.Batch, Reason, error) { return c.burn(ctx, a, code[:groupSize]) }, commit)
		if err != nil {
			return Result{}, err
		}
	}
	if why == Accepted {
		return Result{TriesLeft: freeTries}, nil
	}
	return reject(ctx, c.config, a, recoveryCodes, spent, why)
}

// reserve spends a try of the account's codes, on disk.
func (c *Codes) reserve(ctx context.Context, a auth.AccountID, olderThan time.Time) (budget, Reason, error) {
	for {
		s, stored, err := c.load(ctx, a)
		if err != nil {
			return budget{}, "", err
		}
		if s.Current == "" || !olderThan.IsZero() && s.Since >= olderThan.UnixMilli() {
			return budget{}, NotEnrolled, nil
		}
		next, why := s.Budget.reserve(c.config.Now())
		b := &store.Batch{Shard: store.NoShard}
		if why != Accepted {
			if s.Budget.Told {
				return s.Budget, why, nil
			}
			next.Told = true
			if err := entry(b, rejected(c.config.Now(), a, recoveryCodes, why)); err != nil {
				return budget{}, "", err
			}
		}
		s.Budget = next
		if err := c.put(b, a, s, stored); err != nil {
			return budget{}, "", err
		}
		switch _, err = c.config.Store.Commit(ctx, b); {
		case err == nil:
			return next, why, nil
		case !conflict(err):
			return budget{}, "", fmt.Errorf("spend a try: %w", err)
		}
	}
}

// verify hashes the code whether or not its group is known, so that the time says nothing.
func (c *Codes) verify(ctx context.Context, a auth.AccountID, code string) (Reason, error) {
	r, _, current, err := c.read(ctx, a, code[:groupSize])
	if err != nil {
		return "", err
	}
	if len(r.Salt) == 0 {
		r.Salt, r.Hash = make([]byte, saltSize), make([]byte, hashSize)
	}
	h, err := c.hash(ctx, a, code[groupSize:], r.Salt)
	switch {
	case err != nil:
		return "", err
	case subtle.ConstantTimeCompare(h, r.Hash) != 1 || !current:
		return Wrong, nil
	case r.Used != 0:
		return Used, nil
	}
	return Accepted, nil
}

// read is the record of a group and whether it belongs to the set that counts.
func (c *Codes) read(ctx context.Context, a auth.AccountID, group string) (r saved, stored []byte, current bool, err error) {
	s, _, err := c.load(ctx, a)
	if err != nil {
		return r, nil, false, err
	}
	v, err := c.config.Store.Get(ctx, codeKey(a, group))
	if err != nil {
		return r, nil, false, fmt.Errorf("read a recovery code: %w", err)
	}
	if v[0] == nil {
		return r, nil, false, nil
	}
	if err := json.Unmarshal(v[0], &r); err != nil {
		return r, nil, false, fmt.Errorf("read a recovery code: %w", err)
	}
	return r, v[0], r.Set == s.Current, nil
}

// burn is the transaction part that spends the code of a group and gives the tries back.
func (c *Codes) burn(ctx context.Context, a auth.AccountID, group string) (*store.Batch, Reason, error) {
	s, sstored, err := c.load(ctx, a)
	if err != nil {
		return nil, "", err
	}
	r, stored, _, err := c.read(ctx, a, group)
	switch {
	case err != nil:
		return nil, "", err
	case stored == nil || r.Set != s.Current:
		return nil, Wrong, nil // a new set has voided it meanwhile
	case r.Used != 0:
		return nil, Used, nil
	}
	now := c.config.Now()
	r.Used = now.UnixMilli()
	v, err := json.Marshal(r)
	if err != nil {
		return nil, "", fmt.Errorf("encode a recovery code: %w", err)
	}
	k := codeKey(a, group)
	b := &store.Batch{Shard: store.NoShard, Expect: []store.Expect{{Key: k, Value: stored}}, Put: []store.Pair{{Key: k, Value: v}}}
	s.Left, s.Budget = s.Left-1, budget{}
	if err := c.put(b, a, s, sstored); err != nil {
		return nil, "", err
	}
	return b, Accepted, entry(b, accepted(now, a, recoveryCodes))
}
