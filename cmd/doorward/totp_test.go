package main

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"doorward/auth"
	"doorward/auth/totp"
	"doorward/store"
)

// Whoever enrols an account and never confirms it takes nothing from its owner: the codes from before count until then, and not after.
func TestEnrolmentCountsOnlyWhenConfirmed(t *testing.T) {
	ctx, cfg := context.Background(), defaults()
	cfg.Store = filepath.Join(t.TempDir(), "store")
	if code := run(ctx, []string{"init", "--store", cfg.Store}, strings.NewReader(""), io.Discard, io.Discard); code != exitOK {
		t.Fatalf("init ends with %d", code)
	}
	s, err := openHouse(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	id, err := auth.ParseAccountID("anna")
	if err != nil {
		t.Fatal(err)
	}
	enroll := func() enrolment {
		t.Helper()
		e, err := totpEnroll(ctx, s, totpRequest{ID: "anna"})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	confirm := func(e enrolment) {
		t.Helper()
		code, err := totp.CodeAt(e.URI, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := totpConfirm(ctx, s, totpRequest{"anna", code}); err != nil || !got.Confirmed {
			t.Fatalf("confirm: %+v, %v", got, err)
		}
	}
	counts := func(code string, want bool) {
		t.Helper()
		r, err := s.codes.Redeem(ctx, id, time.Time{}, code, func(ctx context.Context, b *store.Batch) error {
			_, err := s.db.Commit(ctx, b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Reason == totp.Accepted; got != want {
			t.Errorf("code %s: accepted %v (%s), want %v", code, got, r.Reason, want)
		}
	}
	first := enroll()
	counts(first.RecoveryCodes[0], false)
	confirm(first)
	counts(first.RecoveryCodes[1], true)
	second := enroll()
	counts(second.RecoveryCodes[0], false)
	counts(first.RecoveryCodes[2], true)
	confirm(second)
	counts(first.RecoveryCodes[3], false)
	counts(second.RecoveryCodes[1], true)
}
