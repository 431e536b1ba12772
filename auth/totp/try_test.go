package totp

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"doorward/store"
	"doorward/store/journal"
)

// TestBudget is D-1: five tries, waits of 30 s, 1, 5, 15 and 60 min, a pause at ten in 24 h.
func TestBudget(t *testing.T) {
	b := newBench(t)
	uri := b.enrolled(t, owner)
	for i := range 5 {
		if s, _ := b.Standing(t.Context(), owner); s.TriesLeft != 5-i {
			t.Errorf("after %d wrong codes %d tries are left", i, s.TriesLeft)
		}
		if r := b.try(t, owner, b.wrong(t, uri, i)); r != Wrong {
			t.Fatalf("wrong code %d: %q", i+1, r)
		}
	}
	for i, w := range waits {
		b.wait(w - time.Millisecond)
		if r := b.try(t, owner, b.code(t, uri, 0)); r != Wait {
			t.Fatalf("the right code within wait %d: %q", i, r)
		}
		b.wait(time.Millisecond)
		if s, _ := b.Standing(t.Context(), owner); s.TriesLeft != 1 || !s.WaitUntil.IsZero() {
			t.Errorf("after wait %d: %+v", i, s)
		}
		if r := b.try(t, owner, b.wrong(t, uri, 10+i)); r != Wrong {
			t.Fatalf("after wait %d: %q", i, r)
		}
	}
	b.wait(2 * time.Hour) // longer than the longest wait
	if r := b.try(t, owner, b.code(t, uri, 0)); r != Paused {
		t.Errorf("after ten failures: %q", r)
	}
	if n := b.journaled(t, journal.CodeRejected, Wait); n != len(waits) {
		t.Errorf("%d entries of refused tries, want one a wait", n)
	}
	batch, err := b.UnpauseBatch(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.commit(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if r := b.try(t, owner, b.code(t, uri, 0)); r != Accepted {
		t.Errorf("after another proof: %q", r)
	}
}

// TestSlowGuesser stays below ten failures a day for ever, and meets the hard stop.
func TestSlowGuesser(t *testing.T) {
	now, tries := time.Unix(1e9, 0), 0
	for b := (budget{}); ; now = now.Add(6 * time.Hour) {
		var why Reason
		if b, why = b.reserve(now); why == Paused {
			break
		} else if why == Accepted {
			tries++
		}
		if tries > hardStop {
			break
		}
	}
	if tries != hardStop {
		t.Errorf("%d tries, want %d", tries, hardStop)
	}
}

// TestClockGoesBack: no failure is forgotten and no wait ends by a clock that is set back.
func TestClockGoesBack(t *testing.T) {
	b, now := budget{}, time.Unix(1e9, 0)
	for range freeTries {
		b, _ = b.reserve(now)
	}
	if why := b.refusal(now.Add(-48 * time.Hour)); why != Wait {
		t.Errorf("two days earlier: %q", why)
	}
	if n := len(b.recent(now.Add(-48 * time.Hour))); n != freeTries {
		t.Errorf("%d failures left", n)
	}
}

// TestSuccessClears: the success of one account's factor clears that factor's failures and nobody else's.
func TestSuccessClears(t *testing.T) {
	b := newBench(t)
	uri, other := b.enrolled(t, owner), b.enrolled(t, "acct-2")
	for i := range 4 {
		b.try(t, owner, b.wrong(t, uri, i))
		b.try(t, "acct-2", b.wrong(t, other, i))
	}
	if r := b.try(t, owner, b.code(t, uri, 0)); r != Accepted {
		t.Fatal(r)
	}
	mine, _ := b.Standing(t.Context(), owner)
	theirs, _ := b.Standing(t.Context(), "acct-2")
	if mine.TriesLeft != 5 || theirs.TriesLeft != 1 {
		t.Errorf("tries left: %d of mine, %d of theirs", mine.TriesLeft, theirs.TriesLeft)
	}
}

// TestParallelGuesses is S-3: ten thousand guesses at once, from fresh sessions; only the budget's five are looked at.
func TestParallelGuesses(t *testing.T) {
	b := newBench(t)
	uri := b.enrolled(t, owner)
	var looked, turned atomic.Int64
	crowd(10_000, func(i int) {
		switch r := b.try(t, owner, b.wrong(t, uri, i*97)); r {
		case Wrong:
			looked.Add(1)
		case Wait:
			turned.Add(1)
		default:
			t.Errorf("guess %d: %q", i, r)
		}
	})
	if looked.Load() != freeTries || turned.Load() != 10_000-freeTries {
		t.Errorf("%d looked at, %d turned away", looked.Load(), turned.Load())
	}
	if n := b.journaled(t, journal.CodeRejected, Wrong) + b.journaled(t, journal.CodeRejected, Wait); n != freeTries+1 {
		t.Errorf("%d entries in the journal", n)
	}
}

// TestParallelRightCode is S-2: a thousand tries of the same right code; one is it.
func TestParallelRightCode(t *testing.T) {
	b := newBench(t)
	uri := b.enrolled(t, owner)
	code := b.code(t, uri, 0)
	var in atomic.Int64
	crowd(1_000, func(int) {
		if b.try(t, owner, code) == Accepted {
			in.Add(1)
		}
	})
	if in.Load() != 1 {
		t.Errorf("%d successes", in.Load())
	}
	if n := b.journaled(t, journal.CodeAccepted, ""); n != 1 {
		t.Errorf("%d accepted in the journal", n)
	}
}

func crowd(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

// TestCrashAfterTry is S-4 and kill -9 between try and answer: whatever happens once the try is made, it is spent.
func TestCrashAfterTry(t *testing.T) {
	b := newBench(t)
	uri := b.enrolled(t, owner)
	try, why, err := b.Reserve(t.Context(), owner, time.Time{})
	if err != nil || why != Accepted {
		t.Fatal(why, err)
	}
	b.restart(t) // the process is gone, nobody saw the answer
	if s, _ := b.Standing(t.Context(), owner); s.TriesLeft != 4 {
		t.Errorf("%d tries left after a crash", s.TriesLeft)
	}
	code := b.code(t, uri, 0)
	if step, why, err := try.Verify(code); err != nil || why != Accepted || step != stepOf(b.now()) {
		t.Errorf("verify: %d, %q, %v", step, why, err)
	}

	// the caller's transaction fails: the code is not burned, the try is spent
	boom := errors.New("the disk is full")
	if _, err := b.Redeem(t.Context(), owner, time.Time{}, code, func(context.Context, *store.Batch) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("error %v", err)
	}
	if s, _ := b.Standing(t.Context(), owner); s.TriesLeft != 3 {
		t.Errorf("%d tries left after a failed transaction", s.TriesLeft)
	}
	if r := b.try(t, owner, code); r != Accepted {
		t.Errorf("the code that no transaction burned: %q", r)
	}

	func() { // a panic on the way
		defer func() { recover() }()
		b.Redeem(t.Context(), owner, time.Time{}, b.code(t, uri, 1), func(context.Context, *store.Batch) error { panic("boom") })
	}()
	if s, _ := b.Standing(t.Context(), owner); s.TriesLeft != 4 {
		t.Errorf("%d tries left after a panic", s.TriesLeft)
	}
	gone, cancel := context.WithCancel(t.Context())
	_, err = b.Redeem(gone, owner, time.Time{}, b.code(t, uri, 1), func(ctx context.Context, _ *store.Batch) error { cancel(); return ctx.Err() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the client hung up: %v", err)
	}
	if s, _ := b.Standing(t.Context(), owner); s.TriesLeft != 3 {
		t.Errorf("%d tries left after the client hung up", s.TriesLeft)
	}
}

// TestUsedBeforeBurn: a used code is refused by the look at it already, before any transaction is made for it.
func TestUsedBeforeBurn(t *testing.T) {
	b := newBench(t)
	uri := b.enrolled(t, owner)
	code, codes := b.code(t, uri, 0), b.issued(t, owner)
	b.try(t, owner, code)
	b.redeem(t, owner, codes[0])
	never := func(context.Context, *store.Batch) error { t.Error("a transaction for a used code"); return nil }
	if r, err := b.Redeem(t.Context(), owner, time.Time{}, code, never); err != nil || r.Reason != Used {
		t.Errorf("app: %+v, %v", r, err)
	}
	try, why, err := b.Reserve(t.Context(), owner, time.Time{})
	if err != nil || why != Accepted {
		t.Fatal(why, err)
	}
	if _, why, err := try.Verify(code); err != nil || why != Used {
		t.Errorf("verify: %q, %v", why, err)
	}
	if _, why, err := try.Burn(t.Context(), stepOf(b.now())); err != nil || why != Used {
		t.Errorf("burn: %q, %v", why, err)
	}
	if why, err := b.codes.verify(t.Context(), owner, strings.ReplaceAll(codes[0], "-", "")); err != nil || why != Used {
		t.Errorf("recovery code: %q, %v", why, err)
	}
}

// TestNewerApp: an app bound at or after the first bad event is the stranger's.
func TestNewerApp(t *testing.T) {
	b := newBench(t)
	bound := b.now()
	uri := b.enrolled(t, owner)
	for since, want := range map[time.Time]Reason{bound: NotEnrolled, bound.Add(-time.Hour): NotEnrolled, bound.Add(time.Millisecond): Accepted} {
		r, err := b.Redeem(t.Context(), owner, since, b.code(t, uri, 0), b.commit)
		if err != nil || r.Reason != want {
			t.Errorf("trouble since %v, bound %v: %q, %v", since, bound, r.Reason, err)
		}
	}
}

// TestPauseEnds: ten wrong codes close the app for a day and not for good; fifty in a row, over many days, do.
func TestPauseEnds(t *testing.T) {
	now, b := time.Unix(1e9, 0), budget{}
	guess := func() (tries int) {
		for range 10 * dayTries {
			next, why := b.reserve(now)
			if why == Accepted {
				tries++
			}
			b, now = next, now.Add(time.Hour/4)
		}
		return tries
	}
	for total := 0; total < hardStop; {
		if b.paused(now) {
			t.Fatalf("paused a day after %d wrong codes", total)
		}
		tries := guess() // 25 hours of trying as hard as one can
		if total += tries; tries > dayTries+1 {
			t.Fatalf("%d tries in a day", tries)
		}
		if !b.paused(now) && total < hardStop {
			now = now.Add(day)
		}
		for b.paused(now) && total < hardStop {
			now = now.Add(time.Hour)
		}
	}
	if now = now.Add(100 * day); !b.paused(now) {
		t.Error("fifty failures in a row are sat out")
	}
}
