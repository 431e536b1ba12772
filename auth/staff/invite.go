package staff

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"doorward/auth/totp"
	"doorward/store"
	"doorward/store/journal"
)

// Links live so long.
const (
	InviteLife = 24 * time.Hour
	SignInLife = 24 * time.Hour // of a demo
)

// ErrLink says that a link was used, has expired, or never was one; which of them is nobody's business.
var ErrLink = errors.New("staff: the link does not work any more")

// Stage is how far somebody has come with a link.
type Stage string

const (
	Invited Stage = "invited" // a password is to be chosen
	Started Stage = "started" // the authenticator app is to be confirmed by a code
	DemoIn  Stage = "sign_in" // one press signs in
)

// Link is what a one-time link stands for.
type Link struct {
	Stage   Stage
	Name    string
	Role    Role
	Expires time.Time
	App     totp.Enrolment // Started: what the authenticator app reads
}

// invite is the stored form, at store.KindInvite under the token's hash: who reads the store can't use the links in it.
type invite struct {
	Stage   Stage     `json:"stage"`
	Name    string    `json:"name"`
	Role    Role      `json:"role"`
	Expires time.Time `json:"expires"`
	// Generation is the member's when the link was made, 0 for none: one who was disabled, or who joined by another link, since then can't
	// come back by this one.
	Generation uint64 `json:"generation,omitempty"`
	Password   string `json:"password,omitempty"` // Started: the PHC string
	App        []byte `json:"app,omitempty"`      // Started: the enrolment, sealed
}

const sealApp = "staff invitation"

// Invite makes a one-time link, good for 24 hours. A member of that name loses nothing until it is used; then its password and
// authenticator are replaced and its role is the one given: that is also the way back for staff who lost theirs. Of several links the first
// that is used is the only one, and disabling a member ends those that are out. ErrName, ErrRole.
func (s *Staff) Invite(ctx context.Context, name string, role Role, by string) (link string, err error) {
	if name, err = ParseName(name); err != nil {
		return "", err
	}
	if _, ok := ParseRole(string(role)); !ok {
		return "", ErrRole
	}
	m, _, err := s.read(ctx, name)
	if err != nil {
		return "", err
	}
	token, p, err := s.newLink(invite{Stage: Invited, Name: name, Role: role, Expires: s.Now().Add(InviteLife).UTC(), Generation: m.Generation})
	if err != nil {
		return "", err
	}
	err = s.commit(ctx, &store.Batch{Put: []store.Pair{p}}, journal.Entry{Kind: journal.StaffInvited, By: by,
		Detail: map[string]string{"staff": name, "role": string(role)}})
	return s.PublicURL + "/join/" + token, err
}

// SignInLink makes a one-time link that signs a member in with one press and nothing else; only the demo, in its own process, makes them.
// The member is made if there is none, without a password, so that no other way leads in.
func (s *Staff) SignInLink(ctx context.Context, name string, role Role) (link string, err error) {
	if name, err = ParseName(name); err != nil {
		return "", err
	}
	if _, ok := ParseRole(string(role)); !ok {
		return "", ErrRole
	}
	token, p, err := s.newLink(invite{Stage: DemoIn, Name: name, Role: role, Expires: s.Now().Add(SignInLife).UTC()})
	if err != nil {
		return "", err
	}
	b := &store.Batch{Put: []store.Pair{p}}
	if _, raw, err := s.read(ctx, name); err != nil {
		return "", err
	} else if raw == nil {
		v, err := json.Marshal(member{Identity: Identity{Name: name, Role: role, Generation: 1, Joined: s.Now().UTC()}})
		if err != nil {
			return "", fmt.Errorf("encode staff: %w", err)
		}
		b.Put = append(b.Put, store.Pair{Key: memberKey(name), Value: v})
		b.Expect = append(b.Expect, store.Expect{Key: memberKey(name)})
	}
	err = s.commit(ctx, b, journal.Entry{Kind: journal.StaffInvited, By: "doorward", Reason: "demo",
		Detail: map[string]string{"staff": name, "role": string(role)}})
	return s.PublicURL + "/enter/" + token, err
}

// newLink makes a token of 256 bits and the record under its hash.
func (s *Staff) newLink(i invite) (token string, p store.Pair, err error) {
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		panic("staff: crypto/rand never fails since Go 1.24: " + err.Error())
	}
	token = base64.RawURLEncoding.EncodeToString(raw)
	v, err := json.Marshal(i)
	if err != nil {
		return "", p, fmt.Errorf("encode link: %w", err)
	}
	return token, store.Pair{Key: linkKey(token), Value: v}, nil
}

func linkKey(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return store.Key(store.KindInvite, sum[:])
}

func (s *Staff) readLink(ctx context.Context, token string, stage Stage) (i invite, e store.Expect, err error) {
	e.Key = linkKey(token)
	v, err := s.Engine.Get(ctx, e.Key)
	if err != nil {
		return i, e, fmt.Errorf("read link: %w", err)
	}
	if v[0] == nil {
		return i, e, ErrLink
	}
	if err := json.Unmarshal(v[0], &i); err != nil {
		return i, e, fmt.Errorf("read link: %w", err)
	}
	if (stage != "" && i.Stage != stage) || !s.Now().Before(i.Expires) {
		return i, e, ErrLink
	}
	e.Value = v[0]
	return i, e, nil
}

