package staff

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"doorward/auth"
	"doorward/auth/totp"
	"doorward/store"
	"doorward/store/badger"
	"doorward/store/journal"
)

const good = "seven green lamps by the canal"

type office struct {
	*Staff
	t     *testing.T
	db    *badger.DB
	mu    sync.Mutex
	clock time.Time
}

func (o *office) now() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.clock
}

func (o *office) pass(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.clock = o.clock.Add(d)
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{t: t, clock: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)}
	var err error
	if o.db, err = badger.OpenScratch(t.TempDir(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.db.Close(); err != nil {
			t.Error(err)
		}
	})
	keys, err := auth.NewKeys(bytes.Repeat([]byte{3}, auth.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	factors, err := totp.NewFactors(totp.Config{Store: o.db, Keys: keys, Now: o.now, Issuer: "Doorward staff"})
	if err != nil {
		t.Fatal(err)
	}
	if o.Staff, err = New(Config{Engine: o.db, Keys: keys, Factors: factors, Now: o.now, PublicURL: "https://staff.example"}); err != nil {
		t.Fatal(err)
	}
	o.cost, o.floor = cost{memory: 64, passes: 1}, 0 // the real cost is tested apart
	return o
}

func tokenOf(link string) string { return link[strings.LastIndex(link, "/")+1:] }

// join takes somebody from invitation to membership and returns the otpauth link of their app.
func (o *office) join(name string, role Role) (uri string) {
	o.t.Helper()
	ctx := o.t.Context()
	link, err := o.Invite(ctx, name, role, "operator")
	if err != nil {
		o.t.Fatal(err)
	}
	next, err := o.Start(ctx, tokenOf(link), good)
	if err != nil {
		o.t.Fatal(err)
	}
	l, err := o.Peek(ctx, next)
	if err != nil {
		o.t.Fatal(err)
	}
	if _, err := o.Finish(ctx, next, o.code(l.App.URI)); err != nil {
		o.t.Fatal(err)
	}
	o.pass(30 * time.Second)
	return l.App.URI
}

func (o *office) code(uri string) string {
	o.t.Helper()
	c, err := totp.CodeAt(uri, o.now())
	if err != nil {
		o.t.Fatal(err)
	}
	return c
}

func (o *office) journaled(kind journal.Kind) (n int) {
	o.t.Helper()
	lines, err := journal.Read(o.t.Context(), o.db, 0, 10_000, false)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, l := range lines {
		if l.Entry.Kind == kind {
			n++
		}
	}
	return n
}

func TestPermissionsGrowWithTheRole(t *testing.T) {
	all := []Permission{Self, Read, Audit, Reveal, Decide, Restrict, Release, Manage}
	want := map[Role]string{Viewer: "self read audit", Analyst: "self read audit reveal decide restrict release",
		Admin: "self read audit reveal decide restrict release manage", "": "", "root": ""}
	for role, w := range want {
		var got []string
		for _, p := range all {
			if Can(role, p) {
				got = append(got, string(p))
			}
		}
		if strings.Join(got, " ") != w {
			t.Errorf("%q may %v, want %s", role, got, w)
		}
		if Can(role, Anyone) || Can(role, "") || Can(role, "everything") {
			t.Errorf("%q has a permission that nobody is given", role)
		}
	}
}

func TestNames(t *testing.T) {
	for in, want := range map[string]string{"Ana": "ana", " ana.ruiz ": "ana.ruiz", "李文": "李文", "ＡＮＡ": "ana", "tomás": "tomás", "a-b_c.9": "a-b_c.9"} {
		if got, err := ParseName(in); err != nil || got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", " ", "a b", "a/b", "a\x00b", "a\u202eb", "a\u200bb", "\xff", strings.Repeat("a", 65), "<b>", "a:b", "a@b"} {
		if got, err := ParseName(in); !errors.Is(err, ErrName) {
			t.Errorf("%q is taken as %q", in, got)
		}
	}
}

func TestPasswordsThatAreRefused(t *testing.T) {
	for in, want := range map[string]error{
		"":                             nil,
		"short":                        ErrShort,
		"14 characters.":               ErrShort,
		strings.Repeat("é", 14):        ErrShort,
		strings.Repeat("word ", 60):    ErrLong,
		"passwordpassword":             ErrGuessable,
		"Password Password":            ErrGuessable,
		"PASSWORD-1234567":             ErrGuessable,
		"aaaaaaaaaaaaaaaaaaaa":         ErrGuessable,
		"abcabcabcabcabcabc":           ErrGuessable,
		"abcdefghijklmnopq":            ErrGuessable,
		"9876543210987654":             ErrGuessable,
		"correct horse battery staple": ErrGuessable,
		"ana.ruiz.ana.ruiz.1":          ErrGuessable,
		"doorward ana.ruiz":            ErrGuessable,
		good:                           nil,
		"十五个字符以上的密码短语非常好用啊":               nil,
		"Tr0mbone under 3 grey mountains": nil,
	} {
		if in == "" {
			continue
		}
		if got := CheckPassword("ana.ruiz", in); got != want {
			t.Errorf("%q: %v, want %v", in, got, want)
		}
	}
}

// A password is stored as argon2id at the cost that doc and NIST ask for, and a stored cost is obeyed.
func TestPasswordsAreHashedAtFullCost(t *testing.T) {
	h := hashPassword(good, usualCost)
	if !strings.HasPrefix(h, "$argon2id$v=19$m=47104,t=1,p=1$") || !rightPassword(h, good, usualCost) || rightPassword(h, good+" ", usualCost) {
		t.Errorf("the hash is %s", h)
	}
	if h == hashPassword(good, usualCost) {
		t.Error("two hashes of one password are alike")
	}
	for _, bad := range []string{"", "x", "$argon2id$v=19$m=64,t=1,p=1$!!$!!", "$argon2i$v=19$m=64,t=1,p=1$AAAA$AAAA", "$argon2id$v=19$m=64,t=0,p=1$AAAA$AAAA"} {
		if rightPassword(bad, "", cost{64, 1}) || rightPassword(bad, good, cost{64, 1}) {
			t.Errorf("%q opens", bad)
		}
	}
}

func TestFromInvitationToSignIn(t *testing.T) {
	o := newOffice(t)
	uri := o.join("Ana", Admin)
	i, err := o.SignIn(t.Context(), " ANA ", good, o.code(uri), "198.51.100.1")
	if err != nil || i.Name != "ana" || i.Role != Admin || i.By() != "staff:ana" || i.Generation != 1 {
		t.Fatalf("%+v, %v", i, err)
	}
	if _, err := o.SignIn(t.Context(), "ana", good, o.code(uri), "198.51.100.1"); !errors.Is(err, ErrRefused) {
		t.Errorf("a code works twice: %v", err)
	}
	for kind, n := range map[journal.Kind]int{journal.StaffInvited: 1, journal.StaffJoined: 1, journal.StaffSignedIn: 1, journal.StaffRefused: 1} {
		if got := o.journaled(kind); got != n {
			t.Errorf("%d entries of %s, want %d", got, kind, n)
		}
	}
}

func TestOneAnswerToEverythingThatIsWrong(t *testing.T) {
	o := newOffice(t)
	uri := o.join("ana", Admin)
	o.join("bo", Admin)
	if err := o.SetDisabled(t.Context(), "ana", true, "operator"); err != nil {
		t.Fatal(err)
	}
	demo := newOffice(t)
	if _, err := demo.SignInLink(t.Context(), "demo", Admin); err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]func() error{
		"disabled":    func() error { _, err := o.SignIn(t.Context(), "ana", good, o.code(uri), "a"); return err },
		"password":    func() error { _, err := o.SignIn(t.Context(), "bo", good+"x", "123456", "a"); return err },
		"code":        func() error { _, err := o.SignIn(t.Context(), "bo", good, "000000", "a"); return err },
		"no code":     func() error { _, err := o.SignIn(t.Context(), "bo", good, "", "a"); return err },
		"unknown":     func() error { _, err := o.SignIn(t.Context(), "nobody", good, "123456", "a"); return err },
		"no name":     func() error { _, err := o.SignIn(t.Context(), "a b", good, "123456", "a"); return err },
		"no password": func() error { _, err := demo.SignIn(t.Context(), "demo", "", "123456", "a"); return err },
		"very long": func() error {
			_, err := o.SignIn(t.Context(), "bo", strings.Repeat("x", 1<<20), "123456", "a")
			return err
		},
	} {
		if err := try(); err != ErrRefused {
			t.Errorf("%s: %v", name, err)
		}
	}
	lines, err := journal.Read(t.Context(), o.db, 0, 1000, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		if l.Entry.Detail["staff"] == "nobody" {
			t.Error("a name that does not exist is in the journal")
		}
	}
}

