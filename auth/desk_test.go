package auth

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"doorward/store"
	"doorward/store/badger"
	"doorward/store/journal"
)

// openStore is a real store in a directory of the test's.
func openStore(t *testing.T) store.Engine {
	t.Helper()
	s, err := badger.Create(badger.Config{Dir: t.TempDir() + "/store", Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Guard: badger.Guard{Ballast: -1, Free: func() (uint64, uint64, error) { return 1 << 40, 1 << 41, nil }}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

type desk struct {
	*Desk
	store store.Engine
	woken []int
	mu    sync.Mutex
}

func newDesk(t *testing.T) *desk {
	d := &desk{store: openStore(t)}
	d.Desk = NewDesk(DeskConfig{Store: d.store, Now: func() time.Time { return t0 },
		Home: func(context.Context, AccountID) (int, error) { return 3, nil },
		Wake: func(shard int) { d.mu.Lock(); d.woken = append(d.woken, shard); d.mu.Unlock() }})
	return d
}

func (d *desk) inbox(t *testing.T) (acts []Act) {
	t.Helper()
	from := store.Key(store.KindLog, string(store.Inbox(3)), uint64(0))
	err := d.store.Scan(context.Background(), from, store.Key(store.KindLog, string(store.Inbox(3)), ^uint64(0)), false, func(_, v []byte) bool {
		_, line, err := store.DecodeLine(v)
		if err != nil {
			t.Fatal(err)
		}
		a, err := DecodeAct(line)
		if err != nil {
			t.Fatal(err)
		}
		acts = append(acts, a)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return acts
}

func (d *desk) entries(t *testing.T) []journal.Line {
	t.Helper()
	l, err := journal.Read(context.Background(), d.store, 0, 100, false)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSubmit(t *testing.T) {
	d, ctx := newDesk(t), context.Background()
	act := Act{ID: "lock-1", Kind: ActLock, Account: "acct-1", By: "staff:ann", Reason: "three tickets"}
	with := &store.Batch{Put: []store.Pair{{Key: store.Key(store.KindMeta, "x"), Value: []byte("1")}}}
	if err := d.Submit(ctx, act, with); err != nil {
		t.Fatal(err)
	}
	got := d.inbox(t)
	if len(got) != 1 || got[0].ID != "lock-1" || !got[0].At.Equal(t0) {
		t.Fatalf("inbox: %+v", got)
	}
	e := d.entries(t)
	if len(e) != 1 || e[0].Entry.Kind != journal.ActMade || e[0].Entry.By != "staff:ann" || e[0].Entry.Cause != "lock-1" || e[0].Entry.Reason != "three tickets" ||
		e[0].Entry.Detail["act"] != "lock" || e[0].Entry.Shard != 3 {
		t.Errorf("journal: %+v", e)
	}
	if v, _ := d.store.Get(ctx, store.Key(store.KindMeta, "x")); string(v[0]) != "1" {
		t.Error("what came with the act was not stored")
	}
	if len(d.woken) != 1 || d.woken[0] != 3 {
		t.Errorf("woken: %v", d.woken)
	}

	again := act
	again.At = t0.Add(time.Hour)
	with.Put[0].Value = []byte("2")
	if err := d.Submit(ctx, again, with); err != nil {
		t.Errorf("the same act again: %v", err)
	}
	if v, _ := d.store.Get(ctx, store.Key(store.KindMeta, "x")); len(d.inbox(t)) != 1 || len(d.entries(t)) != 1 || string(v[0]) != "1" {
		t.Error("the same act again had a second effect")
	}
}

// TestSubmitWithConflict: what an act stands on has changed, so nothing of it may happen.
func TestSubmitWithConflict(t *testing.T) {
	d := newDesk(t)
	err := d.Submit(context.Background(), Act{ID: "a", Kind: ActVerified, Account: "acct-1", By: "owner"},
		&store.Batch{Expect: []store.Expect{{Key: store.Key(store.KindMeta, "gone"), Value: []byte("was here")}}})
	var c *store.Conflict
	if !errors.As(err, &c) || c.Index != 0 {
		t.Errorf("error %v", err)
	}
	if len(d.inbox(t)) != 0 || len(d.entries(t)) != 0 || len(d.woken) != 0 {
		t.Error("a refused act left something behind")
	}
}

func TestSubmitInParallel(t *testing.T) {
	d, ctx := newDesk(t), context.Background()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if err := d.Submit(ctx, Act{ID: "same", Kind: ActDenied, Account: "acct-1", By: "owner", RefersTo: "e-1"}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(d.inbox(t)); n != 1 {
		t.Errorf("%d acts in the inbox", n)
	}
}

func TestAuthorise(t *testing.T) {
	makers := []string{"owner", "staff:ann", "operator", "platform", "deadline", "rule", "doorward", "", "staff", "staff:", "staff: ", "owner:x", "operator:bob", "Owner"}
	allowed := map[string]string{ // maker: kinds
		"owner":     "verified begin give_up recovered denied approved trust",
		"staff:ann": "lock limit unlock recovered case_close case_note",
		"operator":  "lock limit unlock",
		"platform":  "verified",
		"deadline":  "expire give_up",
		"doorward":  "adopt",
	}
	full := Act{ID: "a", Account: "acct-1", Published: &Record{Account: "acct-1", State: Locked, Version: 3}, At: t0, Reason: "because", Recovery: "r", Case: "c", Device: "d"}
	for _, by := range makers {
		for _, k := range append(everyAct, "", "open", "Lock") {
			a := full
			a.By, a.Kind = by, k
			want := k != "" && strings.Contains(" "+allowed[by]+" ", " "+string(k)+" ")
			if err := Authorise(a); (err == nil) != want {
				t.Errorf("%q does %q: %v", by, k, err)
			}
		}
	}
	for name, spoil := range map[string]func(*Act){
		"no id":                       func(a *Act) { a.ID = "" },
		"a zero byte in the id":       func(a *Act) { a.ID = "a\x00b" },
		"an endless id":               func(a *Act) { a.ID = strings.Repeat("a", 257) },
		"no time":                     func(a *Act) { a.At = time.Time{} },
		"no account":                  func(a *Act) { a.Account = "" },
		"an account that looks alike": func(a *Act) { a.Account = "ａcct-1" },
		"no reason":                   func(a *Act) { a.Reason = " \t" },
	} {
		a := full
		a.By, a.Kind = "staff:ann", ActUnlock
		if spoil(&a); Authorise(a) == nil {
			t.Errorf("%s: may unlock", name)
		}
	}
}

func TestAwait(t *testing.T) {
	d, ctx := newDesk(t), context.Background()
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := d.Await(short, "a"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody applied it: %v", err)
	}
	go func() {
		v, err := json.Marshal(Outcome{Refused: RefusedVersion, Shard: 3, Sequence: 12})
		if err == nil {
			_, err = d.store.Commit(ctx, &store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: store.Key(store.KindOutcome, "a"), Value: v}}})
		}
		if err != nil {
			t.Error(err)
		}
	}()
	long, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if o, err := d.Await(long, "a"); err != nil || o.Refused != RefusedVersion || o.Sequence != 12 {
		t.Errorf("outcome %+v, %v", o, err)
	}
}

func FuzzDecodeAct(f *testing.F) {
	for _, s := range []string{`{"id":"a","kind":"lock","account":"x","at":"2026-03-01T08:00:00Z","by":"operator","reason":"r"}`, `{}`, `[`, `{"by":"staff:"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		a, err := DecodeAct(line)
		if err != nil {
			return
		}
		if err := Authorise(a); err != nil {
			t.Fatalf("decoded what may not be done: %v", err)
		}
		again, err := EncodeAct(a)
		if err != nil {
			return // a time beyond year 9999 has no JSON
		}
		if b, err := DecodeAct(again); err != nil || b != a && !b.At.Equal(a.At) {
			t.Fatalf("%+v came back as %+v, %v", a, b, err)
		}
	})
}
