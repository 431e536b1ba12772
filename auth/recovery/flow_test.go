package recovery

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"doorward/auth"
	"doorward/auth/totp"
	"doorward/store/journal"
)

// TestBackIn is the main job: locked, one code, back in; with new recovery codes that count once they are saved.
func TestBackIn(t *testing.T) {
	s := newStage(t)
	uri, old := s.enrolled("ann@example.com")
	id := s.lock()
	s.wait(time.Minute)
	v, err := s.View(t.Context(), id)
	if err != nil || v.Status != Pending || v.Current != StepCode || v.Account.State != auth.Locked || !v.RecoveryCodeToo || v.App.TriesLeft != 5 {
		t.Fatalf("before: %+v, %v", v, err)
	}
	code := s.code(uri, 0)
	v, r := s.submit(id, Input{Kind: InputCode, Code: code[:3] + " " + code[3:]})
	if r.Refused != "" || v.Account.State != auth.Probation || v.Status != Finished || !v.Until.Equal(s.now().Add(72*time.Hour)) {
		t.Fatalf("after the code: %+v, %+v", r, v)
	}
	if a := s.account(owner); !a.Floor.Equal(s.now()) || a.FloorSequence == 0 {
		t.Errorf("no floor: %+v", a)
	}
	if len(r.NewCodes) != 10 || !v.CodesOffered {
		t.Fatalf("new codes: %v", r.NewCodes)
	}
	if _, r := s.submit(id, Input{Kind: InputCode, Code: s.code(uri, 1)}); r.Refused != RefusedState {
		t.Errorf("a code when it is over: %+v", r)
	}
	if v, r := s.submit(id, Input{Kind: InputCodesSaved}); r.Refused != "" || v.CodesOffered || v.Codes.Left != 10 {
		t.Errorf("saved: %+v", r)
	}
	for code, want := range map[string]totp.Reason{old[0]: totp.Wrong, r.NewCodes[0]: totp.Accepted} {
		got, err := s.codes.Redeem(t.Context(), owner, time.Time{}, code, func(context.Context, *batch) error { return nil })
		if err != nil || got.Reason != want {
			t.Errorf("a recovery code after the new ones are saved: %q, %v; want %q", got.Reason, err, want)
		}
	}
	if s.entries(journal.CodeAccepted, "*") != 1 || s.entries(journal.ActMade, "*") != 1 || s.entries(journal.RecoveryStep, "code") != 1 {
		t.Error("the journal does not tell it")
	}
}

func TestRejectedCodes(t *testing.T) {
	s := newStage(t)
	uri, _ := s.enrolled()
	id := s.lock()
	s.wait(time.Minute)
	for left := 4; left >= 0; left-- {
		if _, r := s.submit(id, Input{Kind: InputCode, Code: s.wrong(uri)}); r.Code != totp.Wrong || r.TriesLeft != left {
			t.Fatalf("wrong code: %+v, want %d tries left", r, left)
		}
	}
	if _, r := s.submit(id, Input{Kind: InputCode, Code: s.code(uri, 0)}); r.Code != totp.Wait || !r.WaitUntil.Equal(s.now().Add(30*time.Second).Truncate(time.Millisecond)) {
		t.Errorf("the right code while waiting: %+v", r)
	}
	s.wait(30 * time.Second)
	if _, r := s.submit(id, Input{Kind: InputCode, Code: "12 34"}); r.Code != totp.Malformed {
		t.Errorf("not a code: %+v", r)
	}
	if v, r := s.submit(id, Input{Kind: InputCode, Code: s.code(uri, 0)}); r.Refused != "" || v.Account.State != auth.Probation {
		t.Errorf("the right code: %+v", r)
	}
	if !slices.Equal(s.warned, []string{"budget"}) {
		t.Errorf("warned of %v", s.warned)
	}
	if s.entries(journal.CodeRejected, "wrong") != 5 || s.entries(journal.CodeRejected, "wait") != 1 {
		t.Error("the journal does not tell it")
	}
}

