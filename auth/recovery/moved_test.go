package recovery

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"doorward/auth"
	"doorward/store/journal"
)

// TestMovedOn: the account's state moves between the owner's look and the shard's; the act is refused, the proof stays, and finish goes on.
func TestMovedOn(t *testing.T) {
	s := newStage(t)
	uri, _ := s.enrolled()
	id := s.lock()
	s.wait(time.Minute)
	s.shard.Lock()
	done := make(chan Result, 1)
	go func() {
		_, r, err := s.Submit(context.Background(), id, Input{Kind: InputCode, Code: s.code(uri, 0)})
		if err != nil {
			t.Error(err)
		}
		done <- r
	}()
	poll(t, func() bool { r, _, err := Load(t.Context(), s.store, id); return err == nil && r.Status == Applying })
	if _, r := s.submit(id, Input{Kind: InputCode, Code: s.code(uri, 1)}); r.Refused != RefusedBusy {
		t.Errorf("while it is with the shard: %+v", r)
	}
	a, _ := s.account(owner).Judge(auth.Verdict{Response: auth.Lock, Demand: auth.DemandStaff, Findings: []string{"f-2"}, At: s.now(), Event: "s e-2"})
	s.put(a, auth.Outcome{}, "")
	s.shard.Unlock()
	if r := <-done; !r.Moved || r.NewCodes != nil {
		t.Errorf("refused by the shard: %+v", r)
	}
	if v, err := s.View(t.Context(), id); err != nil || v.Status != Staff || s.account(owner).State != auth.Locked {
		t.Errorf("afterwards: %+v, %v", v, err)
	}
	s.change(func(a auth.Account) auth.Account { a.Demand = ""; return a })
	if v, r := s.submit(id, Input{Kind: InputFinish}); r.Refused != "" || v.Account.State != auth.Probation {
		t.Errorf("finish: %+v, %+v", r, v)
	}
}

func poll(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatal("it never came")
		}
		time.Sleep(time.Millisecond)
	}
}

// TestParallelOwners is S-2 through the whole flow: a thousand tries of one right code; one act, one way in.
func TestParallelOwners(t *testing.T) {
	s := newStage(t)
	uri, _ := s.enrolled()
	id := s.lock()
	s.wait(time.Minute)
	code := s.code(uri, 0)
	var in atomic.Int64
	var crowd sync.WaitGroup
	for range 1_000 {
		crowd.Go(func() {
			_, r, err := s.Submit(context.Background(), id, Input{Kind: InputCode, Code: code})
			if err != nil {
				t.Error(err)
			} else if r.Refused == "" {
				in.Add(1)
			}
		})
	}
	crowd.Wait()
	if in.Load() != 1 || s.entries(journal.ActMade, "*") != 1 || s.account(owner).State != auth.Probation {
		t.Errorf("%d got in by one code, %d acts, %s", in.Load(), s.entries(journal.ActMade, "*"), s.account(owner).State)
	}
}

func TestVerify(t *testing.T) {
	s := newStage(t)
	uri, _ := s.enrolled()
	challenge := func() {
		s.change(func(a auth.Account) auth.Account {
			a.ID = owner
			a, _ = a.Judge(auth.Verdict{Response: auth.Challenge, Findings: []string{"f"}, At: s.now(), Event: "s e"})
			return a
		})
		s.wait(time.Minute)
	}
	verify := func(code string) Verified {
		t.Helper()
		v, err := s.Verify(t.Context(), owner, code)
		s.must(err)
		return v
	}
	challenge()
	code := s.code(uri, 0)
	if v := verify(s.wrong(uri)); v.Status != VerifyWrong || v.Record.State != auth.Challenged {
		t.Errorf("wrong: %+v", v)
	}
	if v := verify("12 34"); v.Status != VerifyWrong {
		t.Errorf("not a code: %+v", v)
	}
	if v := verify(code); v.Status != VerifyOK || v.Record.State != auth.Open || v.Record.Challenge {
		t.Errorf("right: %+v", v)
	}
	challenge()
	s.wait(-time.Minute)
	if v := verify(code); v.Status != VerifyUsed || v.Record.State != auth.Challenged || !slices.Contains(s.warned, "code_used") {
		t.Errorf("used: %+v, warned of %v", v, s.warned)
	}
	for range 4 {
		verify(s.wrong(uri))
	}
	if v := verify(s.code(uri, 0)); v.Status != VerifyWait || v.RetryAfter <= 0 || v.RetryAfter > 30*time.Second {
		t.Errorf("wait: %+v", v)
	}
	s.wait(time.Hour)
	s.lock()
	s.wait(time.Minute)
	if v := verify(s.code(uri, 0)); v.Status != VerifyOK || v.Record.State != auth.Locked {
		t.Errorf("a second factor on a locked account: %+v", v)
	}
	if v, err := s.Verify(t.Context(), "acct-2", "123456"); err != nil || v.Status != VerifyNotEnrolled || v.Record.State != auth.Open {
		t.Errorf("no app: %+v, %v", v, err)
	}
}

// TestVerifyByNewApp: an app that was bound after the first bad event answers no challenge.
func TestVerifyByNewApp(t *testing.T) {
	s := newStage(t)
	s.enrolled()
	s.change(func(a auth.Account) auth.Account {
		a.ID = owner
		a, _ = a.Judge(auth.Verdict{Response: auth.Challenge, Findings: []string{"f"}, At: s.now(), Event: "s e"})
		return a
	})
	s.wait(time.Minute)
	const strangers = "otpauth://totp/x?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	_, err := s.factors.Import(t.Context(), owner, strangers)
	s.must(err)
	if v, err := s.Verify(t.Context(), owner, s.code(strangers, 0)); err != nil || v.Status != VerifyNotEnrolled || s.account(owner).State != auth.Challenged {
		t.Errorf("%+v, %v", v, err)
	}
}
