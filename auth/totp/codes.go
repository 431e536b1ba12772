package totp

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"

	"doorward/auth"
	"doorward/store"
	"doorward/store/journal"
)

// D-4 in security.md: ten codes of 20 base32 characters. The first four select the record, so that a try costs one hash; the other 16, 80
// bits, are the secret (NIST SP 800-63B-4, 4.2.1.1, asks for 64). Below 112 bits ASVS 6.5.2 wants a password hash: argon2id with OWASP's
// 19 MiB, two passes, one lane.
const (
	codeCount  = 10
	codeLength = 20
	groupSize  = 4

	hashMemory = 19 * 1024 // KiB
	hashPasses = 2
	hashLanes  = 1
	hashSize   = 32
	saltSize   = 16
)

// recoveryCodes names their budget in the journal.
const recoveryCodes = "recovery_codes"

// Codes are the recovery codes of accounts.
type Codes struct {
	config Config
	slots  chan struct{} // hashes that may run at once: 19 MiB each
}

// NewCodes makes them. Issuer is not needed.
func NewCodes(c Config) *Codes { return &Codes{c, make(chan struct{}, 4)} }

// sets is an account's record over all its codes. Names are added, never changed. A code counts when it names the current set: a new set
// voids the old one by that alone, whatever becomes of the old records (never rely on a delete: security.md, finding 4).
type sets struct {
	Format  int    `json:"v"`
	Current string `json:"current,omitempty"`
	Since   int64  `json:"since,omitempty"` // unix milliseconds: when the current set was issued
	Left    int    `json:"left"`
	Next    string `json:"next,omitempty"` // shown, waits to be kept
	Shown   int64  `json:"shown,omitempty"`
	Budget  budget `json:"budget"`
}

// saved is one code. Names are added, never changed.
type saved struct {
	Set  string `json:"set"`
	Salt []byte `json:"salt"`
	Hash []byte `json:"hash"`
	Used int64  `json:"used,omitempty"` // unix milliseconds
}

func codeKey(a auth.AccountID, group string) []byte {
	return store.Key(store.KindCodes, string(a), group)
}

// hash binds a code to its account, so that a record moved to another account opens nothing there.
func (c *Codes) hash(ctx context.Context, a auth.AccountID, secret string, salt []byte) ([]byte, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, fmt.Errorf("hash a recovery code: %w", ctx.Err())
	}
	return argon2.IDKey([]byte(secret+"\x00"+string(a)), salt, hashPasses, hashMemory, hashLanes, hashSize), nil
}

// Issue makes a set that counts at once; the one before is void. The codes are returned this once.
func (c *Codes) Issue(ctx context.Context, a auth.AccountID) ([]string, error) {
	codes, err := c.Offer(ctx, a)
	if err != nil {
		return nil, err
	}
	return codes, c.Keep(ctx, a)
}

// Offer makes a set that counts once Keep is called: until its owner says that it is saved, the old one does. The codes are returned this
// once; a set offered before and not kept is void.
func (c *Codes) Offer(ctx context.Context, a auth.AccountID) ([]string, error) {
	s, stored, err := c.load(ctx, a)
	if err != nil {
		return nil, err
	}
	set := make([]byte, 16)
	rand.Read(set)
	s.Next, s.Shown = b32.EncodeToString(set), c.config.Now().UnixMilli()
	b := &store.Batch{Shard: store.NoShard}
	taken, err := c.groups(ctx, a)
	if err != nil {
		return nil, err
	}
	codes := make([]string, 0, codeCount)
	for len(codes) < codeCount {
		code := newCode()
		if taken[code[:groupSize]] { // of the set before, which must go on to count, or of this one
			continue
		}
		taken[code[:groupSize]] = true
		r := saved{Set: s.Next, Salt: make([]byte, saltSize)}
		rand.Read(r.Salt)
		if r.Hash, err = c.hash(ctx, a, code[groupSize:], r.Salt); err != nil {
			return nil, err
		}
		v, err := json.Marshal(r)
		if err != nil {
			return nil, fmt.Errorf("encode a recovery code: %w", err)
		}
		b.Put = append(b.Put, store.Pair{Key: codeKey(a, code[:groupSize]), Value: v})
		codes = append(codes, strings.ReplaceAll(groups(code), " ", "-"))
	}
	if err := c.put(b, a, s, stored); err != nil {
		return nil, err
	}
	if _, err := c.config.Store.Commit(ctx, b); err != nil {
		return nil, fmt.Errorf("store recovery codes: %w", err)
	}
	return codes, nil
}

