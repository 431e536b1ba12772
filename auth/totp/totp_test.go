package totp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"doorward/auth"
	"doorward/store"
	"doorward/store/journal"
)

// TestVectors are those of RFC 6238, appendix B, in six digits (its last six of eight).
func TestVectors(t *testing.T) {
	secret := map[string]string{"SHA1": "12345678901234567890", "SHA256": "12345678901234567890123456789012",
		"SHA512": "1234567890123456789012345678901234567890123456789012345678901234"}
	for _, v := range []struct {
		unix                 int64
		sha1, sha256, sha512 string
	}{
		{59, "287082", "119246", "693936"},
		{1111111109, "081804", "084774", "091201"},
		{1111111111, "050471", "062674", "943326"},
		{1234567890, "005924", "819424", "441116"},
		{2000000000, "279037", "698825", "618901"},
		{20000000000, "353130", "737706", "863826"},
	} {
		for a, want := range map[string]string{"SHA1": v.sha1, "SHA256": v.sha256, "SHA512": v.sha512} {
			s := seed{Secret: []byte(secret[a]), Algorithm: a}
			if got, err := s.at(stepOf(time.Unix(v.unix, 0))); err != nil || got != want {
				t.Errorf("%s at %d: %q, %v; want %q", a, v.unix, got, err, want)
			}
		}
	}
	if c, err := (&seed{Algorithm: "SHA1"}).at(1); err == nil {
		t.Errorf("an empty secret has the code %q that anybody can compute", c)
	}
}

