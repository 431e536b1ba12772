package detect

import (
	"strings"

	"doorward/auth"
	"doorward/rules/event"
	"doorward/rules/window"
)

// accountsKept is how many account records a shard keeps in memory beyond those of the running batch; the others are read again.
// What is kept decides nothing: every record is in the store as it is here.
const accountsKept = 20_000

// accounts are the records of a shard's accounts, read through from the store. Most accounts have nothing to tell but that they are open
// and live here: those are marked plain in their windows' record, which the event needs anyway, and are neither kept nor read.
type accounts struct {
	home int
	load func(ids []auth.AccountID) ([]*auth.Account, error)
	all  bool // keep every record: a replay has no store to read them from

	young, old map[auth.AccountID]*auth.Account // as they are in the store
	batch      map[auth.AccountID]*inBatch      // asked for, or changed, since the last commit
	change     []*inBatch                       // changed, in the order of their first change
	plain      auth.Account                     // the last plain one that was asked for
	asked      *event.Event                     // whose account was found to be plain, just before it is handled
}

// inBatch is an account's record as the running batch has it. Records are never written to: a change is another record.
type inBatch struct {
	record *auth.Account // nil: nobody has seen the account
	fresh  bool          // not in the store yet
	dirty  bool
}

func newAccounts(home int, load func([]auth.AccountID) ([]*auth.Account, error), all bool) *accounts {
	if load == nil {
		load = func(ids []auth.AccountID) ([]*auth.Account, error) { return make([]*auth.Account, len(ids)), nil }
	}
	a := &accounts{home: home, load: load, all: all, batch: map[auth.AccountID]*inBatch{}, plain: auth.Account{Home: home, State: auth.Open}}
	a.forget()
	return a
}

func (a *accounts) forget() {
	a.young, a.old = map[auth.AccountID]*auth.Account{}, nil
	a.change = nil
	clear(a.batch)
}

// isPlain: does a record, which must be this shard's, tell nothing but that the account is open. Whatever changes a record sets its sequence.
func isPlain(r *auth.Account) bool { return r.Sequence == 0 }

// committed says that all changes are in the store.
func (a *accounts) committed() {
	for _, c := range a.change {
		if a.all || !isPlain(c.record) {
			a.young[c.record.ID] = c.record
		}
	}
	clear(a.change)
	a.change = a.change[:0]
	clear(a.batch) // with what is nowhere: another shard may make it meanwhile
	if len(a.young) > accountsKept && !a.all {
		a.young, a.old = map[auth.AccountID]*auth.Account{}, a.young
	}
}

// fetch reads the records of ids that are not in memory, in one request.
func (a *accounts) fetch(ids []auth.AccountID) error {
	var missing []auth.AccountID
	for _, id := range ids {
		if a.batch[id] == nil && a.kept(id) == nil {
			a.batch[id] = &inBatch{}
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	found, err := a.load(missing)
	if err != nil {
		return err // the batch ends with it
	}
	for i, r := range found {
		if r != nil {
			a.batch[missing[i]].record = r
			if !isPlain(r) {
				a.young[r.ID] = r
			}
		}
	}
	return nil
}

func (a *accounts) kept(id auth.AccountID) *auth.Account {
	if r := a.young[id]; r != nil {
		return r
	}
	if r := a.old[id]; r != nil {
		a.young[r.ID] = r
		return r
	}
	return nil
}

// peek is an account's record where it is in memory; nil: not, or nobody has seen the account.
func (a *accounts) peek(id auth.AccountID) *auth.Account {
	if b := a.batch[id]; b != nil {
		return b.record
	}
	return a.kept(id)
}

// read is an account's record; nil: nobody has seen it. It may name another shard as its home.
func (a *accounts) read(id auth.AccountID) (*auth.Account, error) {
	if r := a.peek(id); r != nil {
		return r, nil
	}
	if err := a.fetch([]auth.AccountID{id}); err != nil {
		return nil, err
	}
	return a.peek(id), nil
}

// get returns an account's record, not to be written to; one that nobody has seen is open, lives here, and is new in the next commit.
func (a *accounts) get(id auth.AccountID) (*auth.Account, error) {
	r, err := a.read(id)
	if err != nil || r != nil {
		return r, err
	}
	r = &auth.Account{ID: auth.AccountID(strings.Clone(string(id))), Home: a.home, State: auth.Open} // the event's text is good for its batch only
	a.put(r)
	a.batch[r.ID].fresh = true
	return r, nil
}

// of is get for an event's account, good until the next call.
func (a *accounts) of(e *event.Event, m *window.Memory) (*auth.Account, error) {
	if a.asked == e || m.Plain(e) {
		a.asked = nil
		a.plain.ID = e.Account
		return &a.plain, nil
	}
	return a.get(e.Account)
}

// put keeps a changed record for the next commit.
func (a *accounts) put(r *auth.Account) {
	b := a.batch[r.ID]
	if b == nil {
		b = &inBatch{}
		a.batch[r.ID] = b
	}
	b.record = r
	if !b.dirty {
		b.dirty = true
		a.change = append(a.change, b)
	}
}
