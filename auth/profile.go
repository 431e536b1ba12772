package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"doorward/store"
)

// Profile is what Doorward needs to reach an owner (PUT /v1/accounts/{id}). It is stored sealed, whole, at store.KindProfile.
type Profile struct {
	Emails   []Contact `json:"emails,omitempty"`
	Former   []Contact `json:"former,omitempty"` // e-mail addresses that the platform took away, newest last, at most MaxFormer
	Phone    *Contact  `json:"phone,omitempty"`
	Language string    `json:"language,omitempty"` // BCP 47, one of the languages of the sites
}

// Contact is one way to reach an owner. Since is when Doorward first heard of it (unix milliseconds): one that came after the first bad
// event serves no recovery.
type Contact struct {
	Address string `json:"address"`
	Since   int64  `json:"since"`
	Gone    int64  `json:"gone,omitempty"` // Former: when the platform took it away, unix milliseconds
}

// FormerKept is how long an address that was taken away still gets notices and may serve a recovery: whoever changes an owner's address
// must not silence them by it (reference: security S-39). The length is ours: the longest that a bank takes to send a statement.
const FormerKept = 30 * 24 * time.Hour

// MaxFormer is how many of them are kept; more changes than that in a month give up the newest, never the oldest.
const MaxFormer = 10

// Reachable are the addresses that a notice of the time now goes to.
func (p *Profile) Reachable(now time.Time) []string {
	var all []string
	for _, c := range p.Emails {
		if !slices.Contains(all, c.Address) {
			all = append(all, c.Address)
		}
	}
	for _, c := range p.Former {
		if now.UnixMilli()-c.Gone < FormerKept.Milliseconds() && !slices.Contains(all, c.Address) {
			all = append(all, c.Address)
		}
	}
	return all
}

// OlderThan are the addresses that were the owner's before the time since: what was put in at or after it may be a thief's, and what was
// taken away after it may be the owner's. A zero since: those of now.
func (p *Profile) OlderThan(since time.Time) []string {
	var all []string
	for _, c := range p.Emails {
		if since.IsZero() || c.Since < since.UnixMilli() {
			all = append(all, c.Address)
		}
	}
	for _, c := range p.Former {
		if !since.IsZero() && c.Since < since.UnixMilli() && c.Gone >= since.UnixMilli() && !slices.Contains(all, c.Address) {
			all = append(all, c.Address)
		}
	}
	return all
}

// Replaced is what becomes of p's former addresses when fresh takes its place at the time now.
func (p *Profile) Replaced(fresh []Contact, now int64) []Contact {
	var former []Contact
	for _, c := range p.Former {
		if now-c.Gone < FormerKept.Milliseconds() {
			former = append(former, c)
		}
	}
	for _, c := range p.Emails {
		if !slices.ContainsFunc(fresh, func(f Contact) bool { return f.Address == c.Address }) && len(former) < MaxFormer {
			former = append(former, Contact{Address: c.Address, Since: c.Since, Gone: now})
		}
	}
	return former
}

const sealProfile = "profile"

// ProfilePair is the sealed record of p.
func ProfilePair(k *Keys, id AccountID, p *Profile) (store.Pair, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return store.Pair{}, fmt.Errorf("encode profile: %w", err)
	}
	return store.Pair{Key: store.Key(store.KindProfile, string(id)), Value: k.Seal(sealProfile, id, b)}, nil
}

// LoadProfile reads an owner's profile and its stored bytes (for store.Expect); an account without one has the empty Profile and nil.
func LoadProfile(ctx context.Context, s store.Engine, k *Keys, id AccountID) (*Profile, []byte, error) {
	v, err := s.Get(ctx, store.Key(store.KindProfile, string(id)))
	if err != nil {
		return nil, nil, fmt.Errorf("read profile: %w", err)
	}
	p := new(Profile)
	if v[0] == nil {
		return p, nil, nil
	}
	b, err := k.Open(sealProfile, id, v[0])
	if err != nil {
		return nil, nil, fmt.Errorf("read profile: %w", err)
	}
	if err := json.Unmarshal(b, p); err != nil {
		return nil, nil, fmt.Errorf("read profile: %w", err)
	}
	return p, v[0], nil
}
