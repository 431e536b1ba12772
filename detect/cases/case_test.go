package cases

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var t0 = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func ref(n, score int, response string) Ref {
	return Ref{ID: fmt.Sprintf("f-%d", n), Rule: "login.guessing", Score: score, Response: response, At: t0, Event: fmt.Sprintf("/wallet/login l-%d", n)}
}

// The table of doc.go is what every state does with every input.
func TestStateMachineIsTheTableOfTheDoc(t *testing.T) {
	open := Open("c-1", "acct-1", ref(1, 40, "challenge"), t0)
	closed, err := open.Close(Confirmed, "staff:ana", "", t0)
	if err != nil {
		t.Fatal(err)
	}
	states := []struct {
		name string
		c    Case
	}{{"none", Case{}}, {"open", open}, {"closed", closed}}
	inputs := []struct {
		name string
		do   func(Case) (Case, error)
	}{
		{"open", func(c Case) (Case, error) {
			if c.Status != "" {
				return c, errors.New("a case is opened once")
			}
			return Open("c-1", "acct-1", ref(1, 40, "challenge"), t0), nil
		}},
		{"add", func(c Case) (Case, error) {
			after := c.Add(ref(2, 50, "limit"), t0.Add(time.Minute))
			if after.Version == c.Version {
				return c, errors.New("unchanged")
			}
			return after, nil
		}},
		{"close", func(c Case) (Case, error) {
			return c.Close(FalsePositive, "staff:bo", "known device", t0.Add(time.Minute))
		}},
		{"note", func(c Case) (Case, error) { return c.Note("staff:bo", "called", t0.Add(time.Minute)) }},
	}
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range states {
		want := ""
		for line := range strings.Lines(string(doc)) {
			if f := strings.Fields(strings.TrimPrefix(line, "//")); len(f) == 5 && f[0] == s.name {
				want = strings.Join(f, " ")
			}
		}
		got := s.name
		for _, in := range inputs {
			after, err := in.do(s.c)
			switch {
			case err != nil:
				got += " -"
				if after.Version != s.c.Version || after.Status != s.c.Status {
					t.Errorf("%s on a case that is %s was refused and still changed it", in.name, s.name)
				}
			default:
				got += " " + string(after.Status)
				if after.Version != s.c.Version+1 {
					t.Errorf("%s on a case that is %s: version %d after %d", in.name, s.name, after.Version, s.c.Version)
				}
			}
		}
		if got != want {
			t.Errorf("the doc says %q, the code does %q", want, got)
		}
	}
}

func TestAddKeepsTheWorstAndTheFirst(t *testing.T) {
	c := Open("c-1", "acct-1", ref(0, 40, "challenge"), t0)
	for i := 1; i < 2*MaxRefs; i++ {
		score, response := 10, "notify"
		if i == 7 {
			score, response = 95, "lock"
		}
		c = c.Add(ref(i, score, response), t0.Add(time.Duration(i)*time.Second))
	}
	if c.Score != 95 || c.Response != "lock" || c.Count != 2*MaxRefs || len(c.Findings) != MaxRefs {
		t.Fatalf("score %d, response %s, count %d, listed %d", c.Score, c.Response, c.Count, len(c.Findings))
	}
	if c.Findings[0].ID != "f-0" || c.Findings[MaxRefs-1].ID != fmt.Sprintf("f-%d", 2*MaxRefs-1) {
		t.Fatalf("first %s, last %s", c.Findings[0].ID, c.Findings[MaxRefs-1].ID)
	}
	if again := c.Add(c.Findings[0], t0); again.Version != c.Version {
		t.Fatal("a finding that is in already changed the case")
	}
	if late := c.Add(ref(9999, 1, "notify"), t0); late.Updated != c.Updated {
		t.Fatalf("a late finding took Updated back to %v", late.Updated)
	}
}

func TestCloseSaysWhoWhyAndWhen(t *testing.T) {
	c := Open("c-1", "acct-1", ref(1, 40, "lock"), t0)
	at := t0.Add(time.Hour)
	for _, o := range Outcomes {
		got, err := c.Close(o, "staff:ana", "  seen it  ", at)
		if err != nil || got.Outcome != o || got.ClosedBy != "staff:ana" || got.Reason != "seen it" || !got.ClosedAt.Equal(at) {
			t.Errorf("%s: %+v, %v", o, got, err)
		}
		if _, err := got.Close(o, "staff:bo", "", at); !errors.Is(err, ErrClosed) {
			t.Errorf("%s: closing twice gave %v", o, err)
		}
	}
	for _, bad := range []Outcome{"", "CONFIRMED", "won"} {
		if _, err := c.Close(bad, "staff:ana", "", at); !errors.Is(err, ErrOutcome) {
			t.Errorf("outcome %q gave %v", bad, err)
		}
	}
	if _, err := c.Close(Confirmed, "staff:ana", strings.Repeat("a", MaxText+1), at); !errors.Is(err, ErrText) {
		t.Errorf("a reason that is too long gave %v", err)
	}
}

func TestNotesAreBounded(t *testing.T) {
	c := Open("c-1", "acct-1", ref(1, 40, "lock"), t0)
	for _, bad := range []string{"", "  \n", "\xff", strings.Repeat("a", MaxText+1)} {
		if _, err := c.Note("staff:ana", bad, t0); !errors.Is(err, ErrText) {
			t.Errorf("a note of %d bytes gave %v", len(bad), err)
		}
	}
	for range MaxNotes {
		var err error
		if c, err = c.Note("staff:ana", strings.Repeat("é", MaxText/2), t0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Note("staff:ana", "one more", t0); !errors.Is(err, ErrNotes) {
		t.Errorf("note %d gave %v", MaxNotes+1, err)
	}
}

// The functions return a changed copy: a case that somebody else holds never changes under them.
func TestChangesLeaveTheirArgumentAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Open("c-1", "acct-1", ref(0, 10, "review"), t0)
		n := rapid.IntRange(1, 12).Draw(t, "steps")
		for i := 1; i <= n; i++ {
			a := c.Add(ref(i, i, "limit"), t0)
			b := c.Add(ref(100+i, i, "lock"), t0)
			if a.Findings[len(a.Findings)-1].ID == b.Findings[len(b.Findings)-1].ID {
				t.Fatal("two additions to one case share memory")
			}
			x, _ := c.Note("staff:a", "one", t0)
			y, _ := c.Note("staff:a", "two", t0)
			if x.Notes[len(x.Notes)-1].Text == y.Notes[len(y.Notes)-1].Text {
				t.Fatal("two notes on one case share memory")
			}
			c = a
			c.Notes = x.Notes
		}
	})
}

func TestIDIsMadeFromAccountAndCause(t *testing.T) {
	if ID("a", "f-1") != ID("a", "f-1") || ID("a", "f-1") == ID("a", "f-2") || ID("ab", "c") == ID("a", "bc") {
		t.Fatal("the id does not follow account and cause")
	}
}
