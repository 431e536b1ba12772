package staff

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestLinksWorkOnceAndForADay(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	link, err := o.Invite(ctx, "ana", Analyst, "staff:root")
	if err != nil || !strings.HasPrefix(link, "https://staff.example/join/") {
		t.Fatal(link, err)
	}
	token := tokenOf(link)
	for range 3 { // looking changes nothing
		if l, err := o.Peek(ctx, token); err != nil || l.Stage != Invited || l.Name != "ana" || l.Role != Analyst {
			t.Fatalf("%+v, %v", l, err)
		}
	}
	if _, err := o.Finish(ctx, token, "123456"); !errors.Is(err, ErrLink) {
		t.Errorf("the code before the password: %v", err)
	}
	if _, err := o.Enter(ctx, token); !errors.Is(err, ErrLink) {
		t.Errorf("an invitation signs in: %v", err)
	}
	if _, err := o.Start(ctx, token, "passwordpassword"); !errors.Is(err, ErrGuessable) {
		t.Errorf("a common password: %v", err)
	}
	next, err := o.Start(ctx, token, good)
	if err != nil {
		t.Fatal(err)
	}
	for _, spent := range []string{token, "", "x", next + "x"} {
		if _, err := o.Start(ctx, spent, good); !errors.Is(err, ErrLink) {
			t.Errorf("token %q: %v", spent, err)
		}
	}
	if _, err := o.Finish(ctx, next, "000000"); !errors.Is(err, ErrRefused) {
		t.Errorf("a wrong code: %v", err)
	}
	if _, found, err := o.Get(ctx, "ana"); found || err != nil {
		t.Errorf("a member before the code: %v, %v", found, err)
	}
	o.pass(InviteLife)
	if _, err := o.Peek(ctx, next); !errors.Is(err, ErrLink) {
		t.Errorf("after a day: %v", err)
	}
	// the store knows no token
	err = o.db.Scan(ctx, nil, nil, false, func(key, value []byte) bool {
		if bytes.Contains(key, []byte(token)) || bytes.Contains(value, []byte(token)) || bytes.Contains(value, []byte(good)) {
			t.Errorf("key %q holds a secret", key)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Of many who press at once, one gets in.
func TestALinkIsSpentOnce(t *testing.T) {
	o := newOffice(t)
	link, err := o.SignInLink(t.Context(), "demo", Admin)
	if err != nil {
		t.Fatal(err)
	}
	var in sync.Map
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if _, err := o.Enter(context.Background(), tokenOf(link)); err == nil {
				in.Store(i, true)
			} else if !errors.Is(err, ErrLink) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	n := 0
	in.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d got in", n)
	}
}

// Being invited again replaces password and authenticator and ends older sessions; until it is finished, the old ones work.
func TestInvitedAgain(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	old := o.join("ana", Admin)
	link, err := o.Invite(ctx, "ana", Analyst, "operator")
	if err != nil {
		t.Fatal(err)
	}
	next, err := o.Start(ctx, tokenOf(link), "another four words entirely")
	if err != nil {
		t.Fatal(err)
	}
	if i, err := o.SignIn(ctx, "ana", good, o.code(old), "a"); err != nil || i.Role != Admin {
		t.Fatalf("the old password before the new one counts: %+v, %v", i, err)
	}
	l, err := o.Peek(ctx, next)
	if err != nil {
		t.Fatal(err)
	}
	i, err := o.Finish(ctx, next, o.code(l.App.URI))
	if err != nil || i.Role != Analyst || i.Generation != 2 {
		t.Fatalf("%+v, %v", i, err)
	}
	o.pass(30 * time.Second)
	if _, err := o.SignIn(ctx, "ana", good, o.code(old), "a"); !errors.Is(err, ErrRefused) {
		t.Errorf("the old password: %v", err)
	}
	if _, err := o.SignIn(ctx, "ana", "another four words entirely", o.code(l.App.URI), "a"); err != nil {
		t.Errorf("the new password: %v", err)
	}
}

// A link that was left over does not bring back who was disabled since, nor join a second time.
func TestLeftOverInvitations(t *testing.T) {
	for what, since := range map[string]func(*office){
		"disabled":                func(o *office) { o.disable("ana", true) },
		"disabled and let in":     func(o *office) { o.disable("ana", true); o.disable("ana", false) },
		"joined by another link":  func(o *office) { o.join("ana", Viewer) },
		"joined for the 1st time": func(o *office) { o.join("bo", Viewer) },
	} {
		t.Run(what, func(t *testing.T) {
			o := newOffice(t)
			ctx := t.Context()
			o.join("cy", Admin)
			o.join("ana", Analyst)
			for _, name := range []string{"ana", "bo"} {
				fresh, err := o.Invite(ctx, name, Admin, "staff:cy")
				if err != nil {
					t.Fatal(err)
				}
				begun, err := o.Invite(ctx, name, Admin, "staff:cy")
				if err != nil {
					t.Fatal(err)
				}
				next, err := o.Start(ctx, tokenOf(begun), good)
				if err != nil {
					t.Fatal(err)
				}
				l, err := o.Peek(ctx, next)
				if err != nil {
					t.Fatal(err)
				}
				before, _, err := o.Get(ctx, name)
				if err != nil {
					t.Fatal(err)
				}
				since(o)
				after, _, err := o.Get(ctx, name)
				if err != nil {
					t.Fatal(err)
				}
				if before.Generation == after.Generation {
					continue // not this one's story
				}
				if _, err := o.Finish(ctx, next, o.code(l.App.URI)); !errors.Is(err, ErrLink) {
					t.Errorf("%s: a link that was begun: %v", name, err)
				}
				if _, err := o.Start(ctx, tokenOf(fresh), good); !errors.Is(err, ErrLink) {
					t.Errorf("%s: a link that was not used: %v", name, err)
				}
				if now, _, err := o.Get(ctx, name); err != nil || now != after {
					t.Errorf("%s is %+v, %v", name, now, err)
				}
			}
		})
	}
}

func (o *office) disable(name string, off bool) {
	o.t.Helper()
	if err := o.SetDisabled(o.t.Context(), name, off, "staff:cy"); err != nil {
		o.t.Fatal(err)
	}
}

func TestTheLastAdministratorStays(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	o.join("ana", Admin)
	o.join("bo", Analyst)
	if _, err := o.SignInLink(ctx, "demo", Admin); err != nil { // has no password: can't be the one who is left
		t.Fatal(err)
	}
	if err := o.SetDisabled(ctx, "ana", true, "staff:ana"); !errors.Is(err, ErrLastAdmin) {
		t.Errorf("disabled: %v", err)
	}
	if err := o.SetRole(ctx, "ana", Viewer, "staff:ana"); !errors.Is(err, ErrLastAdmin) {
		t.Errorf("made a viewer: %v", err)
	}
	if err := o.SetRole(ctx, "bo", Admin, "staff:ana"); err != nil {
		t.Fatal(err)
	}
	// two administrators switch each other off at the same moment
	var all sync.WaitGroup
	for _, name := range []string{"ana", "bo"} {
		all.Go(func() {
			if err := o.SetDisabled(context.Background(), name, true, "x"); err != nil && !errors.Is(err, ErrLastAdmin) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	left := 0
	people, err := o.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range people {
		if p.Role == Admin && !p.Disabled && p.Name != "demo" {
			left++
		}
	}
	if left != 1 {
		t.Errorf("%d administrators are left", left)
	}
	for name, try := range map[string]error{"unknown": o.SetRole(ctx, "nobody", Viewer, "x"), "role": o.SetRole(ctx, "bo", "root", "x")} {
		if try == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
