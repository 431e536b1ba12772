package totp

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"doorward/auth"
	"doorward/store"
	"doorward/store/journal"
)

// Config is what Factors and Codes are made of.
type Config struct {
	Store  store.Engine
	Keys   *auth.Keys
	Now    func() time.Time
	Issuer string // what apps show beside the account: A-Z a-z 0-9 space . _ -, 1 to 64 characters
}

// Factors are the authenticator apps of accounts.
type Factors struct{ config Config }

// NewFactors checks c and makes them.
func NewFactors(c Config) (*Factors, error) {
	if err := checkIssuer(c.Issuer); err != nil {
		return nil, err
	}
	return &Factors{c}, nil
}

// the two records an account may have; pending is an enrolment that no code has confirmed yet and that proves nothing
const (
	active  = "totp"
	pending = "pending"
)

const sealSeed = "totp seed"

// factor is a stored record. Names are added, never changed.
type factor struct {
	Format int    `json:"v"`
	Sealed []byte `json:"sealed"` // seed, sealed for the account
	Since  int64  `json:"since"`  // unix milliseconds: when it was bound
	Last   uint64 `json:"last"`   // newest accepted step; only grows
	Void   bool   `json:"void,omitempty"`
	Budget budget `json:"budget"`
}

const factorFormat = 1

func factorKey(a auth.AccountID, name string) []byte {
	return store.Key(store.KindFactor, string(a), name)
}

// load reads a record and its stored bytes; nil: there is none.
func (f *Factors) load(ctx context.Context, a auth.AccountID, name string) (*factor, []byte, error) {
	v, err := f.config.Store.Get(ctx, factorKey(a, name))
	if err != nil {
		return nil, nil, fmt.Errorf("read a factor: %w", err)
	}
	if v[0] == nil {
		return nil, nil, nil
	}
	r := new(factor)
	if err := json.Unmarshal(v[0], r); err != nil {
		return nil, nil, fmt.Errorf("read a factor: %w", err)
	}
	if r.Format != factorFormat {
		return nil, nil, fmt.Errorf("read a factor: format %d is not known", r.Format)
	}
	return r, v[0], nil
}

func (f *Factors) open(a auth.AccountID, r *factor) (*seed, error) {
	b, err := f.config.Keys.Open(sealSeed, a, r.Sealed)
	if err != nil {
		return nil, fmt.Errorf("open a seed: %w", err)
	}
	s := new(seed)
	if err := json.Unmarshal(b, s); err != nil {
		return nil, errors.New("open a seed: damaged") // the JSON error would quote it
	}
	return s, nil
}

func (f *Factors) seal(a auth.AccountID, s *seed) ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, errors.New("seal a seed: it does not encode")
	}
	return f.config.Keys.Seal(sealSeed, a, b), nil
}

// pair is the stored form of r.
func (r *factor) pair(a auth.AccountID, name string) (store.Pair, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return store.Pair{}, fmt.Errorf("encode a factor: %w", err)
	}
	return store.Pair{Key: factorKey(a, name), Value: b}, nil
}

// Enrolment is what an owner sees once, to set up an app.
type Enrolment struct {
	URI string // otpauth link
	Key string // the secret in groups of four, to type
	QR  string // the link as an SVG element
}

// Enrol makes a new secret for an account and shows it. It proves nothing until Confirm; an app in use stays in use until then, an earlier
// unconfirmed enrolment is void.
func (f *Factors) Enrol(ctx context.Context, a auth.AccountID) (Enrolment, error) {
	s := &seed{Secret: make([]byte, seedSize), Algorithm: "SHA1"}
	if _, err := rand.Read(s.Secret); err != nil {
		return Enrolment{}, fmt.Errorf("make a secret: %w", err)
	}
	var e Enrolment
	var err error
	if e.URI, err = link(f.config.Issuer, string(a), s); err != nil {
		return Enrolment{}, err
	}
	if e.QR, err = Picture(e.URI); err != nil {
		return Enrolment{}, err
	}
	e.Key = groups(b32.EncodeToString(s.Secret))
	_, old, err := f.load(ctx, a, pending)
	if err != nil {
		return Enrolment{}, err
	}
	r := &factor{Format: factorFormat, Since: f.config.Now().UnixMilli()}
	if r.Sealed, err = f.seal(a, s); err != nil {
		return Enrolment{}, err
	}
	put, err := r.pair(a, pending)
	if err != nil {
		return Enrolment{}, err
	}
	b := &store.Batch{Shard: store.NoShard, Expect: []store.Expect{{Key: put.Key, Value: old}}, Put: []store.Pair{put}}
	if _, err := f.config.Store.Commit(ctx, b); err != nil {
		return Enrolment{}, fmt.Errorf("store an enrolment: %w", err)
	}
	return e, nil
}

