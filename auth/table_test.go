package auth

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

var t0 = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// standing are the accounts that the table's columns are about.
func standing() []Account {
	acc := func(s, before State, challenge bool, until time.Time) Account {
		a := Account{ID: "acct-1", State: s, Before: before, Challenge: challenge, Until: until, Version: 7, Since: t0}
		if s != Open && s != Probation {
			a.FirstBad, a.Touched.Since, a.Findings = "s 1", t0, []string{"f-1"}
		}
		if s == Limited || s == Locked || s == Recovering {
			a.Recovery = "r-1"
		}
		return a
	}
	return []Account{
		acc(Open, "", false, time.Time{}),
		acc(Challenged, "", true, time.Time{}),
		acc(Limited, "", false, time.Time{}),
		acc(Locked, "", false, time.Time{}),
		acc(Recovering, Limited, false, time.Time{}),
		acc(Recovering, Locked, false, time.Time{}),
		acc(Probation, "", false, t0.Add(72*time.Hour)),
	}
}

func nameOf(a Account) string {
	switch {
	case a.State == Recovering && a.Before == Limited:
		return "rec.limited"
	case a.State == Recovering:
		return "rec.locked"
	}
	return string(a.State)
}

// cell says in a word where an account went.
func cell(before, after Account, refused string) string {
	switch {
	case refused != "":
		return "no"
	case after.Version == before.Version:
		return "."
	}
	to := nameOf(after)
	if to == nameOf(before) {
		to = "same"
	}
	if after.Challenge && after.State != Challenged {
		to += "+c"
	}
	return to
}

var everyAct = []ActKind{ActLock, ActLimit, ActUnlock, ActVerified, ActBegin, ActGiveUp, ActRecovered, ActExpire, ActDenied, ActApproved,
	ActTrust, ActCaseClose, ActCaseNote, ActAdopt}

// table computes the transition table as doc.go shows it.
func table() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(name string, f func(a Account) string) {
		fmt.Fprint(w, name)
		for _, a := range standing() {
			fmt.Fprint(w, "\t", f(a))
		}
		fmt.Fprintln(w)
	}
	row("", nameOf)
	for r := NoResponse; r <= Lock; r++ {
		row("finding "+r.String(), func(a Account) string {
			n, _ := a.Judge(Verdict{Response: r, Findings: []string{"f-2"}, At: t0.Add(time.Hour), Event: "s 2", Recovery: "r-2"})
			return cell(a, n, "")
		})
	}
	row("until", func(a Account) string {
		if a.State == Limited || a.State == Recovering {
			a.Until = t0.Add(time.Minute) // only these two of the table have none
		}
		n, _ := a.Expire(t0.Add(100 * time.Hour))
		return cell(a, n, "")
	})
	row("right factor", func(a Account) string {
		n, _ := a.FactorProved(t0.Add(time.Hour), "totp")
		return cell(a, n, "")
	})
	for _, k := range everyAct {
		if k == ActExpire {
			continue // as until, by a timer
		}
		row("act "+string(k), func(a Account) string {
			act := Act{ID: "a-1", Kind: k, At: t0.Add(time.Hour)}
			if k == ActAdopt {
				locked := Account{ID: a.ID, State: Locked, Version: a.Version + 2}
				p := locked.Record()
				act.Published = &p
			}
			n, refused := a.Do(act, 9, 0)
			return cell(a, n, refused)
		})
	}
	w.Flush()
	lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	for i, l := range lines {
		lines[i] = "//\t" + strings.TrimRight(l, " ")
	}
	return strings.Join(lines, "\n")
}

// TestTable holds the package's documentation to what the code does, for every state and every cause. Whoever changes a cell has to write it
// there, where a reviewer sees it.
func TestTable(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	if want := table(); !strings.Contains(string(doc), want) {
		t.Errorf("the table in doc.go is not what the code does, which is:\n%s", want)
	}
}
