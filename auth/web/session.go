package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"doorward/store"
)

// MaxSession is the most bytes of JSON that a session carries.
const MaxSession = 4 << 10

// touch is how old the mark of the last request may be before it is written again: a store commit a click would be wasted.
const touch = 30 * time.Second

// Sessions are the signed-in browsers of a site.
type Sessions struct {
	Site     *Site
	Engine   store.Engine
	Idle     time.Duration // ends this long after the last request (security D-5: 15 min)
	Absolute time.Duration // ends this long after it began, whatever happens
}

// Session is one browser's. Subject is who it speaks for: an account or a recovery on the portal, a staff name on the console.
type Session struct {
	Subject string
	Began   time.Time
	Ends    time.Time // the earlier of both limits, if no further request comes

	data   json.RawMessage
	id     []byte // SHA-256 of the secret in the cookie
	stored []byte // as read, for compare and set
}

// kept is a session as it is stored. Names may be added, never changed.
type kept struct {
	Subject string          `json:"subject"`
	Held    json.RawMessage `json:"data,omitempty"`
	Began   time.Time       `json:"began"`
	Seen    time.Time       `json:"seen"`
}

// ErrSessionMoved says that another request of the same browser changed or ended the session meanwhile: load it again.
var ErrSessionMoved = errors.New("web: the session was changed by another request")

// Begin gives the browser a new session with a new secret of 256 bits and ends the one it had, in one transaction: what somebody planted
// in the browser before is worth nothing after (S-12). data is kept as JSON.
func (s *Sessions) Begin(w http.ResponseWriter, r *http.Request, subject string, data any) (*Session, error) {
	var secret [32]byte
	if _, err := rand.Read(secret[:]); err != nil {
		panic("web: crypto/rand never fails since Go 1.24: " + err.Error())
	}
	now := s.Site.now()
	id := sha256.Sum256(secret[:])
	n := &Session{Subject: subject, Began: now, id: id[:]}
	k := kept{Subject: subject, Began: now, Seen: now}
	b := &store.Batch{Shard: store.NoShard}
	if old := s.cookie(r); old != nil {
		b.Delete = append(b.Delete, s.key(old))
	}
	if err := s.put(r.Context(), b, n, k, data); err != nil {
		return nil, fmt.Errorf("begin session: %w", err)
	}
	s.setCookie(w, base64.RawURLEncoding.EncodeToString(secret[:]), int(s.Absolute/time.Second))
	return n, nil
}

// Load gives the browser's session, or nil when it has none, and counts the request against the idle limit. One that has run out is ended.
func (s *Sessions) Load(r *http.Request) (*Session, error) {
	n, k, err := s.load(r)
	if n == nil || err != nil {
		return nil, err
	}
	if now := s.Site.now(); now.Sub(k.Seen) >= touch {
		k.Seen = now
		err := s.put(r.Context(), &store.Batch{Shard: store.NoShard, Expect: []store.Expect{{Key: s.key(n.id), Value: n.stored}}}, n, k, k.Held)
		if errors.Is(err, ErrSessionMoved) {
			if n, _, err = s.load(r); err != nil {
				return nil, err
			}
			return n, nil
		}
		if err != nil {
			return nil, fmt.Errorf("touch session: %w", err)
		}
	}
	return n, nil
}

// Peek is Load without counting the request: for streams and polling, which nobody's hand made.
func (s *Sessions) Peek(r *http.Request) (*Session, error) {
	n, _, err := s.load(r)
	return n, err
}

// Read decodes the session's data into v.
func (n *Session) Read(v any) error {
	if len(n.data) == 0 {
		return nil
	}
	if err := json.Unmarshal(n.data, v); err != nil {
		return fmt.Errorf("session data: %w", err)
	}
	return nil
}

// Write replaces the session's data. ErrSessionMoved: another request was faster.
func (s *Sessions) Write(ctx context.Context, n *Session, data any) error {
	k, err := decodeKept(n.stored)
	if err != nil {
		return err
	}
	b := &store.Batch{Shard: store.NoShard, Expect: []store.Expect{{Key: s.key(n.id), Value: n.stored}}}
	if err := s.put(ctx, b, n, k, data); err != nil {
		return fmt.Errorf("write session: %w", err)
	}
	return nil
}