func TestEnrolment(t *testing.T) {
	b := newBench(t)
	e, err := b.Enrol(t.Context(), "a&secret=AAAA:b=c d/e?é")
	if err != nil {
		t.Fatal(err)
	}
	s, note, err := parse(e.URI)
	if err != nil || note != "" || len(s.Secret) != 20 || s.Algorithm != "SHA1" {
		t.Errorf("the link reads as %d bytes of %s, %q, %v", len(s.Secret), s.Algorithm, note, err)
	}
	if strings.ReplaceAll(e.Key, " ", "") != b32.EncodeToString(s.Secret) || len(strings.Fields(e.Key)) != 8 {
		t.Errorf("key to type: %q", e.Key)
	}
	if !strings.HasPrefix(e.QR, "<svg ") || strings.Contains(e.QR, "style") || strings.Contains(e.QR, "script") || len(e.QR) < 5000 {
		t.Errorf("picture: %.80s", e.QR)
	}

	e, err = b.Enrol(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	code := b.code(t, e.URI, 0)
	if r := b.try(t, owner, code); r != NotEnrolled {
		t.Errorf("a code before the enrolment is confirmed: %q", r)
	}
	if s, _ := b.Standing(t.Context(), owner); s.Enrolled {
		t.Error("enrolled before it is confirmed")
	}
	if r, err := b.Confirm(t.Context(), owner, b.wrong(t, e.URI, 1)); err != nil || r.Reason != Wrong {
		t.Errorf("confirmed by a wrong code: %q, %v", r.Reason, err)
	}
	if r, err := b.Confirm(t.Context(), owner, code); err != nil || r.Reason != Accepted {
		t.Fatalf("confirm: %q, %v", r.Reason, err)
	}
	if s, _ := b.Standing(t.Context(), owner); !s.Enrolled || !s.Since.Equal(b.now().Truncate(time.Millisecond)) || s.TriesLeft != 5 {
		t.Errorf("standing %+v", s)
	}
	if r := b.try(t, owner, code); r != Used {
		t.Errorf("the confirming code again: %q", r)
	}
	if r, _ := b.Confirm(t.Context(), owner, code); r.Reason != NotEnrolled {
		t.Errorf("confirmed twice: %q", r.Reason)
	}
	if n := b.journaled(t, journal.FactorEnrolled, ""); n != 1 {
		t.Errorf("%d entries of the enrolment", n)
	}
}

func TestImport(t *testing.T) {
	b := newBench(t)
	const secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	uri := "otpauth://totp/Wallet:acct-1?secret=" + secret + "&issuer=Wallet&algorithm=SHA256&digits=6&period=30"
	if note, err := b.Import(t.Context(), owner, uri); err != nil || note != "" {
		t.Fatalf("import: %q, %v", note, err)
	}
	if r := b.try(t, owner, b.code(t, uri, 0)); r != Accepted {
		t.Errorf("a code of an imported app: %q", r)
	}
	before, _ := b.store.Get(t.Context(), factorKey(owner, active))
	b.wait(time.Hour)
	if _, err := b.Import(t.Context(), owner, uri); err != nil {
		t.Fatal(err)
	}
	if after, _ := b.store.Get(t.Context(), factorKey(owner, active)); !bytes.Equal(before[0], after[0]) {
		t.Error("the same link again changed the record: its age, its last step or its budget")
	}
	if note, err := b.Import(t.Context(), owner, "otpauth://totp/x?secret=JBSWY3DPEHPK3PXP"); err != nil || !strings.Contains(note, "80 bits") {
		t.Errorf("80 bits: %q, %v", note, err)
	}
	if s, _ := b.Standing(t.Context(), owner); !s.Since.Equal(b.now()) {
		t.Errorf("another secret, and yet bound since %v", s.Since)
	}
	for name, uri := range map[string]string{
		"hotp":            "otpauth://hotp/x?secret=" + secret + "&counter=1",
		"another scheme":  "https://totp/x?secret=" + secret,
		"8 digits":        "otpauth://totp/x?secret=" + secret + "&digits=8",
		"60 seconds":      "otpauth://totp/x?secret=" + secret + "&period=60",
		"MD5":             "otpauth://totp/x?secret=" + secret + "&algorithm=MD5",
		"no secret":       "otpauth://totp/x",
		"empty secret":    "otpauth://totp/x?secret=",
		"72 bits":         "otpauth://totp/x?secret=JBSWY3DPEHPK3PU",
		"not base32":      "otpauth://totp/x?secret=" + secret[:31] + "1",
		"two secrets":     "otpauth://totp/x?secret=" + secret + "&secret=" + secret,
		"a broken escape": "otpauth://totp/x?secret=" + secret + "&issuer=%zz",
		"a broken path":   "otpauth://totp/%zz?secret=" + secret,
		"endless":         "otpauth://totp/x?secret=" + strings.Repeat("A", 4096),
	} {
		_, err := b.Import(t.Context(), owner, uri)
		if err == nil {
			t.Errorf("%s: taken", name)
		} else if strings.Contains(err.Error(), "JBSWY") {
			t.Errorf("%s: the error tells the secret: %v", name, err)
		}
	}
}

// TestReplay is security.md S-1: a code works once, whatever stands around it, whatever came after it, and across a restart.
func TestReplay(t *testing.T) {
	b := newBench(t)
	uri := b.enrolled(t, owner)
	earlier, code := b.code(t, uri, -1), b.code(t, uri, 0)
	if r := b.try(t, owner, code[:3]+" "+code[3:]); r != Accepted {
		t.Fatalf("as the app shows it: %q", r)
	}
	if r := b.try(t, owner, earlier); r != Used {
		t.Errorf("the step before a used one: %q", r)
	}
	b.wait(time.Second)
	b.restart(t)
	spaces := []string{"", " ", "\t", "\n", "\r\n", "\u00a0", "\u1680", "\u2003", "\u2009", "\u2028", "\u202f", "\u205f", "\u3000", "\u200b", "\ufeff", "-", "\u2011"}
	for _, s := range spaces {
		for _, typed := range []string{s + code, code + s, code[:3] + s + code[3:]} {
			if r := b.try(t, owner, typed); r != Used {
				t.Fatalf("%q again: %q", typed, r)
			}
			if f, stored, _ := b.load(t.Context(), owner, active); f.Last != stepOf(b.now()) && len(stored) > 0 {
				t.Fatal("a replay moved the last step")
			}
			b.giveBack(t)
		}
	}
	if n := b.journaled(t, journal.CodeRejected, Used); n != 1+3*len(spaces) {
		t.Errorf("%d replays in the journal", n)
	}
	b.wait(2 * period)
	if r := b.try(t, owner, b.code(t, uri, 0)); r != Accepted {
		t.Errorf("the next code: %q", r)
	}
}

// giveBack clears the budget, so that a test can go on.
func (b *bench) giveBack(t *testing.T) {
	t.Helper()
	r, stored, err := b.load(t.Context(), owner, active)
	if err != nil {
		t.Fatal(err)
	}
	r.Budget = budget{}
	batch, err := replace(owner, active, stored, r)
	if err == nil {
		err = b.commit(t.Context(), batch)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestForeignDigits(t *testing.T) {
	b := newBench(t)
	uri := b.enrolled(t, owner)
	code := b.code(t, uri, 0)
	wide := strings.Map(func(r rune) rune { return r - '0' + '０' }, code)
	arabic := strings.Map(func(r rune) rune { return r - '0' + '٠' }, code)
	for _, typed := range []string{"", "12345", "1234567", code + "0", arabic, "12345a", "+12345", "1e5", "0x1234", strings.Repeat(" ", 200) + code, code + "\x00", "½½½½½½"} {
		if r := b.try(t, owner, typed); r != Malformed {
			t.Errorf("%q: %q", typed, r)
		}
	}
	if s, _ := b.Standing(t.Context(), owner); s.TriesLeft != 5 {
		t.Errorf("what is no code at all cost tries: %d left", s.TriesLeft)
	}
	if r := b.try(t, owner, wide); r != Accepted { // NFKC makes them the same digits; DESIGN, "Coming back in"
		t.Errorf("full width digits: %q", r)
	}
}

func TestSkew(t *testing.T) {
	b := newBench(t)
	for steps, want := range map[int]Reason{-2: Wrong, -1: Accepted, 0: Accepted, 1: Accepted, 2: Wrong} {
		a := auth.AccountID(fmt.Sprint("acct", steps))
		uri := b.enrolled(t, a)
		if r := b.try(t, a, b.code(t, uri, steps)); r != want {
			t.Errorf("a code %d steps away: %q, want %q", steps, r, want)
		}
	}
}

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
	for _, d := range []time.Duration{time.Hour, 30 * time.Hour} { // a pause is not sat out
		b.wait(d)
		if r := b.try(t, owner, b.code(t, uri, 0)); r != Paused {
			t.Errorf("after ten failures: %q", r)
		}
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

// TestStolenRecords is S-31 and S-32: no secret lies open, and a record moved to another account opens nothing.
func TestStolenRecords(t *testing.T) {
	b := newBench(t)
	uri := b.enrolled(t, owner)
	s, _, err := parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	codes, err := b.codes.Issue(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	b.try(t, owner, b.wrong(t, uri, 123456))
	secrets := [][]byte{s.Secret, []byte(b32.EncodeToString(s.Secret)), []byte("123456")}
	for _, c := range codes {
		c = strings.ReplaceAll(c, "-", "")
		secrets = append(secrets, []byte(c), []byte(c[groupSize:]))
	}
	err = b.store.Scan(t.Context(), []byte{0}, []byte{0xff}, false, func(k, v []byte) bool {
		for _, secret := range secrets {
			if bytes.Contains(v, secret) || bytes.Contains(k, secret) {
				t.Errorf("a secret lies open under %q", k)
			}
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}

	stolen, _ := b.store.Get(t.Context(), factorKey(owner, active))
	move(t, b, factorKey("acct-2", active), stolen[0])
	if _, err := b.Redeem(t.Context(), "acct-2", time.Time{}, b.code(t, uri, 0), b.commit); !errors.Is(err, auth.ErrSealed) {
		t.Errorf("a seed moved to another account: %v", err)
	}
	group := codes[0][:groupSize]
	for _, k := range []string{"", group} {
		v, _ := b.store.Get(t.Context(), codeKey(owner, k))
		move(t, b, codeKey("acct-2", k), v[0])
	}
	if r, err := b.codes.Redeem(t.Context(), "acct-2", time.Time{}, codes[0], b.commit); err != nil || r.Reason != Wrong {
		t.Errorf("a recovery code moved to another account: %q, %v", r.Reason, err)
	}
}

func move(t *testing.T, b *bench, key, value []byte) {
	t.Helper()
	if _, err := b.store.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: key, Value: value}}}); err != nil {
		t.Fatal(err)
	}
}

func TestVoid(t *testing.T) {
	b := newBench(t)
	uri := b.enrolled(t, owner)
	batch, err := b.VoidBatch(t.Context(), owner, "r-1")
	if err == nil {
		err = b.commit(t.Context(), batch)
	}
	if err != nil {
		t.Fatal(err)
	}
	if r := b.try(t, owner, b.code(t, uri, 0)); r != NotEnrolled {
		t.Errorf("a code of a void app: %q", r)
	}
	if n := b.journaled(t, journal.FactorVoided, ""); n != 1 {
		t.Errorf("%d entries", n)
	}
}

func TestIssuer(t *testing.T) {
	for issuer, ok := range map[string]bool{"Doorward": true, "OK Wallet 2.0": true, "": false, "AT&T": false, "x&secret=AAAA": false, "a:b": false, "a+b": false, "钱包": false, strings.Repeat("a", 65): false} {
		if _, err := NewFactors(Config{Issuer: issuer}); (err == nil) != ok {
			t.Errorf("issuer %q: %v", issuer, err)
		}
	}
}

func FuzzTyped(f *testing.F) {
	for _, s := range []string{"123456", " 123 456 ", "１２３４５６", "12345\u0665", "abcd-efgh", "\u200b123456"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if c, ok := digits(s, codeDigits); ok {
			if again, ok := digits(c, codeDigits); !ok || again != c || len(c) != codeDigits {
				t.Fatalf("%q: %q, then %q", s, c, again)
			}
		}
		if c, ok := typedCode(s); ok {
			if again, ok := typedCode(c); !ok || again != c {
				t.Fatalf("%q: %q, then %q", s, c, again)
			}
		}
	})
}

func FuzzImport(f *testing.F) {
	f.Add("otpauth://totp/W:a?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=W")
	f.Add("otpauth://totp/?secret=&secret=")
	f.Fuzz(func(t *testing.T, uri string) {
		s, _, err := parse(uri)
		if err != nil {
			return
		}
		if len(s.Secret) < minSecret || len(s.Secret) > maxSecret {
			t.Fatalf("a secret of %d bytes was taken", len(s.Secret))
		}
		if _, err := s.at(1); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzLink makes links for any account id that there can be, and reads them back.
func FuzzLink(f *testing.F) {
	f.Add("acct-1", uint64(1))
	f.Add("x&secret=AAAA", uint64(2))
	f.Add("a:b/c?d#e%2f", uint64(3))
	f.Fuzz(func(t *testing.T, account string, n uint64) {
		id, err := auth.ParseAccountID(account)
		if err != nil {
			return
		}
		s := &seed{Secret: binary.BigEndian.AppendUint64(make([]byte, 12), n), Algorithm: "SHA1"}
		uri, err := link("Wallet", string(id), s)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := parse(uri)
		if err != nil || !got.equal(s) {
			t.Fatalf("%q reads back as %v, %v", uri, got, err)
		}
	})
}

func TestDamagedRecord(t *testing.T) {
	b := newBench(t)
	b.enrolled(t, owner)
	for _, v := range []string{"{", `{"v":2}`, `{"v":1,"sealed":"AAAA"}`} {
		move(t, b, factorKey(owner, active), []byte(v))
		if _, err := b.Redeem(t.Context(), owner, time.Time{}, "123456", b.commit); err == nil {
			t.Errorf("%s: no error", v)
		}
	}
}
