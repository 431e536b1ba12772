package detect

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"time"

	"doorward/auth"
	"doorward/store"
)

// Difference is where a replay and the store do not agree.
type Difference struct {
	Kind     string `json:"kind"` // finding, account, shard
	ID       string `json:"id"`   // the finding's or account's; the shard's number
	Account  string `json:"account,omitempty"`
	Rule     string `json:"rule,omitempty"`
	Field    string `json:"field,omitempty"` // empty: all of it is there or not
	Stored   string `json:"stored"`          // JSON; empty: nothing
	Replayed string `json:"replayed"`
}

// Followed is what a replay of a store saw.
type Followed struct {
	Inputs      uint64 // records, acts, rule sets: sequences of all shards
	Findings    int    // found by the replay
	Accounts    int    // compared
	Swept       int    // findings that the replay has and the store may have swept: not checked
	Counts      Counts
	Notes       []string     // why something may differ although nothing is wrong
	Differences []Difference // at most MaxDifferences
	Differing   int          // all of them
}

// MaxDifferences is how many differences are kept for people to read.
const MaxDifferences = 1000

// comparison holds what was replayed to what is stored.
type comparison struct {
	engine   store.Engine
	swept    time.Time
	findings int
	accounts int
	unknown  int
	same     map[string]bool         // findings that are as they are stored, by id
	differ   map[string][]Difference // and that are not
	list     []Difference
	total    int
}

func (c *comparison) add(d Difference) {
	c.total++
	if len(c.list) < MaxDifferences {
		c.list = append(c.list, d)
	}
}

// finding compares one. Two shards may have found the same at once about an event that came to both: the store keeps one of them, so that it
// is enough if one is the same.
func (c *comparison) finding(ctx context.Context, f *Finding) error {
	c.findings++
	b, err := c.engine.Get(ctx, store.Key(store.KindFinding, f.ID))
	if err != nil {
		return fmt.Errorf("read a finding: %w", err)
	}
	replayed, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode a finding: %w", err)
	}
	d := Difference{Kind: "finding", ID: f.ID, Account: string(f.Account), Rule: f.Rule}
	switch {
	case bytes.Equal(b[0], replayed):
		c.same[f.ID] = true
		delete(c.differ, f.ID)
	case c.same[f.ID]:
	case b[0] == nil && f.At.Before(c.swept):
		c.unknown++
		c.same[f.ID] = true
	default:
		c.differ[f.ID] = fields(d, b[0], replayed)
	}
	return nil
}

