package staff

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"doorward/auth"
	"doorward/auth/totp"
	"doorward/store"
	"doorward/store/journal"
)

// Subject is the id under which a member's authenticator is kept, and what the app shows. It holds a space, which no account's id may
// (auth.ParseAccountID), so a platform can't name an account that shares it.
func Subject(name string) auth.AccountID { return auth.AccountID(name + " (staff)") }

// Config is what Staff needs.
type Config struct {
	Engine    store.Engine
	Keys      *auth.Keys
	Factors   *totp.Factors
	Now       func() time.Time
	PublicURL string // of the console, without a slash at the end: links start with it
}

// Staff keeps the identities. It is safe for concurrent use.
type Staff struct {
	Config
	names, addresses *budget
	hashing          chan struct{} // one token for each password that may be hashed at the same time: 46 MiB each
	cost             cost
	floor            time.Duration // a refusal takes at least this long, whatever was wrong
}

// New checks the configuration.
func New(c Config) (*Staff, error) {
	if c.Engine == nil || c.Keys == nil || c.Factors == nil || c.Now == nil {
		return nil, errors.New("staff: engine, keys, factors and clock are needed")
	}
	return &Staff{Config: c, names: newBudget(nameBurst, nameFill), addresses: newBudget(addressBurst, addressFill),
		hashing: make(chan struct{}, 4), cost: usualCost, floor: 400 * time.Millisecond}, nil
}

// Identity is a member of staff as others may know them.
type Identity struct {
	Name       string    `json:"name"`
	Role       Role      `json:"role"`
	Disabled   bool      `json:"disabled,omitempty"`
	Generation uint64    `json:"generation"` // grows when password or factor change or the member is disabled: older sessions end
	Joined     time.Time `json:"joined,omitzero"`
	SignedIn   time.Time `json:"signed_in,omitzero"` // the last time
}

// By is how the member stands in journals and cases.
func (i Identity) By() string { return "staff:" + i.Name }

// member is the stored form, at store.KindStaff.
type member struct {
	Identity
	Password string `json:"password,omitempty"` // PHC string; empty: can't sign in by password
}

var (
	// ErrUnknown says that there is no member of that name.
	ErrUnknown = errors.New("staff: no such member")
	// ErrLastAdmin says that nobody could administer after it.
	ErrLastAdmin = errors.New("staff: this is the last administrator")
	// ErrRole says that there is no such role.
	ErrRole = errors.New("staff: a role is admin, analyst or viewer")
)

// Get reads an identity; false when there is none.
func (s *Staff) Get(ctx context.Context, name string) (Identity, bool, error) {
	m, raw, err := s.read(ctx, name)
	return m.Identity, raw != nil, err
}

func memberKey(name string) []byte { return store.Key(store.KindStaff, name) }

func (s *Staff) read(ctx context.Context, name string) (m member, raw []byte, err error) {
	v, err := s.Engine.Get(ctx, memberKey(name))
	if err != nil {
		return m, nil, fmt.Errorf("read staff: %w", err)
	}
	if v[0] == nil {
		return m, nil, nil
	}
	if err := json.Unmarshal(v[0], &m); err != nil {
		return member{}, nil, fmt.Errorf("read staff: %w", err)
	}
	return m, v[0], nil
}

// List reads all identities by name.
func (s *Staff) List(ctx context.Context) (all []Identity, err error) {
	from := store.Key(store.KindStaff)
	var bad error
	err = s.Engine.Scan(ctx, from, store.After(from), false, func(_, value []byte) bool {
		var m member
		bad = json.Unmarshal(value, &m)
		all = append(all, m.Identity)
		return bad == nil
	})
	if err = errors.Join(err, bad); err != nil {
		return nil, fmt.Errorf("list staff: %w", err)
	}
	return all, nil
}

// SetRole gives a member another role; it counts from the next request on. ErrUnknown, ErrRole, ErrLastAdmin.
func (s *Staff) SetRole(ctx context.Context, name string, role Role, by string) error {
	if _, ok := ParseRole(string(role)); !ok {
		return ErrRole
	}
	return s.change(ctx, name, by, "role "+string(role), func(m *member) { m.Role = role })
}

// SetDisabled ends or restores a member's access from the next request on. ErrUnknown, ErrLastAdmin.
func (s *Staff) SetDisabled(ctx context.Context, name string, disabled bool, by string) error {
	why := "enabled"
	if disabled {
		why = "disabled"
	}
	return s.change(ctx, name, by, why, func(m *member) {
		m.Disabled = disabled
		m.Generation++
	})
}

// change does one compare-and-set of a member. That an administrator remains is checked against every member's stored bytes, so that
// two administrators who disable each other at the same moment don't both succeed.
func (s *Staff) change(ctx context.Context, name, by, why string, do func(*member)) error {
	for {
		m, raw, err := s.read(ctx, name)
		if err != nil {
			return err
		}
		if raw == nil {
			return ErrUnknown
		}
		was := m.administers()
		do(&m)
		expect := []store.Expect{{Key: memberKey(name), Value: raw}}
		if was && !m.administers() {
			other, err := s.anotherAdmin(ctx, name)
			if err != nil {
				return err
			}
			expect = append(expect, other)
		}
		err = s.put(ctx, m, expect, journal.Entry{Kind: journal.StaffChanged, By: by, Reason: why})
		if _, again := errors.AsType[*store.Conflict](err); again {
			continue
		}
		return err
	}
}

func (m *member) administers() bool { return m.Role == Admin && !m.Disabled && m.Password != "" }

// anotherAdmin finds an administrator apart from name who can sign in, as an expectation that they stay so.
func (s *Staff) anotherAdmin(ctx context.Context, name string) (e store.Expect, err error) {
	all, err := s.List(ctx)
	if err != nil {
		return e, err
	}
	for _, i := range all {
		m, raw, err := s.read(ctx, i.Name)
		if err != nil {
			return e, err
		}
		if i.Name != name && m.administers() {
			return store.Expect{Key: memberKey(i.Name), Value: raw}, nil
		}
	}
	return e, ErrLastAdmin
}

// put stores a member with its journal entry and whatever goes with it.
func (s *Staff) put(ctx context.Context, m member, expect []store.Expect, e journal.Entry, del ...[]byte) error {
	b := &store.Batch{Expect: expect, Delete: del}
	if err := m.into(b); err != nil {
		return err
	}
	return s.commit(ctx, b, m.entry(e))
}

// into adds the member's record to a batch.
func (m *member) into(b *store.Batch) error {
	v, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode staff: %w", err)
	}
	b.Put = append(b.Put, store.Pair{Key: memberKey(m.Name), Value: v})
	return nil
}

// entry says in an entry whom it is about.
func (m *member) entry(e journal.Entry) journal.Entry {
	e.Detail = map[string]string{"staff": m.Name, "role": string(m.Role)}
	return e
}

// commit adds the entry to the batch: what is not in the journal did not happen.
func (s *Staff) commit(ctx context.Context, b *store.Batch, e journal.Entry) error {
	e.At, e.Shard = s.Now().UTC(), store.NoShard
	line, err := journal.Append(e)
	if err != nil {
		return fmt.Errorf("journal staff: %w", err)
	}
	b.Shard = store.NoShard
	b.Append = append(b.Append, line)
	if _, err := s.Engine.Commit(ctx, b); err != nil {
		return fmt.Errorf("write staff: %w", err)
	}
	return nil
}
