package auth

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// what was published, as the account that published it was.
func publishedAs(a Account) *Record {
	r := a.Record()
	return &r
}

func adopted(a Account, p *Record) (Account, string) {
	return a.Do(Act{ID: "adopt-1", Kind: ActAdopt, Account: a.ID, At: t0.Add(time.Hour), By: "doorward", Published: p}, 9, 0)
}

// TestAdoptStricter: for every state that is stored and every state that was published, the stricter one holds, and the version is passed.
func TestAdoptStricter(t *testing.T) {
	for _, stored := range standing() {
		for _, theirs := range standing() {
			theirs.Version = stored.Version + 3
			p := publishedAs(theirs)
			n, refused := adopted(stored, p)
			if refused != "" || n.Version < p.Version {
				t.Errorf("%s, published %s: version %d, refused %q", nameOf(stored), nameOf(theirs), n.Version, refused)
			}
			for _, a := range []Account{stored, theirs} {
				if strictness(n.restriction(), n.Challenge) < strictness(a.restriction(), a.Challenge) {
					t.Errorf("%s, published %s: loosened to %s", nameOf(stored), nameOf(theirs), nameOf(n))
				}
			}
			if n.Version == p.Version && !sameState(&n, p) {
				t.Errorf("%s, published %s: version %d says another state now", nameOf(stored), nameOf(theirs), n.Version)
			}
			if len(n.Refuse()) > 0 && n.State != Probation && n.Recovery == "" {
				t.Errorf("%s, published %s: no way back", nameOf(stored), nameOf(theirs))
			}
			if Behind(&n, p) {
				t.Errorf("%s, published %s: still behind", nameOf(stored), nameOf(theirs))
			}
		}
	}
}

// TestAdoptNeverGoesBack: whatever is stored and published, nothing loosens and no version is used for two states.
func TestAdoptNeverGoesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		life := func(name string) Account {
			a := Account{ID: "acct-1", State: Open}
			for range rapid.IntRange(0, 6).Draw(t, name) {
				if rapid.Bool().Draw(t, "judged") {
					a, _ = a.Judge(drawVerdict(t, t0))
				} else {
					a, _ = a.Do(drawAct(t, t0), 1, 0)
				}
			}
			return a
		}
		stored, theirs := life("stored"), life("published")
		p := publishedAs(theirs)
		n, _ := adopted(stored, p)
		if n.Version < stored.Version || p.Version > 0 && Behind(&n, p) {
			t.Fatalf("stored %+v, published %+v: %+v", stored, p, n)
		}
		if strictness(n.restriction(), n.Challenge) < strictness(stored.restriction(), stored.Challenge) {
			t.Fatalf("%s loosened to %s by a published %s", nameOf(stored), nameOf(n), p.State)
		}
		if stored.Version > p.Version && mustJSON(t, n) != mustJSON(t, stored) {
			t.Fatalf("version %d was passed, and changed %+v to %+v", p.Version, stored, n)
		}
	})
}

// TestAdoptLock: what a lock that is taken over asks of its owner is the most, since what was touched is not known.
func TestAdoptLock(t *testing.T) {
	theirs := Account{ID: "acct-1", State: Locked, Version: 4, Recovery: "r-4", Reason: Reason{Code: "drained"}, Findings: []string{"f-1"}, Since: t0}
	n, _ := adopted(Account{ID: "acct-1", State: Open}, publishedAs(theirs))
	if n.State != Locked || n.Version != 4 || n.Recovery != "r-4" || n.Reason.Code != "drained" || len(n.Findings) != 1 || !n.Since.Equal(t0) {
		t.Errorf("taken over as %+v", n)
	}
	if !n.Touched.Password || !n.Touched.Contact || !n.Touched.Factor || !n.Touched.Since.Before(t0) || n.FirstBad == "" {
		t.Errorf("touched: %+v since %q", n.Touched, n.FirstBad)
	}
}

// TestAdoptOpen: an account that was settled since is not locked again by what came before.
func TestAdoptOpen(t *testing.T) {
	theirs := Account{ID: "acct-1", State: Open, Version: 5, Since: t0}
	n, _ := adopted(Account{ID: "acct-1", State: Open}, publishedAs(theirs))
	if n.State != Open || n.Version != 5 || !n.Floor.Equal(t0) {
		t.Errorf("taken over as %+v", n)
	}
	locked := Account{ID: "acct-1", State: Locked, Version: 1, Since: t0.Add(-time.Hour), Recovery: "r-1"}
	if n, _ = adopted(locked, publishedAs(theirs)); n.State != Locked || n.Version != 6 || !n.Floor.IsZero() {
		t.Errorf("a lock gave way: %+v", n)
	}
}

func FuzzReadRecord(f *testing.F) {
	f.Add([]byte(`{"account":"acct-1","state":"locked","refuse":["login","money_out","changes"],"challenge":false,"findings":[],"version":2,"previous_version":1}`))
	f.Add([]byte(`{"account":"","version":18446744073709551615}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ReadRecord(b)
		if err != nil {
			return
		}
		n, refused := adopted(Account{ID: p.Account, State: Open}, &p)
		if refused != "" || n.Version < p.Version || Behind(&n, &p) || len(n.Findings) > MaxFindings {
			t.Errorf("%s: %+v %q", b, n, refused)
		}
	})
}