// newCode is 20 characters from 100 random bits.
func newCode() string {
	raw := make([]byte, 13) // 104 bits, 21 characters
	rand.Read(raw)
	return b32.EncodeToString(raw)[:codeLength]
}

// groups are the first groups of the codes that count or are offered. The records of other sets may be written over.
func (c *Codes) groups(ctx context.Context, a auth.AccountID) (map[string]bool, error) {
	s, _, err := c.load(ctx, a)
	if err != nil {
		return nil, err
	}
	taken := map[string]bool{}
	from := codeKey(a, "")
	var damaged error
	err = c.config.Store.Scan(ctx, from, store.After(from), false, func(k, v []byte) bool {
		if len(k) == len(from) {
			return true
		}
		var r saved
		if damaged = json.Unmarshal(v, &r); damaged != nil {
			return false
		}
		taken[string(k[len(from):])] = r.Set == s.Current
		return true
	})
	if err == nil {
		err = damaged
	}
	if err != nil {
		return nil, fmt.Errorf("read recovery codes: %w", err)
	}
	return taken, nil
}

// KeepBatch is the transaction part that makes the offered set the one that counts. Nil when none is offered.
func (c *Codes) KeepBatch(ctx context.Context, a auth.AccountID) (*store.Batch, error) {
	s, stored, err := c.load(ctx, a)
	if err != nil || s.Next == "" {
		return nil, err
	}
	s.Current, s.Since, s.Left, s.Next, s.Shown, s.Budget = s.Next, s.Shown, codeCount, "", 0, budget{}
	b := &store.Batch{Shard: store.NoShard}
	if err := c.put(b, a, s, stored); err != nil {
		return nil, err
	}
	return b, entry(b, journal.Entry{At: c.config.Now().UTC(), Kind: journal.CodesIssued, Account: string(a), By: "owner", Shard: -1,
		Detail: map[string]string{"codes": fmt.Sprint(codeCount)}})
}

// Keep is KeepBatch in a transaction of its own.
func (c *Codes) Keep(ctx context.Context, a auth.AccountID) error {
	b, err := c.KeepBatch(ctx, a)
	if err != nil || b == nil {
		return err
	}
	if _, err := c.config.Store.Commit(ctx, b); err != nil {
		return fmt.Errorf("keep recovery codes: %w", err)
	}
	return nil
}

// Standing says how an account's recovery codes stand.
func (c *Codes) Standing(ctx context.Context, a auth.AccountID) (Standing, error) {
	s, _, err := c.load(ctx, a)
	if err != nil {
		return Standing{}, err
	}
	st := Standing{Offered: s.Next != ""}
	if s.Current == "" {
		return st, nil
	}
	now := c.config.Now()
	st.Enrolled, st.Since, st.Left = true, time.UnixMilli(s.Since).UTC(), s.Left
	st.Paused, st.WaitUntil, st.TriesLeft = s.Budget.paused(now), s.Budget.until(now), s.Budget.left(now)
	return st, nil
}

func (c *Codes) load(ctx context.Context, a auth.AccountID) (sets, []byte, error) {
	v, err := c.config.Store.Get(ctx, codeKey(a, ""))
	if err != nil {
		return sets{}, nil, fmt.Errorf("read recovery codes: %w", err)
	}
	s := sets{Format: factorFormat}
	if v[0] == nil {
		return s, nil, nil
	}
	if err := json.Unmarshal(v[0], &s); err != nil {
		return sets{}, nil, fmt.Errorf("read recovery codes: %w", err)
	}
	if s.Format != factorFormat {
		return sets{}, nil, fmt.Errorf("read recovery codes: format %d is not known", s.Format)
	}
	return s, v[0], nil
}

// put adds s to b where stored is now.
func (c *Codes) put(b *store.Batch, a auth.AccountID, s sets, stored []byte) error {
	v, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode recovery codes: %w", err)
	}
	b.Expect = append(b.Expect, store.Expect{Key: codeKey(a, ""), Value: stored})
	b.Put = append(b.Put, store.Pair{Key: codeKey(a, ""), Value: v})
	return nil
}
