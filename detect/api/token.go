package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"doorward/store"
)

// tokenPrefix lets secret scanners and people know a token when they see one.
const tokenPrefix = "dw_"

// tokenBytes is 256 bits, beyond guessing, so that a plain hash of it is enough.
const tokenBytes = 32

// tokenRecord is what is stored of a token. Names are added, never changed.
type tokenRecord struct {
	Hash []byte    `json:"hash"` // SHA-256 of the token
	Made time.Time `json:"made"`
}

// MakeToken makes a bearer token, to be shown once, and the record by which it is known again.
func MakeToken(now time.Time) (token string, record store.Pair, err error) {
	var b [tokenBytes]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic("api: crypto/rand never fails since Go 1.24: " + err.Error())
	}
	token = tokenPrefix + base64.RawURLEncoding.EncodeToString(b[:])
	hash := sha256.Sum256([]byte(token))
	value, err := json.Marshal(tokenRecord{hash[:], now.UTC().Truncate(time.Millisecond)})
	if err != nil {
		return "", store.Pair{}, fmt.Errorf("encode a token: %w", err)
	}
	return token, store.Pair{Key: tokenKey(hash), Value: value}, nil
}

func tokenKey(hash [sha256.Size]byte) []byte { return store.Key(store.KindToken, hash[:]) }

// CheckToken reports whether MakeToken made token and its record is in the store. The time it takes tells nothing: what is looked up and
// compared is a hash.
func CheckToken(ctx context.Context, s store.Engine, token string) (bool, error) {
	if !strings.HasPrefix(token, tokenPrefix) || len(token) != len(tokenPrefix)+base64.RawURLEncoding.EncodedLen(tokenBytes) {
		return false, nil
	}
	hash := sha256.Sum256([]byte(token))
	v, err := s.Get(ctx, tokenKey(hash))
	if err != nil {
		return false, fmt.Errorf("read a token: %w", err)
	}
	if v[0] == nil {
		return false, nil
	}
	var rec tokenRecord
	if err := json.Unmarshal(v[0], &rec); err != nil {
		return false, fmt.Errorf("read a token: %w", err)
	}
	return subtle.ConstantTimeCompare(rec.Hash, hash[:]) == 1, nil
}
