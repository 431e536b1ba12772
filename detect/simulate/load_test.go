package simulate

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"doorward/rules/event"
)

// TestLoad: every event decodes and has the time it was made for, ids are distinct, one in a hundred is part of an attack, nobody spends
// what is not there, the same seed makes the same bytes.
func TestLoad(t *testing.T) {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	a, b := NewLoad(LoadConfig{Accounts: 1000, Seed: 3}), NewLoad(LoadConfig{Accounts: 1000, Seed: 3})
	ids, kinds, attacks, size := map[string]bool{}, map[event.Type]int{}, 0, 0
	const n = 100_000
	for range n {
		at = at.Add(17 * time.Millisecond)
		account, line := a.Next(at)
		if _, again := b.Next(at); !bytes.Equal(again, line) {
			t.Fatalf("two events of one seed:\n%s\n%s", line, again)
		}
		e, bad := event.DecodeLine(line)
		if bad != nil {
			t.Fatalf("%v\n%s", bad, line)
		}
		if string(e.Account) != string(account) || ids[e.ID] || !e.Time.Equal(at) {
			t.Fatalf("account %s at %v, id %s: again or not of\n%s", account, at, e.ID, line)
		}
		ids[e.ID] = true
		kinds[e.Type]++
		if strings.HasPrefix(e.IP, "203.") {
			attacks++
		}
		size += len(line)
	}
	if attacks < n/125 || attacks > n/80 {
		t.Errorf("%d of %d events are attacks, want one in a hundred", attacks, n)
	}
	for _, k := range []event.Type{"login.succeeded", "login.failed", "session.seen", "transaction.requested", "account.payee.added", "account.password.reset"} {
		if kinds[k] == 0 {
			t.Errorf("no %s among %v", k, kinds)
		}
	}
	if mean := size / n; mean < 300 || mean > 520 {
		t.Errorf("events are %d bytes long in the mean", mean)
	}
}

// TestRaidsAreStories: the events of one attack on one account come in their order: nobody empties an account before signing in to it.
func TestRaidsAreStories(t *testing.T) {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	l := NewLoad(LoadConfig{Accounts: 50_000, Seed: 4})
	signedIn, emptied := map[string]bool{}, 0
	for range 300_000 {
		_, line := l.Next(at)
		e, bad := event.DecodeLine(line)
		if bad != nil {
			t.Fatal(bad)
		}
		if !strings.HasPrefix(e.Device, "lair-") {
			continue
		}
		switch e.Type {
		case "login.succeeded":
			signedIn[e.Device] = true
		case "transaction.requested":
			if emptied++; !signedIn[e.Device] {
				t.Fatalf("%s pays before it signs in:\n%s", e.Device, line)
			}
		}
	}
	if emptied == 0 {
		t.Error("no thief came as far as the money")
	}
}

func BenchmarkLoad(b *testing.B) {
	l := NewLoad(LoadConfig{Accounts: 1_000_000, Seed: 1})
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	b.ReportAllocs()
	for b.Loop() {
		at = at.Add(time.Millisecond)
		_, line := l.Next(at)
		b.SetBytes(int64(len(line)))
	}
}