// Peek reads what a link stands for and changes nothing. ErrLink.
func (s *Staff) Peek(ctx context.Context, token string) (Link, error) {
	i, _, err := s.readLink(ctx, token, "")
	if err != nil {
		return Link{}, err
	}
	l := Link{Stage: i.Stage, Name: i.Name, Role: i.Role, Expires: i.Expires}
	if i.App != nil {
		app, err := s.Keys.Open(sealApp, Subject(i.Name), i.App)
		if err != nil {
			return Link{}, fmt.Errorf("read link: %w", err)
		}
		if json.Unmarshal(app, &l.App) != nil {
			return Link{}, errors.New("read link: the enrolment in it is damaged") // the JSON error would quote the secret
		}
	}
	return l, nil
}

// Start takes the password of somebody who was invited and answers with the token of the next step. The link's own token is spent: only the
// browser that chose the password can go on. ErrLink, ErrShort, ErrLong, ErrGuessable.
func (s *Staff) Start(ctx context.Context, token, password string) (next string, err error) {
	i, e, err := s.readLink(ctx, token, Invited)
	if err != nil {
		return "", err
	}
	if m, _, err := s.read(ctx, i.Name); err != nil {
		return "", err
	} else if m.Generation != i.Generation {
		return "", ErrLink
	}
	if err := CheckPassword(i.Name, password); err != nil {
		return "", err
	}
	if err := s.hash(ctx, func() { i.Password = hashPassword(password, s.cost) }); err != nil {
		return "", err
	}
	enrolment, err := s.Factors.Enrol(ctx, Subject(i.Name))
	if err != nil {
		return "", fmt.Errorf("begin enrolment: %w", err)
	}
	app, err := json.Marshal(enrolment)
	if err != nil {
		return "", errors.New("begin enrolment: it does not encode")
	}
	i.Stage, i.App = Started, s.Keys.Seal(sealApp, Subject(i.Name), app)
	next, p, err := s.newLink(i)
	if err != nil {
		return "", err
	}
	_, err = s.Engine.Commit(ctx, &store.Batch{Shard: store.NoShard, Expect: []store.Expect{e}, Put: []store.Pair{p}, Delete: [][]byte{e.Key}})
	return next, linkError(err)
}

// Finish takes the first code of the authenticator app: the member joins, or comes back with a new password and a new authenticator, and
// every session of before ends. Should the process die between code and record, the way on is another invitation. ErrLink, ErrRefused (a wrong code).
func (s *Staff) Finish(ctx context.Context, token, code string) (Identity, error) {
	i, e, err := s.readLink(ctx, token, Started)
	if err != nil {
		return Identity{}, err
	}
	m, raw, err := s.read(ctx, i.Name)
	if err != nil {
		return Identity{}, err
	}
	if m.Generation != i.Generation {
		return Identity{}, ErrLink
	}
	if r, err := s.Factors.Confirm(ctx, Subject(i.Name), code); err != nil {
		return Identity{}, fmt.Errorf("confirm enrolment: %w", err)
	} else if r.Reason != totp.Accepted {
		return Identity{}, ErrRefused
	}
	now := s.Now().UTC()
	if raw == nil {
		m.Joined = now
	}
	m.Name, m.Role, m.Disabled, m.Password, m.SignedIn = i.Name, i.Role, false, i.Password, now
	m.Generation++
	err = s.put(ctx, m, []store.Expect{e, {Key: memberKey(i.Name), Value: raw}}, journal.Entry{Kind: journal.StaffJoined, By: m.By()}, e.Key)
	if err := linkError(err); err != nil {
		return Identity{}, err
	}
	s.names.clear(i.Name)
	return m.Identity, nil
}

// Enter spends a demo's sign-in link. ErrLink.
func (s *Staff) Enter(ctx context.Context, token string) (Identity, error) {
	i, e, err := s.readLink(ctx, token, DemoIn)
	if err != nil {
		return Identity{}, err
	}
	m, raw, err := s.read(ctx, i.Name)
	if err != nil {
		return Identity{}, err
	}
	if raw == nil || m.Disabled {
		return Identity{}, ErrLink
	}
	m.SignedIn = s.Now().UTC()
	err = s.put(ctx, m, []store.Expect{e, {Key: memberKey(i.Name), Value: raw}},
		journal.Entry{Kind: journal.StaffSignedIn, By: m.By(), Reason: "demo link"}, e.Key)
	return m.Identity, linkError(err)
}

// linkError: who lost the race for a link finds it spent.
func linkError(err error) error {
	if _, lost := errors.AsType[*store.Conflict](err); lost {
		return ErrLink
	}
	return err
}

// hash does expensive work when its turn comes.
func (s *Staff) hash(ctx context.Context, work func()) error {
	select {
	case s.hashing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.hashing }()
	work()
	return nil
}
