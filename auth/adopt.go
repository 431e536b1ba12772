package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"doorward/store"
)

// adopt takes over what was published of the account when the store has fallen behind it: a disk that lost its tail, a backup that is older
// than what the platform was told. The platform obeys what was published, so its version is passed by, never gone below; of the two states
// the stricter one holds, because nobody knows any more why the other is looser. What was touched since the first bad event is not known
// either, so a restriction that is taken over asks its owner for the most. Nothing happens when the account has passed the version.
func (a Account) adopt(act Act, sequence uint64) (Account, string) {
	p := act.Published
	if p == nil || p.Account != a.ID {
		return a, RefusedUnknown
	}
	if !Behind(&a, p) {
		return a, ""
	}
	n := a
	if theirs := published(p); strictness(theirs, p.Challenge) > strictness(a.restriction(), a.Challenge) {
		n.takeOver(p, theirs, act)
	} else if strictness(a.restriction(), a.Challenge) == 0 && p.Since != nil && p.Since.After(n.Floor) {
		// Open on both sides: what led to states that have ended since must not lead there again.
		n.Floor, n.Since = *p.Since, *p.Since
	}
	n.Version = p.Version
	if !sameState(&n, p) { // told anew, above what the platform has
		n.Version++
	}
	n.Sequence = sequence
	return n, ""
}

// takeOver gives the account the restriction that was published.
func (n *Account) takeOver(p *Record, s State, act Act) {
	n.State, n.Before, n.Challenge = s, "", p.Challenge && s != Locked
	n.Since, n.Until = act.At, time.Time{}
	if p.Since != nil {
		n.Since = *p.Since
	}
	if p.Until != nil {
		n.Until = *p.Until
	}
	n.Reason = Reason{Code: p.Reason, User: p.ReasonUser}
	n.Findings = slices.Clone(p.Findings)
	if over := len(n.Findings) - MaxFindings; over > 0 {
		n.Findings = n.Findings[over:]
	}
	if p.Case != "" {
		n.Case = p.Case
	}
	n.FirstBad = act.ID
	n.Touched = Touched{Password: true, Contact: true, Factor: true, Since: n.Since.Add(-Lookback)}
	if s == Limited || s == Locked {
		if n.Recovery = p.Recovery; n.Recovery == "" {
			n.Recovery = RecoveryID(act.ID)
		}
	}
}

// published is the restriction that a published record stands for: a recovery under way is lost with the store, what it began in is not.
func published(p *Record) State {
	switch {
	case slices.Contains(p.Refuse, RefuseLogin):
		return Locked
	case slices.Contains(p.Refuse, RefuseMoneyOut):
		return Limited
	case p.State == Probation || slices.Contains(p.Refuse, RefuseChanges):
		return Probation
	case p.State == Challenged || p.Challenge:
		return Challenged
	}
	return Open
}

// strictness orders restrictions by what they refuse.
func strictness(s State, challenge bool) int {
	n := map[State]int{Open: 0, "": 0, Challenged: 2, Probation: 4, Limited: 6, Locked: 8}[s]
	if challenge && s != Challenged && s != Locked {
		n++
	}
	return n
}

// Behind reports whether a store's account has fallen behind what was published of it: an older version, or the same one with another state.
func Behind(a *Account, p *Record) bool {
	return a.Version < p.Version || a.Version == p.Version && p.Version > 0 && !sameState(a, p)
}

func sameState(a *Account, p *Record) bool {
	s := a.State
	if s == "" {
		s = Open
	}
	return s == p.State && a.Challenge == p.Challenge && slices.Equal(a.Refuse(), p.Refuse)
}

// Adopt is the act that takes over what was published of an account: the same record, the same act.
func Adopt(id string, p Record, now time.Time) Act {
	return Act{ID: id, Kind: ActAdopt, Account: p.Account, At: now, By: "doorward", Published: &p,
		Reason: fmt.Sprintf("published as %s, version %d", p.State, p.Version)}
}

// ReadRecord reads a record as it is published; what is none, or says nothing that a shard could take over, is an error.
func ReadRecord(b []byte) (p Record, err error) {
	if err := json.Unmarshal(b, &p); err != nil {
		return p, fmt.Errorf("read a published state: %w", err)
	}
	id, err := ParseAccountID(string(p.Account))
	switch {
	case err != nil || id != p.Account:
		return p, errors.New("read a published state: the account id is not in its canonical form")
	case p.Version == 0 || p.Version >= 1<<63:
		return p, fmt.Errorf("read a published state: there is no version %d", p.Version)
	case !slices.Contains([]State{Open, Challenged, Limited, Locked, Recovering, Probation}, p.State):
		return p, fmt.Errorf("read a published state: there is no state %.20q", p.State)
	}
	return p, nil
}

// SubmitAll submits acts that need nothing beside them, as many in one transaction as it takes. An act that was submitted before is the
// same act; a batch with such a one is taken apart.
func (d *Desk) SubmitAll(ctx context.Context, acts []Act) error {
	const atOnce = 200 // acts of up to about 20 KiB each, entries and marks with them, are within store.MaxBatch
	for part := range slices.Chunk(acts, atOnce) {
		all := &store.Batch{Shard: store.NoShard}
		homes := map[int]bool{}
		for _, act := range part {
			if err := Authorise(act); err != nil {
				return err
			}
			home, err := d.config.Home(ctx, act.Account)
			if err != nil {
				return fmt.Errorf("find the home of an account: %w", err)
			}
			b, _, err := batchOf(act, home, nil)
			if err != nil {
				return err
			}
			all.Expect, all.Put, all.Append = append(all.Expect, b.Expect...), append(all.Put, b.Put...), append(all.Append, b.Append...)
			homes[home] = true
		}
		if _, err := d.config.Store.Commit(ctx, all); err != nil {
			var known *store.Conflict
			if !errors.As(err, &known) {
				return fmt.Errorf("submit %d acts: %w", len(part), err)
			}
			for _, act := range part {
				if err := d.Submit(ctx, act, nil); err != nil {
					return err
				}
			}
		}
		for home := range homes {
			d.config.Wake(home)
		}
	}
	return nil
}