// TestPasswordTouched: the code proves who it is; then a new password and a look at each change.
func TestPasswordTouched(t *testing.T) {
	s := newStage(t)
	uri, _ := s.enrolled()
	id := s.lock(auth.ChangedPassword, auth.ChangedEmail)
	s.wait(time.Minute)
	v, r := s.submit(id, Input{Kind: InputCode, Code: s.code(uri, 0)})
	if r.Refused != "" || v.Account.State != auth.Recovering || v.Current != StepPassword || len(v.Account.Refuse) != 3 || r.NewCodes != nil {
		t.Fatalf("after the code: %+v, %+v", r, v)
	}
	if _, r := s.submit(id, Input{Kind: InputReviewed}); r.Refused != RefusedStep {
		t.Errorf("a step ahead: %+v", r)
	}
	s.wait(time.Minute)
	s.change(func(a auth.Account) auth.Account { return a.Touch(auth.ChangedPassword, s.now(), "") })
	v, _ = s.submit(id, Input{Kind: InputPasswordDone})
	if v.Current != StepReview || len(v.Changes) != 3 || v.Steps[1].How != "event" {
		t.Fatalf("after the password: %+v", v)
	}
	var mine, theirs []string
	for i, c := range v.Changes {
		if i == 2 {
			mine = append(mine, c.ID)
		} else {
			theirs = append(theirs, c.ID)
		}
	}
	if v, r = s.submit(id, Input{Kind: InputReviewed, Denied: theirs, Approved: mine}); r.Refused != "" || v.Account.State != auth.Probation || len(r.NewCodes) != 10 {
		t.Errorf("after the review: %+v, %+v", r, v.Account)
	}
}

// TestFactorTouched: a recovery code, a code to an address that is older than the trouble, a day's wait; the stranger's app counts no more.
func TestFactorTouched(t *testing.T) {
	s := newStage(t)
	_, codes := s.enrolled("ann@example.com")
	id := s.lock(auth.ChangedFactor)
	s.wait(time.Minute)
	s.profile("mallory@example.net")
	const strangers = "otpauth://totp/x?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	_, err := s.factors.Import(t.Context(), owner, strangers)
	s.must(err)
	s.wait(time.Minute)

	if _, r := s.submit(id, Input{Kind: InputCode, Code: s.code(strangers, 0)}); r.Refused != RefusedStep {
		t.Errorf("the stranger's app: %+v", r)
	}
	v, r := s.submit(id, Input{Kind: InputRecoveryCode, Code: codes[0]})
	if r.Refused != "" || v.Current != StepMailCode || v.Account.State != auth.Recovering || !slices.Equal(v.Addresses, []string{"a•••@e•••.com"}) {
		t.Fatalf("after the recovery code: %+v, %+v", r, v)
	}
	if _, r := s.submit(id, Input{Kind: InputMailSend, Address: 1}); r.Refused != RefusedStep {
		t.Errorf("a code to the stranger's address: %+v", r)
	}
	v, _ = s.submit(id, Input{Kind: InputMailSend})
	if len(s.mailed) != 1 || s.to[0] != "ann@example.com" || len(s.mailed[0]) != 8 || v.Mailed != "a•••@e•••.com" || v.MailTries != 5 {
		t.Fatalf("mailed %v to %v, %+v", s.mailed, s.to, v)
	}
	if _, r := s.submit(id, Input{Kind: InputMailCode, Code: "00000000"}); r.Code != totp.Wrong || r.TriesLeft != 4 {
		t.Errorf("a wrong mailed code: %+v", r)
	}
	v, r = s.submit(id, Input{Kind: InputMailCode, Code: " " + s.mailed[0][:4] + "-" + s.mailed[0][4:]})
	if r.Refused != "" || v.Current != StepReview {
		t.Fatalf("the mailed code: %+v, %+v", r, v)
	}
	v, r = s.submit(id, Input{Kind: InputReviewed, Denied: []string{v.Changes[0].ID}})
	if v.Status != Held || !v.Hold.Equal(s.now().Add(24*time.Hour)) || !slices.Equal(s.warned, []string{"hold"}) {
		t.Fatalf("after the review: %+v, %+v, warned of %v", r, v, s.warned)
	}
	s.wait(24*time.Hour - time.Second)
	if v, r := s.submit(id, Input{Kind: InputFinish}); r.Refused != RefusedHold || v.CanFinish {
		t.Errorf("a second early: %+v", r)
	}
	s.wait(time.Second)
	if v, r = s.submit(id, Input{Kind: InputFinish}); r.Refused != "" || v.Account.State != auth.Probation {
		t.Fatalf("after the wait: %+v, %+v", r, v)
	}
	if st, _ := s.factors.Standing(t.Context(), owner); st.Enrolled {
		t.Error("the stranger's app still counts")
	}
	if s.entries(journal.FactorVoided, "*") != 1 {
		t.Error("the journal does not say so")
	}
}

