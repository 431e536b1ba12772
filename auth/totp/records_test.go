package totp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"doorward/auth"
	"doorward/store"
	"doorward/store/journal"
)

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
