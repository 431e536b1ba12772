package totp

import (
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"doorward/auth"
	"doorward/store/journal"
)

func (b *bench) redeem(t *testing.T, a auth.AccountID, code string) Reason {
	t.Helper()
	r, err := b.codes.Redeem(t.Context(), a, time.Time{}, code, b.commit)
	if err != nil {
		t.Fatal(err)
	}
	return r.Reason
}

func (b *bench) issued(t *testing.T, a auth.AccountID) []string {
	t.Helper()
	codes, err := b.codes.Issue(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return codes
}

// TestCodes is D-4: ten codes of five groups of four; each opens once; in any case, with any spaces or none.
func TestCodes(t *testing.T) {
	b := newBench(t)
	if r := b.redeem(t, owner, "AAAA-BBBB-CCCC-DDDD-EEEE"); r != NotEnrolled {
		t.Errorf("a code before there are any: %q", r)
	}
	codes := b.issued(t, owner)
	seen := map[string]bool{}
	for _, c := range codes {
		if !regexp.MustCompile(`^([A-Z2-7]{4}-){4}[A-Z2-7]{4}$`).MatchString(c) || seen[c[:4]] {
			t.Errorf("code %q", c)
		}
		seen[c[:4]] = true
	}
	if len(codes) != 10 {
		t.Errorf("%d codes", len(codes))
	}
	typed := []string{codes[0], strings.ToLower(codes[1]), strings.ReplaceAll(codes[2], "-", ""), " " + strings.ReplaceAll(codes[3], "-", "\u00a0") + "\n",
		strings.NewReplacer("O", "0", "I", "1", "B", "8").Replace(codes[4])}
	for i, c := range typed {
		if r := b.redeem(t, owner, c); r != Accepted {
			t.Errorf("%q: %q", c, r)
		}
		if s, _ := b.codes.Standing(t.Context(), owner); s.Left != 9-i || s.TriesLeft != 5 {
			t.Errorf("standing after %d codes: %+v", i+1, s)
		}
	}
	b.restart(t)
	if r := b.redeem(t, owner, codes[0]); r != Used {
		t.Errorf("a code again, after a restart: %q", r)
	}
	if r := b.redeem(t, owner, codes[5][:len(codes[5])-1]+"!"); r != Malformed {
		t.Errorf("not a code: %q", r)
	}
	if n := b.journaled(t, journal.CodesIssued, ""); n != 1 {
		t.Errorf("%d entries of the issue", n)
	}
}

// TestForeignCode is S-7: another account's code, and one of a set that is void, fail and cost tries of the account they were tried on.
func TestForeignCode(t *testing.T) {
	b := newBench(t)
	mine, theirs := b.issued(t, owner), b.issued(t, "acct-2")
	if r := b.redeem(t, owner, theirs[0]); r != Wrong {
		t.Errorf("another account's code: %q", r)
	}
	if s, _ := b.codes.Standing(t.Context(), "acct-2"); s.TriesLeft != 5 || s.Left != 10 {
		t.Errorf("it cost the other account: %+v", s)
	}
	if s, _ := b.codes.Standing(t.Context(), owner); s.TriesLeft != 4 {
		t.Errorf("it cost this account nothing: %+v", s)
	}
	swapped := mine[0][:5] + mine[1][5:]
	if r := b.redeem(t, owner, swapped); r != Wrong {
		t.Errorf("one code's group with another's secret: %q", r)
	}
	b.issued(t, owner)
	for _, c := range mine[:2] {
		if r := b.redeem(t, owner, c); r != Wrong {
			t.Errorf("a code of a void set: %q", r)
		}
	}
}

// TestOffer: until its owner has saved the new set, the old one counts; then only the new one.
func TestOffer(t *testing.T) {
	b := newBench(t)
	old := b.issued(t, owner)
	lost, err := b.codes.Offer(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	offered, err := b.codes.Offer(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	if r := b.redeem(t, owner, old[0]); r != Accepted {
		t.Errorf("the old set before the new one is kept: %q", r)
	}
	if r := b.redeem(t, owner, offered[0]); r != Wrong {
		t.Errorf("the new set before it is kept: %q", r)
	}
	if err := b.codes.Keep(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	for code, want := range map[string]Reason{old[1]: Wrong, lost[0]: Wrong, offered[0]: Accepted} {
		if r := b.redeem(t, owner, code); r != want {
			t.Errorf("after keeping: %q, want %q", r, want)
		}
	}
	if s, _ := b.codes.Standing(t.Context(), owner); s.Offered || s.Left != 9 {
		t.Errorf("standing %+v", s)
	}
	if err := b.codes.Keep(t.Context(), owner); err != nil { // nothing is offered: nothing happens
		t.Fatal(err)
	}
	if s, _ := b.codes.Standing(t.Context(), owner); s.Left != 9 {
		t.Errorf("kept twice: %+v", s)
	}
}

// TestNewerCodes: a set made at or after the first bad event is the stranger's.
func TestNewerCodes(t *testing.T) {
	b := newBench(t)
	codes, issued := b.issued(t, owner), b.now()
	for since, want := range map[time.Time]Reason{issued: NotEnrolled, issued.Add(time.Millisecond): Accepted} {
		r, err := b.codes.Redeem(t.Context(), owner, since, codes[0], b.commit)
		if err != nil || r.Reason != want {
			t.Errorf("trouble since %v, issued %v: %q, %v", since, issued, r.Reason, err)
		}
	}
}

func TestParallelCodes(t *testing.T) {
	b := newBench(t)
	codes := b.issued(t, owner)
	var in atomic.Int64
	crowd(300, func(int) {
		if b.redeem(t, owner, codes[3]) == Accepted {
			in.Add(1)
		}
	})
	if in.Load() != 1 {
		t.Errorf("%d successes", in.Load())
	}
	if s, _ := b.codes.Standing(t.Context(), owner); s.Left != 9 {
		t.Errorf("%d codes left", s.Left)
	}
	var looked atomic.Int64
	b.wait(25 * time.Hour)
	crowd(1_000, func(i int) {
		if b.redeem(t, owner, codes[4][:14]+b32.EncodeToString([]byte{byte(i), byte(i >> 8), 7, 7, 7})) == Wrong {
			looked.Add(1)
		}
	})
	if looked.Load() != freeTries {
		t.Errorf("%d guesses were looked at", looked.Load())
	}
}
