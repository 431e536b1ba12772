package simulate

import (
	"strings"
	"testing"
	"time"

	"doorward/rules/event"
)

// TestLoad: every event decodes, ids are distinct, one in a hundred is part of an attack, the same seed makes the same bytes.
func TestLoad(t *testing.T) {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	a, b := NewLoad(LoadConfig{Accounts: 1000, Seed: 3}), NewLoad(LoadConfig{Accounts: 1000, Seed: 3})
	ids, attacks, size := map[string]bool{}, 0, 0
	const n = 20_000
	for range n {
		account, line := a.Next(at)
		if _, again := b.Next(at); string(again) != string(line) {
			t.Fatalf("two events of one seed:\n%s\n%s", line, again)
		}
		e, bad := event.DecodeLine(line)
		if bad != nil {
			t.Fatalf("%v\n%s", bad, line)
		}
		if string(e.Account) != account || ids[e.ID] {
			t.Fatalf("account %s, id %s again or not of it", account, e.ID)
		}
		ids[e.ID] = true
		if strings.HasPrefix(e.IP, "203.0.113.") {
			attacks++
		}
		size += len(line)
	}
	if attacks < n/200 || attacks > n/50 {
		t.Errorf("%d of %d events are attacks, want one in a hundred", attacks, n)
	}
	if mean := size / n; mean < 300 || mean > 520 {
		t.Errorf("events are %d bytes long in the mean", mean)
	}
}
