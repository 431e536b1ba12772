package totp

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"doorward/auth"
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
	if !strings.HasPrefix(e.QR, "<svg ") || strings.Contains(e.QR, "style") || strings.Contains(e.QR, "script") || len(e.QR) < 2500 {
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
