package detect

import (
	"doorward/auth"
)

// accountsKept is how many account records a shard keeps in memory beyond those of the running batch; the others are read again.
// What is kept decides nothing: every record is in the store as it is here.
const accountsKept = 200_000

// accounts are the records of a shard's accounts, read through from the store.
type accounts struct {
	home   int
	load   func(ids []auth.AccountID) ([]*auth.Account, error)
	young  map[auth.AccountID]*auth.Account
	old    map[auth.AccountID]*auth.Account
	change []auth.AccountID // changed since the last commit, in order of their first change
	fresh  map[auth.AccountID]bool
	absent map[auth.AccountID]bool // asked for in this batch, and nowhere
	dirty  map[auth.AccountID]bool
}

func newAccounts(home int, load func([]auth.AccountID) ([]*auth.Account, error)) *accounts {
	if load == nil {
		load = func(ids []auth.AccountID) ([]*auth.Account, error) { return make([]*auth.Account, len(ids)), nil }
	}
	a := &accounts{home: home, load: load, fresh: map[auth.AccountID]bool{}, dirty: map[auth.AccountID]bool{}, absent: map[auth.AccountID]bool{}}
	a.forget()
	return a
}

func (a *accounts) forget() {
	a.young, a.old = map[auth.AccountID]*auth.Account{}, nil
	a.committed()
}

// committed says that all changes are in the store.
func (a *accounts) committed() {
	a.settled()
	if len(a.young) > accountsKept {
		a.young, a.old = map[auth.AccountID]*auth.Account{}, a.young
	}
}

// settled forgets what has changed, and keeps every record: a replay has no store to read them from.
func (a *accounts) settled() {
	a.change = a.change[:0]
	clear(a.fresh)
	clear(a.dirty)
	clear(a.absent) // another shard may make one meanwhile
}

// fetch reads the records of ids that are not in memory, in one request.
func (a *accounts) fetch(ids []auth.AccountID) error {
	var missing []auth.AccountID
	for _, id := range ids {
		if a.peek(id) == nil && !a.absent[id] {
			a.absent[id] = true
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	found, err := a.load(missing)
	if err != nil {
		clear(a.absent)
		return err
	}
	for i, r := range found {
		if r != nil {
			a.young[missing[i]] = r
			delete(a.absent, missing[i])
		}
	}
	return nil
}

func (a *accounts) peek(id auth.AccountID) *auth.Account {
	if r := a.young[id]; r != nil {
		return r
	}
	if r := a.old[id]; r != nil {
		a.young[id] = r
		return r
	}
	return nil
}

// get returns an account's record; one that nobody has seen is open, lives here, and is new in the next commit.
func (a *accounts) get(id auth.AccountID) (auth.Account, error) {
	if r := a.peek(id); r != nil {
		return *r, nil
	}
	if err := a.fetch([]auth.AccountID{id}); err != nil {
		return auth.Account{}, err
	}
	if r := a.peek(id); r != nil {
		return *r, nil
	}
	a.fresh[id] = true
	r := auth.Account{ID: id, Home: a.home, State: auth.Open}
	a.put(r)
	return r, nil
}

// foreign reports whether an account is known to live on another shard, and where.
func (a *accounts) foreign(id auth.AccountID) (home int, yes bool, err error) {
	if err := a.fetch([]auth.AccountID{id}); err != nil {
		return 0, false, err
	}
	r := a.peek(id)
	return homeOf(r), r != nil && r.Home != a.home, nil
}

func homeOf(r *auth.Account) int {
	if r == nil {
		return -1
	}
	return r.Home
}

// put keeps a changed record for the next commit.
func (a *accounts) put(r auth.Account) {
	a.young[r.ID] = &r
	if !a.dirty[r.ID] {
		a.dirty[r.ID] = true
		a.change = append(a.change, r.ID)
	}
}