func TestMailCodeLimits(t *testing.T) {
	s := newStage(t)
	_, codes := s.enrolled("ann@example.com")
	id := s.lock(auth.ChangedFactor)
	s.wait(time.Minute)
	s.submit(id, Input{Kind: InputRecoveryCode, Code: codes[0]})
	if _, r := s.submit(id, Input{Kind: InputMailCode, Code: "12345678"}); r.Code != totp.NotEnrolled {
		t.Errorf("a code before one was sent: %+v", r)
	}
	s.submit(id, Input{Kind: InputMailSend})
	var wrong sync.WaitGroup
	var looked atomic.Int64
	for range 40 { // five tries, also in parallel
		wrong.Go(func() {
			if _, r, err := s.Submit(context.Background(), id, Input{Kind: InputMailCode, Code: "00000000"}); err != nil {
				t.Error(err)
			} else if r.Code == totp.Wrong {
				looked.Add(1)
			}
		})
	}
	wrong.Wait()
	if looked.Load() != 5 {
		t.Errorf("%d guesses were looked at", looked.Load())
	}
	if _, r := s.submit(id, Input{Kind: InputMailCode, Code: s.mailed[0]}); r.Code != totp.Paused {
		t.Errorf("the right code after five wrong ones: %+v", r)
	}
	s.submit(id, Input{Kind: InputMailSend})
	if _, r := s.submit(id, Input{Kind: InputMailCode, Code: s.mailed[0]}); r.Code != totp.Wrong {
		t.Errorf("the code before the newest: %+v", r)
	}
	s.submit(id, Input{Kind: InputMailSend})
	if _, r := s.submit(id, Input{Kind: InputMailSend}); r.Refused != RefusedOften || len(s.mailed) != 3 {
		t.Errorf("a fourth code within the hour: %+v", r)
	}
	if v, _ := s.submit(id, Input{Kind: InputMailCode, Code: s.mailed[2]}); v.Current != StepReview {
		t.Errorf("the newest code: at %s", v.Current)
	}
}

// TestParallelMailCode is S-2 for a mailed code: within its tries, one success.
func TestParallelMailCode(t *testing.T) {
	s := newStage(t)
	_, codes := s.enrolled("ann@example.com")
	id := s.lock(auth.ChangedFactor)
	s.wait(time.Minute)
	s.submit(id, Input{Kind: InputRecoveryCode, Code: codes[0]})
	s.submit(id, Input{Kind: InputMailSend})
	var in atomic.Int64
	var crowd sync.WaitGroup
	for range 100 {
		crowd.Go(func() {
			if _, r, err := s.Submit(context.Background(), id, Input{Kind: InputMailCode, Code: s.mailed[0]}); err != nil {
				t.Error(err)
			} else if r.Refused == "" {
				in.Add(1)
			}
		})
	}
	crowd.Wait()
	r, _, err := Load(t.Context(), s.store, id)
	if err != nil || in.Load() != 1 || len(r.Proofs) != 2 {
		t.Errorf("%d successes, proofs %+v, %v", in.Load(), r.Proofs, err)
	}
}

// TestMailCodeReplaced: a code that was verified while its successor was being sent is not taken for the successor.
func TestMailCodeReplaced(t *testing.T) {
	s := newStage(t)
	_, codes := s.enrolled("ann@example.com")
	id := s.lock(auth.ChangedFactor)
	s.wait(time.Minute)
	s.submit(id, Input{Kind: InputRecoveryCode, Code: codes[0]})
	s.submit(id, Input{Kind: InputMailSend})
	r, _, err := Load(t.Context(), s.store, id)
	s.must(err)
	s.submit(id, Input{Kind: InputMailSend})
	var no *refusal
	if _, err := s.step(t.Context(), id, Input{Kind: InputMailCode, Right: true, Mail: &MailCode{MAC: r.Mail.MAC}}, nil); !errors.As(err, &no) {
		t.Errorf("taken: %v", err)
	}
}

// TestNewerCodes: recovery codes that were made after the first bad event are the stranger's: nothing is left, so it is for staff.
func TestNewerCodes(t *testing.T) {
	s := newStage(t)
	s.enrolled("ann@example.com")
	id := s.lock(auth.ChangedFactor)
	s.wait(time.Minute)
	codes, err := s.codes.Issue(t.Context(), owner)
	s.must(err)
	if v, r := s.submit(id, Input{Kind: InputRecoveryCode, Code: codes[0]}); r.Refused != RefusedStep || v.Status != Staff {
		t.Errorf("%+v, %+v", r, v)
	}
}

