package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"doorward/store"
	"doorward/store/journal"
)

// DeskConfig is what a Desk is made of; all of it is needed.
type DeskConfig struct {
	Store store.Engine
	// Home is the shard that an account lives on, or would live on.
	Home func(context.Context, AccountID) (int, error)
	// Wake tells a shard that its inbox has something.
	Wake func(shard int)
	Now  func() time.Time
}

// Desk is the one way in for acts: it authorises them, journals them and puts them into the inbox of the account's shard, all in one
// transaction. It moves no state.
type Desk struct{ config DeskConfig }

// NewDesk makes a desk.
func NewDesk(c DeskConfig) *Desk { return &Desk{c} }

// may is who may do what: the kind of maker, then what it may ask for. What is not here is refused.
var may = map[string][]ActKind{
	"owner":    {ActVerified, ActBegin, ActGiveUp, ActRecovered, ActDenied, ActApproved, ActTrust},
	"staff":    {ActLock, ActLimit, ActUnlock, ActRecovered, ActCaseClose, ActCaseNote},
	"operator": {ActLock, ActLimit, ActUnlock},
	"platform": {ActVerified}, // the owner's code, handed on
	"deadline": {ActExpire, ActGiveUp},
	"doorward": {ActAdopt}, // at a start, when the store is behind what was published
}

// Forbidden is the error of an act that its maker may not do, or that says too little. Problem is for the maker's eyes.
type Forbidden struct{ Problem string }

func (f *Forbidden) Error() string { return "act refused: " + f.Problem }

// Authorise says whether an act may be put to its shard at all: the one place where that is decided. It returns a *Forbidden.
func Authorise(act Act) error {
	maker, name, named := strings.Cut(act.By, ":")
	needs := func(what, value string) error {
		if strings.TrimSpace(value) == "" {
			return &Forbidden{fmt.Sprintf("%s needs %s", act.Kind, what)}
		}
		return nil
	}
	switch {
	case act.ID == "" || len(act.ID) > MaxID || strings.ContainsRune(act.ID, 0):
		return &Forbidden{"an act needs an id of 1 to 256 bytes"}
	case act.At.IsZero():
		return &Forbidden{"an act needs its time"}
	case !slices.Contains(may[maker], act.Kind):
		return &Forbidden{fmt.Sprintf("%q may not do %q", act.By, act.Kind)}
	case named != (maker == "staff") || named && strings.TrimSpace(name) == "":
		return &Forbidden{"staff act under their name, nobody else does"}
	}
	if id, err := ParseAccountID(string(act.Account)); err != nil || id != act.Account {
		return &Forbidden{"the account id is not in its canonical form"}
	}
	if maker == "staff" || maker == "operator" {
		if err := needs("a reason", act.Reason); err != nil {
			return err
		}
	}
	switch act.Kind {
	case ActAdopt:
		if act.Published == nil || act.Published.Account != act.Account || act.Published.Version == 0 {
			return &Forbidden{"adopt needs the account's published record"}
		}
	case ActTrust:
		return needs("a device", act.Device)
	case ActCaseClose, ActCaseNote:
		return needs("a case", act.Case)
	case ActBegin, ActGiveUp:
		return needs("a recovery", act.Recovery)
	}
	return nil
}

// pendingKey marks an act that is in an inbox: beside its outcome, so that whoever ends the one ends the other.
func pendingKey(id string) []byte { return store.Key(store.KindOutcome, id, "pending") }
func outcomeKey(id string) []byte { return store.Key(store.KindOutcome, id) }

// Submit puts act into its shard's inbox, together with the parts of with (its expectations, puts, deletes and appends; may be nil), with
// an entry in the journal, and wakes the shard. A zero At is now. An act whose id has been submitted before is the same act: nil, and
// neither it nor with has a second effect. *Forbidden: it may not be done. *store.Conflict: an expectation of with failed, nothing was
// done; Index counts in with.Expect. Any other error leaves it open whether the act was put in: submitting it again is safe.
func (d *Desk) Submit(ctx context.Context, act Act, with *store.Batch) error {
	if act.At.IsZero() {
		act.At = d.config.Now().UTC().Truncate(time.Millisecond)
	}
	if err := Authorise(act); err != nil {
		return err
	}
	home, err := d.config.Home(ctx, act.Account)
	if err != nil {
		return fmt.Errorf("find the home of an account: %w", err)
	}
	b, theirs, err := batchOf(act, home, with)
	if err != nil {
		return err
	}
	if _, err := d.config.Store.Commit(ctx, b); err != nil {
		var c *store.Conflict
		if errors.As(err, &c) && c.Index >= theirs {
			return nil
		}
		return fmt.Errorf("submit act %s: %w", act.Kind, err)
	}
	d.config.Wake(home)
	return nil
}

