package recovery

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"doorward/auth"
	"doorward/auth/totp"
	"doorward/store"
	"doorward/store/badger"
	"doorward/store/journal"
)

// stage is a Flow over a real store, with a shard that applies its inbox as the engine does: in order, one writer, one commit an act.
type stage struct {
	*Flow
	t       *testing.T
	store   store.Engine
	keys    *auth.Keys
	factors *totp.Factors
	codes   *totp.Codes

	mu     sync.Mutex
	at     time.Time
	mailed []string // codes
	to     []string // addresses
	warned []string

	shard sync.Mutex // held while the shard works; a test that holds it has stopped the shard
	taken uint64
}

type batch = store.Batch

func (s *stage) commit(ctx context.Context, b *batch) error {
	_, err := s.store.Commit(ctx, b)
	return err
}

func (s *stage) now() time.Time { s.mu.Lock(); defer s.mu.Unlock(); return s.at }

func (s *stage) wait(d time.Duration) { s.mu.Lock(); defer s.mu.Unlock(); s.at = s.at.Add(d) }

const owner auth.AccountID = "acct-1"

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, at: t0.Add(-48 * time.Hour)}
	db, err := badger.Create(badger.Config{Dir: t.TempDir() + "/store", Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Guard: badger.Guard{Ballast: -1, Free: func() (uint64, uint64, error) { return 1 << 40, 1 << 41, nil }}})
	s.must(err)
	t.Cleanup(func() { s.must(db.Close()) })
	s.store = db
	s.keys, err = auth.NewKeys([]byte("0123456789abcdef0123456789abcdef"))
	s.must(err)
	c := totp.Config{Store: db, Keys: s.keys, Now: s.now, Issuer: "Doorward"}
	s.factors, err = totp.NewFactors(c)
	s.must(err)
	s.codes = totp.NewCodes(c)
	desk := auth.NewDesk(auth.DeskConfig{Store: db, Now: s.now, Home: func(context.Context, auth.AccountID) (int, error) { return 0, nil },
		Wake: func(int) { s.apply() }})
	s.Flow = NewFlow(FlowConfig{Store: db, Keys: s.keys, TOTP: s.factors, Codes: s.codes, Desk: desk, Now: s.now, Wait: time.Minute,
		SendCode: func(_ context.Context, a auth.AccountID, address, code string) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.mailed, s.to = append(s.mailed, code), append(s.to, address)
			return nil
		},
		Warn: func(_ context.Context, a auth.AccountID, what string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.warned = append(s.warned, what)
		}})
	return s
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// apply is the shard: it takes what is new in its inbox.
func (s *stage) apply() {
	s.shard.Lock()
	defer s.shard.Unlock()
	var lines [][]byte
	inbox := string(store.Inbox(0))
	s.must(s.store.Scan(context.Background(), store.Key(store.KindLog, inbox, s.taken+1), store.Key(store.KindLog, inbox, ^uint64(0)), false,
		func(_, v []byte) bool { lines = append(lines, append([]byte(nil), v...)); return true }))
	for _, l := range lines {
		_, line, err := store.DecodeLine(l)
		s.must(err)
		act, err := auth.DecodeAct(line)
		s.must(err)
		s.taken++
		a := s.account(act.Account)
		next, refused := a.Do(act, s.taken, 72*time.Hour)
		s.put(next, auth.Outcome{Applied: refused == "", Refused: refused, Sequence: s.taken, Record: next.Record()}, act.ID)
	}
}

func (s *stage) account(id auth.AccountID) auth.Account {
	s.t.Helper()
	a, _, err := auth.LoadAccount(context.Background(), s.store, id)
	s.must(err)
	return a
}

