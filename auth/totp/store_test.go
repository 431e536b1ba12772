package totp

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"doorward/auth"
	"doorward/store"
	"doorward/store/badger"
	"doorward/store/journal"
)

// bench is factors and codes over a real store, with a clock that stands until it is moved.
type bench struct {
	*Factors
	codes *Codes
	store store.Engine
	dir   string
	mu    sync.Mutex
	at    time.Time
}

func (b *bench) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at
}

func (b *bench) wait(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at = b.at.Add(d)
}

var masterKey = []byte("0123456789abcdef0123456789abcdef")

func storeConfig(dir string) badger.Config {
	return badger.Config{Dir: dir, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Guard: badger.Guard{Ballast: -1, Free: func() (uint64, uint64, error) { return 1 << 40, 1 << 41, nil }}}
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{dir: t.TempDir() + "/store", at: time.Date(2026, 3, 1, 8, 0, 7, 0, time.UTC)}
	s, err := badger.Create(storeConfig(b.dir))
	if err != nil {
		t.Fatal(err)
	}
	b.use(t, s)
	t.Cleanup(func() {
		if err := b.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *bench) use(t *testing.T, s store.Engine) {
	t.Helper()
	keys, err := auth.NewKeys(masterKey)
	if err != nil {
		t.Fatal(err)
	}
	b.store = s
	c := Config{Store: s, Keys: keys, Now: b.now, Issuer: "Doorward Wallet"}
	if b.Factors, err = NewFactors(c); err != nil {
		t.Fatal(err)
	}
	b.codes = NewCodes(c)
}

// restart closes the store and opens it again, as a new process would.
func (b *bench) restart(t *testing.T) {
	t.Helper()
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := badger.Open(storeConfig(b.dir))
	if err != nil {
		t.Fatal(err)
	}
	b.use(t, s)
}

const owner auth.AccountID = "acct-1"

// enrolled binds an app and returns its link.
func (b *bench) enrolled(t *testing.T, a auth.AccountID) string {
	t.Helper()
	e, err := b.Enrol(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := b.Confirm(t.Context(), a, b.code(t, e.URI, 0)); err != nil || r.Reason != Accepted {
		t.Fatalf("confirm: %q, %v", r.Reason, err)
	}
	b.wait(2 * time.Minute) // so that neither that code nor its neighbours are around any more
	return e.URI
}

// code is what the app shows steps from now.
func (b *bench) code(t *testing.T, uri string, steps int) string {
	t.Helper()
	c, err := CodeAt(uri, b.now().Add(time.Duration(steps)*period))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// wrong is a code that the app shows at none of the steps around now.
func (b *bench) wrong(t *testing.T, uri string, n int) string {
	t.Helper()
	right := map[string]bool{b.code(t, uri, -1): true, b.code(t, uri, 0): true, b.code(t, uri, 1): true}
	for i := n; ; i += 7919 {
		c := string([]byte{'0' + byte(i/100000%10), '0' + byte(i/10000%10), '0' + byte(i/1000%10), '0' + byte(i/100%10), '0' + byte(i/10%10), '0' + byte(i%10)})
		if !right[c] {
			return c
		}
	}
}

// try redeems a code for nothing but itself.
func (b *bench) try(t *testing.T, a auth.AccountID, code string) Reason {
	t.Helper()
	r, err := b.Redeem(t.Context(), a, time.Time{}, code, b.commit)
	if err != nil {
		t.Fatal(err)
	}
	return r.Reason
}

func (b *bench) commit(ctx context.Context, burn *store.Batch) error {
	_, err := b.store.Commit(ctx, burn)
	return err
}

// journaled counts the entries of a kind and reason.
func (b *bench) journaled(t *testing.T, k journal.Kind, reason Reason) (n int) {
	t.Helper()
	lines, err := journal.Read(t.Context(), b.store, 0, 1000, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		if l.Entry.Kind == k && l.Entry.Reason == string(reason) {
			n++
		}
	}
	return n
}