func TestStaffOnly(t *testing.T) {
	s := newStage(t)
	id := s.lock()
	v, err := s.View(t.Context(), id)
	if err != nil || v.Status != Staff || v.Current != StepStaff {
		t.Errorf("nothing to prove with: %+v, %v", v, err)
	}
	for _, k := range []InputKind{InputCode, InputRecoveryCode, InputMailSend, InputMailCode, InputPasswordDone, InputReviewed, InputFinish, InputGiveUp, InputCodesSaved} {
		if v, r := s.submit(id, Input{Kind: k, Code: "123456"}); r.Refused == "" || v.Account.State != auth.Locked {
			t.Errorf("%s: %+v", k, r)
		}
	}
}

// TestPausedApp: strangers can use an app's tries up, and so cannot shut its owner out: a recovery code opens, and gives the tries back.
func TestPausedApp(t *testing.T) {
	s := newStage(t)
	uri, codes := s.enrolled()
	id := s.lock()
	s.wait(time.Minute)
	for range 10 {
		s.submit(id, Input{Kind: InputCode, Code: s.wrong(uri)})
		s.wait(time.Hour + time.Minute)
	}
	v, r := s.submit(id, Input{Kind: InputCode, Code: s.code(uri, 0)})
	if r.Refused == "" || v.Current != StepRecoveryCode || !v.App.Paused {
		t.Fatalf("after ten wrong codes: %+v, %+v", r, v)
	}
	if v, r = s.submit(id, Input{Kind: InputRecoveryCode, Code: strings.ToLower(codes[4])}); r.Refused != "" || v.Account.State != auth.Probation {
		t.Fatalf("a recovery code: %+v", r)
	}
	if st, _ := s.factors.Standing(t.Context(), owner); st.Paused {
		t.Error("the app is still paused")
	}
}

// TestLastRecoveryCode: the code that was the last one still counts at the steps after it.
func TestLastRecoveryCode(t *testing.T) {
	s := newStage(t)
	_, codes := s.enrolled()
	for _, c := range codes[1:] {
		if r, err := s.codes.Redeem(t.Context(), owner, time.Time{}, c, s.commit); err != nil || r.Reason != totp.Accepted {
			t.Fatal(r, err)
		}
	}
	id := s.lock(auth.ChangedPassword)
	s.wait(time.Minute)
	if v, r := s.submit(id, Input{Kind: InputRecoveryCode, Code: codes[0]}); r.Refused != "" || v.Current != StepPassword {
		t.Errorf("%+v, %+v", r, v)
	}
}

// TestForeignRecovery is S-7: one account's codes on another's way back.
func TestForeignRecovery(t *testing.T) {
	s := newStage(t)
	uri, codes := s.enrolled()
	id := s.lock()
	s.wait(time.Minute)
	_, r := s.submit(id, Input{Kind: InputRecoveryCode, Code: "AAAA-BBBB-CCCC-DDDD-EEEE"})
	if r.Code != totp.Wrong {
		t.Fatalf("%+v", r)
	}
	if _, _, err := s.Submit(t.Context(), ID("another cause"), Input{Kind: InputRecoveryCode, Code: codes[0]}); err != ErrLink {
		t.Errorf("a recovery that is not there: %v", err)
	}
	// a newer lock has a newer way back; the old one opens nothing
	s.submit(id, Input{Kind: InputCode, Code: s.code(uri, 0)})
	s.wait(time.Hour)
	newer := s.lock()
	s.wait(time.Minute)
	v, r := s.submit(id, Input{Kind: InputCode, Code: s.code(uri, 0)})
	if r.Refused != RefusedState || !v.Other || s.account(owner).State != auth.Locked {
		t.Errorf("the older way back: %+v, %+v", r, v)
	}
	if v, r := s.submit(newer, Input{Kind: InputCode, Code: s.code(uri, 0)}); r.Refused != "" || v.Account.State != auth.Probation {
		t.Errorf("the newer one: %+v, %+v", r, v)
	}
}

func TestGiveUp(t *testing.T) {
	s := newStage(t)
	uri, _ := s.enrolled()
	id := s.lock(auth.ChangedPassword)
	s.wait(time.Minute)
	s.submit(id, Input{Kind: InputCode, Code: s.code(uri, 0)})
	v, r := s.submit(id, Input{Kind: InputGiveUp})
	if r.Refused != "" || v.Status != GivenUp || v.Account.State != auth.Locked || v.Current != StepCode {
		t.Fatalf("given up: %+v, %+v", r, v)
	}
	s.wait(time.Minute)
	if v, r := s.submit(id, Input{Kind: InputCode, Code: s.code(uri, 0)}); r.Refused != "" || v.Account.State != auth.Recovering || v.Current != StepPassword {
		t.Errorf("begun again: %+v, %+v", r, v)
	}
}
