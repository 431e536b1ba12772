package auth

import (
	"context"
	"encoding/json"
	"fmt"

	"doorward/store"
)

// Profile is what Doorward needs to reach an owner (PUT /v1/accounts/{id}). It is stored sealed, whole, at store.KindProfile.
type Profile struct {
	Emails   []Contact `json:"emails,omitempty"`
	Phone    *Contact  `json:"phone,omitempty"`
	Language string    `json:"language,omitempty"` // BCP 47, one of the languages of the sites
}

// Contact is one way to reach an owner. Since is when Doorward first heard of it (unix milliseconds): one that came after the first bad
// event serves no recovery.
type Contact struct {
	Address string `json:"address"`
	Since   int64  `json:"since"`
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
