package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"log/slog"
	"testing"
	"time"

	"doorward/auth"
	"doorward/auth/notice"
	"doorward/store"
	"doorward/store/storetest"
)

// A letter that waits for the mail server lies in the store without a word of it in the clear, and arrives whole.
func TestLettersAreSealed(t *testing.T) {
	keys, err := auth.NewKeys(bytes.Repeat([]byte{7}, auth.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	type sent struct {
		n  notice.Notice
		to []string
	}
	arrived := make(chan sent, 1)
	db := storetest.Open(t)
	m := &mailroom{engine: db, keys: keys, log: slog.New(slog.DiscardHandler), now: time.Now, wakes: make(chan struct{}, 1),
		send: func(_ context.Context, n notice.Notice, to []string) error { arrived <- sent{n, to}; return nil }}
	const address, link = "wei@example.com", "https://account.example/r/secret"
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	if err := m.queue(ctx, notice.Notice{ID: "n-1", Account: "acct-42", Kind: notice.Locked, Link: link}, []string{address}); err != nil {
		t.Fatal(err)
	}
	rows := 0
	from := store.Key(store.KindOutbox)
	if err := db.Scan(ctx, from, store.After(from), false, func(_, value []byte) bool {
		rows++
		for _, secret := range []string{address, link} {
			for shift := range 3 { // a row's bytes stand in JSON as base64
				coded := base64.StdEncoding.EncodeToString(append(make([]byte, shift), secret...))
				if bytes.Contains(value, []byte(secret)) || bytes.Contains(value, []byte(coded[4:len(coded)-4])) {
					t.Errorf("%q is in the store in the clear", secret)
				}
			}
		}
		return true
	}); err != nil || rows != 1 {
		t.Fatalf("%d letters wait, %v", rows, err)
	}
	done := make(chan error, 1)
	go func() { done <- m.run(ctx) }()
	select {
	case got := <-arrived:
		if got.n.Link != link || len(got.to) != 1 || got.to[0] != address {
			t.Errorf("arrived: %+v", got)
		}
	case err := <-done:
		t.Fatal(err)
	case <-ctx.Done():
		t.Fatal("the letter did not arrive")
	}
	stop()
	if err := <-done; err != nil && ctx.Err() == nil {
		t.Error(err)
	}
}

// Many put letters into the outbox, each by its own look at the clock: one that comes to lie before another that has been sent goes out too.
func TestLettersOfAnEarlierMoment(t *testing.T) {
	keys, err := auth.NewKeys(bytes.Repeat([]byte{7}, auth.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	arrived := make(chan string, 1)
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	m := &mailroom{engine: storetest.Open(t), keys: keys, log: slog.New(slog.DiscardHandler), now: func() time.Time { return at }, wakes: make(chan struct{}, 1),
		send: func(_ context.Context, n notice.Notice, _ []string) error { arrived <- n.ID; return nil }}
	done := make(chan error, 1)
	go func() { done <- m.run(ctx) }()
	for _, id := range []string{"n-1", "n-2", "n-3"} {
		if err := m.queue(ctx, notice.Notice{ID: id, Account: "acct-42"}, []string{"wei@example.com"}); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-arrived:
			if got != id {
				t.Errorf("%s arrived, not %s", got, id)
			}
		case <-ctx.Done():
			t.Fatalf("%s did not arrive", id)
		}
		at = at.Add(-time.Millisecond)
	}
	stop()
	if err := <-done; err != nil && ctx.Err() == nil {
		t.Error(err)
	}
}
