package recovery

import (
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"doorward/auth"
	"doorward/store/journal"
)

// TestLink is S-8: only the newest link of a recovery opens, for a day, and nothing that merely looks like it does.
func TestLink(t *testing.T) {
	s := newStage(t)
	s.enrolled()
	id := s.lock()
	first := s.Token(id, 1)
	if now, err := s.Current(t.Context(), id); err != nil || now != first {
		t.Errorf("current: %q, %v", now, err)
	}
	opens := func(token string, want error) {
		t.Helper()
		got, err := s.Open(t.Context(), token)
		if !errors.Is(err, want) || want == nil && got != id {
			t.Errorf("%.20s...: %q, %v; want %v", token, got, err, want)
		}
	}
	before := s.entries(journal.RecoveryStep, "*")
	opens(first, nil)
	opens(first, nil) // a mail scanner, then the owner
	s.wait(LinkLife - time.Second)
	opens(first, nil)
	if v, err := s.View(t.Context(), id); err != nil || v.Status != Pending || s.entries(journal.RecoveryStep, "*") != before {
		t.Errorf("looking changed something: %+v, %v", v, err)
	}
	s.wait(time.Second)
	opens(first, ErrLinkExpired)
	if got, _ := s.Open(t.Context(), first); got != id {
		t.Errorf("an expired link does not say whose it was: %q", got)
	}
	second, err := s.Reissue(t.Context(), id)
	if err != nil || second == first || second != s.Token(id, 2) {
		t.Fatalf("reissue: %q, %v", second, err)
	}
	opens(second, nil)
	opens(first, ErrLinkExpired)
	opens(s.Token(id, 3), ErrLink) // made under our key, but never issued
	opens(s.Token(id, 0), ErrLinkExpired)
	opens(s.Token("no such id", 1), ErrLink)

	raw, err := base64.RawURLEncoding.DecodeString(second)
	s.must(err)
	for i := range raw {
		for bit := range 8 {
			raw[i] ^= 1 << bit
			opens(base64.RawURLEncoding.EncodeToString(raw), ErrLink)
			raw[i] ^= 1 << bit
		}
	}
	for n := range len(second) {
		opens(second[:n], ErrLink)
		if n > 0 {
			opens(second[n:], ErrLink)
		}
	}
	opens(second+"A", ErrLink)
	opens(second+"=", ErrLink)
	opens(" "+second, ErrLink)
	opens(second[:9]+"\n"+second[9:], ErrLink)

	other, err := auth.NewKeys([]byte("another key, of another installation"[:32]))
	s.must(err)
	opens(NewFlow(FlowConfig{Keys: other}).Token(id, 2), ErrLink)
	mac := s.keys.MAC("mail code", []byte(id), raw[:numberSize])
	opens(base64.RawURLEncoding.EncodeToString(append(append(raw[:numberSize:numberSize], mac[:]...), id...)), ErrLink)
}

// TestReissueLimit is D-3: three links an hour, also when they are asked for at once.
func TestReissueLimit(t *testing.T) {
	s := newStage(t)
	id := s.lock()
	for n := range 2 {
		if _, err := s.Reissue(t.Context(), id); err != nil {
			t.Fatalf("link %d: %v", n+2, err)
		}
		s.wait(time.Minute)
	}
	if _, err := s.Reissue(t.Context(), id); !errors.Is(err, ErrOften) {
		t.Errorf("a fourth link within the hour: %v", err)
	}
	s.wait(58 * time.Minute)
	if token, err := s.Reissue(t.Context(), id); err != nil || token != s.Token(id, 4) {
		t.Errorf("an hour after the first: %v", err)
	}
	if _, err := s.Reissue(t.Context(), "nobody"); !errors.Is(err, ErrLink) {
		t.Errorf("no such recovery: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	keys, err := auth.NewKeys(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	flow := NewFlow(FlowConfig{Keys: keys})
	f.Add("")
	f.Add("AAAAAQ")
	f.Add(base64.RawURLEncoding.EncodeToString(make([]byte, 60)))
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := flow.Open(t.Context(), token); !errors.Is(err, ErrLink) { // reaches no store without the right MAC
			t.Fatalf("%q: %v", token, err)
		}
	})
}
