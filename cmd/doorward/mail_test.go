package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"doorward/auth"
	"doorward/auth/notice"
	"doorward/store"
	"doorward/store/outbox"
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

// An address whose server puts us off keeps no other letter, and no other address of its own, from arriving, and arriving once.
func TestAFullMailboxHoldsUpNobody(t *testing.T) {
	keys, err := auth.NewKeys(bytes.Repeat([]byte{7}, auth.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	post := startPost(t, "full@example.com")
	mailer, err := notice.NewMailer(notice.MailConfig{Address: post.address, From: "security@example.com", TLS: notice.NoTLS,
		HTML: func(notice.Notice) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	m := &mailroom{engine: storetest.Open(t), keys: keys, log: slog.New(slog.DiscardHandler), now: func() time.Time { return at }, send: mailer.Send}
	row := func(id string, to ...string) outbox.Row {
		value, err := json.Marshal(letter{notice.Notice{ID: id, Account: "acct-42", Subject: id, Text: id, At: at}, to, at})
		if err != nil {
			t.Fatal(err)
		}
		return outbox.Row{ID: id, Key: []byte("acct-42"), Value: keys.Seal(sealLetter, "acct-42", value)}
	}
	rows := []outbox.Row{row("n-1", "full@example.com", "own@example.com"), row("n-2", "wei@example.com")}
	for range 3 {
		if err := m.deliver(t.Context(), rows); !notice.OfAddresses(err) {
			t.Fatalf("the rows are not given again: %v", err)
		}
	}
	if got := strings.Join(post.taken(), " "); got != "own@example.com wei@example.com" {
		t.Errorf("arrived: %s", got)
	}
	at = at.Add(25 * time.Hour)
	if err := m.deliver(t.Context(), rows); err != nil {
		t.Errorf("not given up after a day: %v", err)
	}
}

// post is a mail server that puts one address off and remembers for whom it took mail.
type post struct {
	address string
	mu      sync.Mutex
	took    []string
}

func (p *post) taken() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.took
}

func startPost(t *testing.T, full string) *post {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &post{address: l.Addr().String()}
	var open sync.WaitGroup
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		open.Wait()
	})
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed: the test is over
			}
			open.Go(func() { p.talk(c, full) })
		}
	})
	return p
}

func (p *post) talk(c net.Conn, full string) {
	defer c.Close()
	lines := bufio.NewScanner(c)
	answer := "220 test ESMTP"
	to := ""
	for data := false; ; {
		if !data {
			if _, err := fmt.Fprintf(c, "%s\r\n", answer); err != nil {
				return
			}
		}
		if !lines.Scan() {
			return
		}
		line := lines.Text()
		answer = "250 ok"
		switch verb, _, _ := strings.Cut(line, " "); {
		case data:
			if data = line != "."; !data {
				p.mu.Lock()
				p.took = append(p.took, to)
				p.mu.Unlock()
			}
		case verb == "RCPT" && strings.Contains(line, full):
			answer = "450 come back later"
		case verb == "RCPT":
			_, to, _ = strings.Cut(line, "<")
			to, _, _ = strings.Cut(to, ">")
		case verb == "DATA":
			if _, err := fmt.Fprint(c, "354 go\r\n"); err != nil {
				return
			}
			data = true
		}
	}
}