// fields are the names in which two JSON objects differ.
func fields(d Difference, stored, replayed []byte) []Difference {
	var a, b map[string]json.RawMessage
	if json.Unmarshal(stored, &a) != nil || json.Unmarshal(replayed, &b) != nil { // one of them is nothing, or no object
		d.Stored, d.Replayed = string(stored), string(replayed)
		return []Difference{d}
	}
	var names []string
	for name := range a {
		names = append(names, name)
	}
	for name := range b {
		if _, both := a[name]; !both {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	var all []Difference
	for _, name := range names {
		if !bytes.Equal(a[name], b[name]) {
			one := d
			one.Field, one.Stored, one.Replayed = name, string(a[name]), string(b[name])
			all = append(all, one)
		}
	}
	if len(all) == 0 { // the same fields in another order
		d.Stored, d.Replayed = string(stored), string(replayed)
		all = append(all, d)
	}
	return all
}

// stored looks for findings and accounts that the store has and the replay has not.
func (c *comparison) stored(ctx context.Context, kind byte, f func(key string, value []byte) error) error {
	var bad error
	from := store.Key(kind)
	err := c.engine.Scan(ctx, from, store.After(from), false, func(k, v []byte) bool {
		bad = f(string(k[1:]), v)
		return bad == nil
	})
	if err == nil {
		err = bad
	}
	return err
}

// onlyStored is a finding that no line of the log leads to.
func (c *comparison) onlyStored(id string, value []byte) error {
	if c.same[id] || c.differ[id] != nil {
		return nil
	}
	var f Finding
	if err := json.Unmarshal(value, &f); err != nil {
		return fmt.Errorf("read finding %s: %w", id, err)
	}
	c.add(Difference{Kind: "finding", ID: id, Account: string(f.Account), Rule: f.Rule, Stored: string(value)})
	return nil
}

// account compares an account's record with what the replay has, which may be nil.
func (c *comparison) account(id string, value []byte, a *auth.Account) error {
	c.accounts++
	var replayed []byte
	if a != nil {
		var err error
		if replayed, err = json.Marshal(a); err != nil {
			return fmt.Errorf("encode an account: %w", err)
		}
	}
	if bytes.Equal(value, replayed) {
		return nil
	}
	for _, d := range fields(Difference{Kind: "account", ID: id, Account: id}, value, replayed) {
		c.add(d)
	}
	return nil
}

// atEnd compares all that is left to compare: where the shards stand, the accounts, and the findings that only the store has.
func (f *Follower) atEnd(ctx context.Context) error {
	c := &f.compare
	ids := make([]string, 0, len(c.differ))
	for id := range c.differ {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		for _, d := range c.differ[id] {
			c.add(d)
		}
	}
	for _, s := range f.shards {
		if err := f.stands(ctx, s); err != nil {
			return err
		}
	}
	if err := c.stored(ctx, store.KindFinding, c.onlyStored); err != nil {
		return fmt.Errorf("compare findings: %w", err)
	}
	seen := 0
	err := c.stored(ctx, store.KindAccount, func(id string, value []byte) error {
		var home struct {
			Home int `json:"home"`
		}
		if err := json.Unmarshal(value, &home); err != nil {
			return fmt.Errorf("read account %s: %w", id, err)
		}
		a := f.account(home.Home, auth.AccountID(id))
		if a != nil {
			seen++
		}
		return c.account(id, value, a)
	})
	if err != nil {
		return fmt.Errorf("compare accounts: %w", err)
	}
	return f.onlyReplayed(ctx, seen)
}

func (f *Follower) account(home int, id auth.AccountID) *auth.Account {
	if home < 0 || home >= len(f.shards) || f.shards[home].v == nil {
		return nil
	}
	return f.shards[home].v.accounts.peek(id)
}

// onlyReplayed are accounts that the store does not have; there are some only if the replay has more than were seen there.
func (f *Follower) onlyReplayed(ctx context.Context, seen int) error {
	have := 0
	for _, s := range f.shards {
		if s.v != nil {
			have += len(s.v.accounts.young)
		}
	}
	if have == seen {
		return nil
	}
	for _, s := range f.shards {
		if s.v == nil {
			continue
		}
		for id, a := range s.v.accounts.young {
			b, err := f.config.Store.Get(ctx, store.Key(store.KindAccount, string(id)))
			if err != nil {
				return fmt.Errorf("compare accounts: %w", err)
			}
			if b[0] == nil {
				if err := f.compare.account(string(id), nil, a); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// stands compares where a shard stands with where its log ends.
func (f *Follower) stands(ctx context.Context, s *followed) error {
	b, err := f.config.Store.Get(ctx, store.Key(store.KindProgress, store.Shard(s.n)))
	if err != nil {
		return fmt.Errorf("read progress: %w", err)
	}
	var p progress
	if b[0] != nil {
		if err := json.Unmarshal(b[0], &p); err != nil {
			return fmt.Errorf("read progress: %w: %w", errNotOurs, err)
		}
	}
	if p.Sequence != s.last {
		f.compare.add(Difference{Kind: "shard", ID: fmt.Sprint(s.n), Field: "sequence", Stored: fmt.Sprint(p.Sequence), Replayed: fmt.Sprint(s.last)})
	}
	return nil
}

// followed is what has been seen by now.
func (f *Follower) followed() Followed {
	c := &f.compare
	out := Followed{Findings: c.findings, Accounts: c.accounts, Swept: c.unknown, Notes: f.notes, Differences: c.list, Differing: c.total}
	for _, s := range f.shards {
		out.Inputs += s.last
		if s.v != nil {
			out.Counts.add(s.v.counts)
		}
	}
	return out
}

// Accounts calls each for every account whose state is, or ever was, another than open, in no order.
func (f *Follower) Accounts(each func(auth.Account)) {
	for _, s := range f.shards {
		if s.v == nil {
			continue
		}
		for _, a := range s.v.accounts.young {
			if a.Version > 0 {
				each(*a)
			}
		}
	}
}
