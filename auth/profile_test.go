package auth

import (
	"slices"
	"testing"
	"time"
)

// TestFormerAddresses: a thief who changes an owner's address neither silences the owner nor gets a say in the recovery.
func TestFormerAddresses(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 3, n, 12, 0, 0, 0, time.UTC) }
	p := &Profile{Emails: []Contact{{Address: "owner@example.com", Since: day(1).UnixMilli()}}}
	theft := day(10)
	fresh := []Contact{{Address: "thief@example.com", Since: theft.Add(time.Minute).UnixMilli()}}
	p = &Profile{Emails: fresh, Former: p.Replaced(fresh, theft.Add(time.Minute).UnixMilli())}
	if got := p.OlderThan(theft); !slices.Equal(got, []string{"owner@example.com"}) {
		t.Errorf("addresses for a recovery: %v", got)
	}
	if got := p.Reachable(theft.Add(time.Hour)); !slices.Equal(got, []string{"thief@example.com", "owner@example.com"}) {
		t.Errorf("addresses for a notice: %v", got)
	}
	if got := p.Reachable(theft.Add(FormerKept + time.Hour)); !slices.Equal(got, []string{"thief@example.com"}) {
		t.Errorf("a month later: %v", got)
	}
	if got := p.OlderThan(theft.Add(24 * time.Hour)); !slices.Equal(got, []string{"thief@example.com"}) {
		t.Errorf("an address that was gone before the trouble began serves it: %v", got)
	}
	for n := range 2 * MaxFormer { // a flood of changes must not push the owner's address out
		next := []Contact{{Address: string(rune('a'+n)) + "@example.com", Since: theft.UnixMilli()}}
		p = &Profile{Emails: next, Former: p.Replaced(next, theft.Add(time.Hour).UnixMilli())}
	}
	if got := p.OlderThan(theft); !slices.Contains(got, "owner@example.com") || len(p.Former) > MaxFormer {
		t.Errorf("after many changes: %v, %d kept", got, len(p.Former))
	}
}