func (s *stage) put(a auth.Account, o auth.Outcome, act string) {
	s.t.Helper()
	b := &store.Batch{Shard: store.NoShard}
	add := func(key []byte, v any) {
		value, err := json.Marshal(v)
		s.must(err)
		b.Put = append(b.Put, store.Pair{Key: key, Value: value})
	}
	add(store.Key(store.KindAccount, string(a.ID)), a)
	if act != "" {
		add(store.Key(store.KindOutcome, act), o)
	}
	_, err := s.store.Commit(context.Background(), b)
	s.must(err)
}

// change is what the shard makes of an event.
func (s *stage) change(f func(auth.Account) auth.Account) {
	s.t.Helper()
	s.shard.Lock()
	defer s.shard.Unlock()
	s.put(f(s.account(owner)), auth.Outcome{}, "")
}

// lock locks the owner's account, as the shard does when a rule fires, and returns its recovery.
func (s *stage) lock(changes ...auth.ChangeKind) (id string) {
	s.t.Helper()
	id = ID("finding " + s.now().String())
	s.change(func(a auth.Account) auth.Account {
		a.ID = owner
		a, ok := a.Judge(auth.Verdict{Response: auth.Lock, Findings: []string{"f-1"}, Reason: auth.Reason{Code: "drained"}, At: s.now(), Event: "s e-1", Recovery: id})
		if !ok {
			s.t.Fatal("not locked")
		}
		for i, k := range changes {
			a = a.Touch(k, s.now().Add(time.Duration(i)*time.Second), "passkey")
		}
		return a
	})
	pair, err := New(id, s.account(owner), s.now())
	s.must(err)
	_, err = s.store.Commit(context.Background(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{pair}})
	s.must(err)
	return id
}

// enrolled gives the owner an app and recovery codes, and e-mail addresses; then it is t0.
func (s *stage) enrolled(addresses ...string) (uri string, codes []string) {
	s.t.Helper()
	ctx := context.Background()
	e, err := s.factors.Enrol(ctx, owner)
	s.must(err)
	r, err := s.factors.Confirm(ctx, owner, s.code(e.URI, 0))
	s.must(err)
	if r.Reason != totp.Accepted {
		s.t.Fatal(r.Reason)
	}
	codes, err = s.codes.Issue(ctx, owner)
	s.must(err)
	s.profile(addresses...)
	s.wait(t0.Sub(s.now()))
	return e.URI, codes
}

// profile adds addresses as of now.
func (s *stage) profile(addresses ...string) {
	s.t.Helper()
	p, _, err := auth.LoadProfile(context.Background(), s.store, s.keys, owner)
	s.must(err)
	for _, a := range addresses {
		p.Emails = append(p.Emails, auth.Contact{Address: a, Since: s.now().UnixMilli()})
	}
	pair, err := auth.ProfilePair(s.keys, owner, p)
	s.must(err)
	_, err = s.store.Commit(context.Background(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{pair}})
	s.must(err)
}

func (s *stage) code(uri string, steps int) string {
	s.t.Helper()
	c, err := totp.CodeAt(uri, s.now().Add(time.Duration(steps)*30*time.Second))
	s.must(err)
	return c
}

// wrong is a six-digit code that no step around now has.
func (s *stage) wrong(uri string) string {
	for _, c := range []string{"000000", "111111", "222222", "333333"} {
		if c != s.code(uri, -1) && c != s.code(uri, 0) && c != s.code(uri, 1) {
			return c
		}
	}
	panic("four codes, three steps")
}

func (s *stage) submit(id string, in Input) (View, Result) {
	s.t.Helper()
	v, r, err := s.Submit(context.Background(), id, in)
	s.must(err)
	return v, r
}

// entries counts the journal's entries of a kind; reason "*" is any.
func (s *stage) entries(k journal.Kind, reason string) (n int) {
	s.t.Helper()
	lines, err := journal.Read(context.Background(), s.store, 0, 10_000, false)
	s.must(err)
	for _, l := range lines {
		if l.Entry.Kind == k && (reason == "*" || l.Entry.Reason == reason) {
			n++
		}
	}
	return n
}