// Confirm makes the enrolment count that its first code proves. From then on it is the account's app, the one before is gone, and the code
// is spent.
func (f *Factors) Confirm(ctx context.Context, a auth.AccountID, code string) (Result, error) {
	return f.redeem(ctx, a, pending, time.Time{}, code, func(ctx context.Context, b *store.Batch) error {
		_, err := f.config.Store.Commit(ctx, b)
		return err
	})
}

// ImportBatch is the transaction part that binds the app of an otpauth link which the platform has confirmed already: totp, 6 digits, 30 s,
// SHA-1, SHA-256 or SHA-512. It counts at once. A link with the secret that is bound already changes nothing (nil). note says what is weak
// about a link that is taken all the same. Errors never hold the secret.
func (f *Factors) ImportBatch(ctx context.Context, a auth.AccountID, uri string) (b *store.Batch, note string, err error) {
	s, note, err := parse(uri)
	if err != nil {
		return nil, "", err
	}
	old, stored, err := f.load(ctx, a, active)
	if err != nil {
		return nil, "", err
	}
	if old != nil && !old.Void {
		was, err := f.open(a, old)
		if err != nil {
			return nil, "", err
		}
		if was.equal(s) {
			return nil, note, nil
		}
	}
	now := f.config.Now().UTC()
	r := &factor{Format: factorFormat, Since: now.UnixMilli()}
	if r.Sealed, err = f.seal(a, s); err != nil {
		return nil, "", err
	}
	b, err = replace(a, active, stored, r)
	if err != nil {
		return nil, "", err
	}
	return b, note, entry(b, journal.Entry{At: now, Kind: journal.FactorEnrolled, Account: string(a), By: "platform", Shard: -1,
		Detail: map[string]string{"factor": active, "how": "import", "algorithm": s.Algorithm}})
}

// Import is ImportBatch in a transaction of its own.
func (f *Factors) Import(ctx context.Context, a auth.AccountID, uri string) (note string, err error) {
	b, note, err := f.ImportBatch(ctx, a, uri)
	if err != nil || b == nil {
		return note, err
	}
	if _, err := f.config.Store.Commit(ctx, b); err != nil {
		return "", fmt.Errorf("store an imported factor: %w", err)
	}
	return note, nil
}

// replace is the batch that puts r where stored is now.
func replace(a auth.AccountID, name string, stored []byte, r *factor) (*store.Batch, error) {
	put, err := r.pair(a, name)
	if err != nil {
		return nil, err
	}
	return &store.Batch{Shard: store.NoShard, Expect: []store.Expect{{Key: put.Key, Value: stored}}, Put: []store.Pair{put}}, nil
}

// entry adds a line of the journal to b.
func entry(b *store.Batch, e journal.Entry) error {
	l, err := journal.Append(e)
	if err != nil {
		return fmt.Errorf("journal a factor: %w", err)
	}
	b.Append = append(b.Append, l)
	return nil
}

// Standing says how an account's app stands.
func (f *Factors) Standing(ctx context.Context, a auth.AccountID) (Standing, error) {
	r, _, err := f.load(ctx, a, active)
	if err != nil || r == nil || r.Void {
		return Standing{}, err
	}
	now := f.config.Now()
	return Standing{Enrolled: true, Since: time.UnixMilli(r.Since).UTC(), Paused: r.Budget.paused(now), WaitUntil: r.Budget.until(now),
		TriesLeft: r.Budget.left(now)}, nil
}

// VoidBatch is the transaction part that ends an account's app: bound by a stranger, for all we know. Nil when there is none.
func (f *Factors) VoidBatch(ctx context.Context, a auth.AccountID, cause string) (*store.Batch, error) {
	r, stored, err := f.load(ctx, a, active)
	if err != nil || r == nil || r.Void {
		return nil, err
	}
	r.Void = true
	b, err := replace(a, active, stored, r)
	if err != nil {
		return nil, err
	}
	return b, entry(b, journal.Entry{At: f.config.Now().UTC(), Kind: journal.FactorVoided, Account: string(a), By: "doorward", Cause: cause,
		Shard: -1, Detail: map[string]string{"factor": active}})
}

// UnpauseBatch is the transaction part that gives a paused app its tries back: after another proof, or by staff. Nil when it is not paused.
func (f *Factors) UnpauseBatch(ctx context.Context, a auth.AccountID) (*store.Batch, error) {
	r, stored, err := f.load(ctx, a, active)
	if err != nil || r == nil || !r.Budget.paused(f.config.Now()) {
		return nil, err
	}
	r.Budget = budget{}
	return replace(a, active, stored, r)
}