// End forgets the browser's session, if it has one.
func (s *Sessions) End(w http.ResponseWriter, r *http.Request) error {
	id := s.cookie(r)
	s.setCookie(w, "", -1)
	if id == nil {
		return nil
	}
	if err := s.delete(r.Context(), s.key(id)); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// EndAll forgets every session of a subject: a staff member removed, a recovery over.
func (s *Sessions) EndAll(ctx context.Context, subject string) error {
	return s.sweep(ctx, func(k kept) bool { return k.Subject == subject })
}

// Sweep forgets the sessions that have run out; once an hour is enough, as Load ends them too.
func (s *Sessions) Sweep(ctx context.Context) error { return s.sweep(ctx, s.over) }

func (s *Sessions) sweep(ctx context.Context, gone func(kept) bool) error {
	prefix := append(store.Key(store.KindSession, s.Site.kind), 0)
	var keys [][]byte
	var bad error
	err := s.Engine.Scan(ctx, prefix, store.After(prefix), false, func(key, value []byte) bool {
		var k kept
		if k, bad = decodeKept(value); bad != nil {
			return false
		}
		if gone(k) {
			keys = append(keys, bytes.Clone(key))
		}
		return true
	})
	if err = errors.Join(err, bad); err != nil {
		return fmt.Errorf("read sessions: %w", err)
	}
	for len(keys) > 0 {
		n := min(len(keys), 1000)
		if err := s.delete(ctx, keys[:n]...); err != nil {
			return fmt.Errorf("end sessions: %w", err)
		}
		keys = keys[n:]
	}
	return nil
}

func (s *Sessions) load(r *http.Request) (*Session, kept, error) {
	id := s.cookie(r)
	if id == nil {
		return nil, kept{}, nil
	}
	v, err := s.Engine.Get(r.Context(), s.key(id))
	if err != nil {
		return nil, kept{}, fmt.Errorf("read session: %w", err)
	}
	if v[0] == nil {
		return nil, kept{}, nil
	}
	k, err := decodeKept(v[0])
	if err != nil {
		return nil, kept{}, err
	}
	if s.over(k) {
		if err := s.delete(r.Context(), s.key(id)); err != nil {
			return nil, kept{}, fmt.Errorf("end session: %w", err)
		}
		return nil, kept{}, nil
	}
	return &Session{Subject: k.Subject, Began: k.Began, Ends: s.ends(k), data: k.Held, id: id, stored: v[0]}, k, nil
}

func decodeKept(b []byte) (k kept, err error) {
	if err := json.Unmarshal(b, &k); err != nil {
		return k, fmt.Errorf("session as stored: %w", err)
	}
	return k, nil
}

func (s *Sessions) ends(k kept) time.Time {
	idle, absolute := k.Seen.Add(s.Idle), k.Began.Add(s.Absolute)
	if idle.Before(absolute) {
		return idle
	}
	return absolute
}

func (s *Sessions) over(k kept) bool { return !s.Site.now().Before(s.ends(k)) }

// put stores k with data in b and brings n up to date.
func (s *Sessions) put(ctx context.Context, b *store.Batch, n *Session, k kept, data any) error {
	if data != nil {
		raw, err := json.Marshal(data)
		if err != nil {
			return fmt.Errorf("encode data: %w", err)
		}
		if len(raw) > MaxSession {
			return fmt.Errorf("data of %d bytes, at most %d", len(raw), MaxSession)
		}
		k.Held = raw
	}
	v, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	b.Put = append(b.Put, store.Pair{Key: s.key(n.id), Value: v})
	if _, err := s.Engine.Commit(ctx, b); err != nil {
		if _, moved := errors.AsType[*store.Conflict](err); moved {
			return ErrSessionMoved
		}
		return fmt.Errorf("store: %w", err)
	}
	n.data, n.stored, n.Ends = k.Held, v, s.ends(k)
	return nil
}

func (s *Sessions) delete(ctx context.Context, keys ...[]byte) error {
	_, err := s.Engine.Commit(ctx, &store.Batch{Shard: store.NoShard, Delete: keys})
	return err
}

func (s *Sessions) key(id []byte) []byte { return store.Key(store.KindSession, s.Site.kind, id) }

// cookie gives the id of the session that the browser names, nil for none. Two cookies of that name are none: one of them was planted.
func (s *Sessions) cookie(r *http.Request) []byte {
	all := r.CookiesNamed(s.Site.cookieName("session"))
	if len(all) != 1 {
		return nil
	}
	secret, err := base64.RawURLEncoding.Strict().DecodeString(all[0].Value)
	if err != nil || len(secret) != 32 {
		return nil
	}
	id := sha256.Sum256(secret)
	return id[:]
}

func (s *Sessions) setCookie(w http.ResponseWriter, value string, age int) {
	http.SetCookie(w, &http.Cookie{Name: s.Site.cookieName("session"), Value: value, Path: "/", MaxAge: age, Secure: s.Site.secure, HttpOnly: true,
		SameSite: http.SameSiteStrictMode})
}