// batchOf is the one transaction of an act; theirs is how many expectations are with's.
func batchOf(act Act, home int, with *store.Batch) (b *store.Batch, theirs int, err error) {
	line, err := EncodeAct(act)
	if err != nil {
		return nil, 0, err
	}
	entry, err := journal.Append(journal.Entry{At: act.At, Kind: journal.ActMade, Account: string(act.Account), By: act.By, Cause: act.ID,
		Shard: home, Reason: act.Reason, Detail: act.detail()})
	if err != nil {
		return nil, 0, fmt.Errorf("journal an act: %w", err)
	}
	b = &store.Batch{Shard: store.NoShard}
	if with != nil {
		b.Expect, b.Put, b.Delete, b.Append = slices.Clone(with.Expect), slices.Clone(with.Put), slices.Clone(with.Delete), slices.Clone(with.Append)
	}
	theirs = len(b.Expect)
	b.Expect = append(b.Expect, store.Expect{Key: outcomeKey(act.ID)}, store.Expect{Key: pendingKey(act.ID)})
	mark, err := json.Marshal(struct {
		At    time.Time `json:"at"` // by which it is swept, with its outcome
		Inbox store.Log `json:"inbox"`
	}{act.At, store.Inbox(home)})
	if err != nil {
		return nil, 0, fmt.Errorf("encode the mark of an act: %w", err)
	}
	b.Put = append(b.Put, store.Pair{Key: pendingKey(act.ID), Value: mark})
	b.Append = append(b.Append, entry, store.Append{Log: store.Inbox(home), Value: line})
	return b, theirs, nil
}

// detail is what the journal keeps of an act beside what every entry has.
func (a *Act) detail() map[string]string {
	d := map[string]string{"act": string(a.Kind)}
	for k, v := range map[string]string{"recovery": a.Recovery, "case": a.Case, "outcome": a.Outcome, "refers_to": a.RefersTo} {
		if v != "" {
			d[k] = v
		}
	}
	return d
}

// Await returns what became of an act once its shard has applied it, or ctx's error when that takes longer.
func (d *Desk) Await(ctx context.Context, actID string) (Outcome, error) {
	const first, last = 2 * time.Millisecond, 25 * time.Millisecond // a shard commits every few ms
	for wait := first; ; wait = min(2*wait, last) {
		o, ok, err := LoadOutcome(ctx, d.config.Store, actID)
		if ok || err != nil {
			return o, err
		}
		select {
		case <-ctx.Done():
			return Outcome{}, fmt.Errorf("wait for the shard to apply an act: %w", ctx.Err())
		case <-time.After(wait):
		}
	}
}

// LoadOutcome reads what became of an act; false while its shard has not applied it.
func LoadOutcome(ctx context.Context, s store.Engine, actID string) (o Outcome, ok bool, err error) {
	v, err := s.Get(ctx, outcomeKey(actID))
	if err != nil {
		return o, false, fmt.Errorf("read the outcome of an act: %w", err)
	}
	if v[0] == nil {
		return o, false, nil
	}
	if err := json.Unmarshal(v[0], &o); err != nil {
		return o, false, fmt.Errorf("read the outcome of an act: %w", err)
	}
	return o, true, nil
}

// EncodeAct is an act's line in an inbox.
func EncodeAct(a Act) ([]byte, error) {
	b, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("encode act: %w", err)
	}
	return b, nil
}

// DecodeAct reads a line of an inbox. An act that Authorise refuses is refused here too: an inbox is no way around the desk.
func DecodeAct(line []byte) (Act, error) {
	var a Act
	if err := json.Unmarshal(line, &a); err != nil {
		return Act{}, fmt.Errorf("decode act: %w", err)
	}
	if err := Authorise(a); err != nil {
		return Act{}, fmt.Errorf("decode act: %w", err)
	}
	return a, nil
}

// LoadAccount reads an account's record and its stored bytes (for store.Expect); an account never seen is open, version 0, and nil.
func LoadAccount(ctx context.Context, s store.Engine, id AccountID) (Account, []byte, error) {
	v, err := s.Get(ctx, store.Key(store.KindAccount, string(id)))
	if err != nil {
		return Account{}, nil, fmt.Errorf("read account: %w", err)
	}
	if v[0] == nil {
		return Account{ID: id, State: Open}, nil, nil
	}
	var a Account
	if err := json.Unmarshal(v[0], &a); err != nil {
		return Account{}, nil, fmt.Errorf("read account: %w", err)
	}
	return a, v[0], nil
}