// A refusal takes its time, whatever was wrong, so that the time says nothing either.
func TestARefusalIsNeverFasterThanTheFloor(t *testing.T) {
	o := newOffice(t)
	o.floor = 60 * time.Millisecond
	began := time.Now()
	if _, err := o.SignIn(t.Context(), "nobody", good, "1", "a"); !errors.Is(err, ErrRefused) {
		t.Fatal(err)
	}
	if took := time.Since(began); took < o.floor {
		t.Errorf("it took %v", took)
	}
}

// Guessing makes one wait, for names that exist and names that don't alike, and never for good.
func TestTriesRunOutAndComeBack(t *testing.T) {
	for _, name := range []string{"ana", "nobody"} {
		o := newOffice(t)
		uri := o.join("ana", Admin)
		for i := range nameBurst {
			if _, err := o.SignIn(t.Context(), name, "wrong", "000000", fmt.Sprint("address ", i)); !errors.Is(err, ErrRefused) {
				t.Fatalf("try %d on %s: %v", i, name, err)
			}
		}
		_, err := o.SignIn(t.Context(), name, good, o.code(uri), "another")
		wait, ok := errors.AsType[*Wait](err)
		if !ok || wait.For <= 0 || wait.For > nameFill {
			t.Fatalf("%s after %d tries: %v", name, nameBurst, err)
		}
		o.pass(wait.For)
		if _, err := o.SignIn(t.Context(), "ana", good, o.code(uri), "another"); name == "ana" && err != nil {
			t.Errorf("after the wait: %v", err)
		}
	}
	o := newOffice(t)
	for i := range addressBurst {
		if _, err := o.SignIn(t.Context(), fmt.Sprint("name", i), "wrong", "000000", "one address"); !errors.Is(err, ErrRefused) {
			t.Fatalf("try %d: %v", i, err)
		}
	}
	if _, err := o.SignIn(t.Context(), "fresh", "wrong", "000000", "one address"); errors.Is(err, ErrRefused) {
		t.Error("one address may try names without end")
	}
}

func TestABudgetForgetsOnlyWhatItMust(t *testing.T) {
	b := newBudget(2, time.Minute)
	now := time.Unix(0, 0)
	for i := range budgetKeys + 100 {
		if _, ok := b.take(fmt.Sprint(i), now.Add(time.Duration(i)*time.Millisecond)); !ok {
			t.Fatal("a first try is refused")
		}
	}
	if len(b.until) > budgetKeys {
		t.Errorf("%d keys are remembered", len(b.until))
	}
}

// What is not in the journal did not happen: a full disk refuses the change, not the entry.
func TestNoEntryNoChange(t *testing.T) {
	o := newOffice(t)
	o.join("ana", Admin)
	o.join("bo", Admin)
	o.Engine = full{o.db}
	if err := o.SetRole(t.Context(), "bo", Viewer, "x"); !errors.Is(err, store.ErrFull) {
		t.Fatal(err)
	}
	o.Engine = o.db
	if i, _, err := o.Get(t.Context(), "bo"); err != nil || i.Role != Admin {
		t.Errorf("%+v, %v", i, err)
	}
}

// full is a store whose disk is full.
type full struct{ store.Engine }

func (full) Commit(context.Context, *store.Batch) ([]uint64, error) { return nil, store.ErrFull }
