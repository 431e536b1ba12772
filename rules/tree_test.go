package rules

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"doorward/auth"
)

// many makes rules of one id each.
func many(n int, on, again string, when func(i int) string) string {
	var b strings.Builder
	for i := range n {
		text := strings.Replace(rule(on, when(i)), "id: r", fmt.Sprintf("id: r%04d", i), 1)
		b.WriteString(strings.Replace(text, "  level", "  again: "+again+"\n  level", 1))
	}
	return b.String()
}

// counted makes every test of a tree count itself.
func counted(n *node, asked *int) {
	count := func(tests []test) {
		for i, of := range tests {
			tests[i] = func(r *reader) bool { *asked++; return of(r) }
		}
	}
	count(n.guards)
	for _, l := range n.leaves {
		count(l.tests)
	}
	for _, b := range n.below {
		counted(b, asked)
	}
	for _, b := range n.words {
		counted(b, asked)
	}
}

// What an event costs is what it is near to, not how many rules there are: thresholds are found by halving, words by hash, and rules that are
// alike but for their constants are passed over together.
func TestIndexPassesOverRules(t *testing.T) {
	kinds := []string{"transfer", "withdrawal", "payment"}
	for _, c := range []struct {
		name  string
		when  func(i int) string
		found int // rules true of a transfer of 5000 out, the first
		most  int // tests asked, for 700 rules
	}{
		{"thresholds", func(i int) string { return fmt.Sprintf("amount >= %d", 5000+i) }, 1, 30},
		{"upper bounds", func(i int) string { return fmt.Sprintf("amount < %d", 5000-i) }, 0, 10},
		{"shares", func(i int) string { return fmt.Sprintf("amount > 0.%d * balance_before", 8400+i) }, 0, 10},
		{"words", func(i int) string { return fmt.Sprintf(`counterparty == "acct-%d"`, 1234567+i) }, 1, 0},
		{"windows", func(i int) string { return fmt.Sprintf(`count("transaction.*", "1h") >= %d`, i+1) }, 1, 40},
		{"either", func(i int) string {
			return fmt.Sprintf(`amount >= %d or count("transaction.*", "1h") > %d`, 5001+i, i+1)
		}, 0, 10},
		{"neither", func(i int) string { return fmt.Sprintf(`not (amount < %d or kind == %q)`, 5000+i, "payment") }, 1, 40},
		{"mixed", func(i int) string {
			return fmt.Sprintf(`direction == "out" and kind == %q and amount >= %d and count("transaction.*", "1h") >= %d`, kinds[i%3], 4000+i, 2+i%7)
		}, 0, 30},
	} {
		w := newWorld(t, many(700, "transaction.requested", "always", c.when))
		asked := 0
		counted(w.set.by["transaction.requested"].tree, &asked)
		found := len(w.take(0, "transaction.requested", transfer))
		if found != c.found {
			t.Errorf("%s: %d findings, want %d", c.name, found, c.found)
		}
		if asked > c.most {
			t.Errorf("%s: %d tests were asked of an event, want %d at most", c.name, asked, c.most)
		}
	}
}

// A hundred and fifty rules turn true one after the other and false together, again and again, with another type's events between: the
// index never looks at them when they are false, and what they remember turns false all the same.
func TestMemoryTurnsFalse(t *testing.T) {
	text := many(150, "login.failed", "edge", func(i int) string { return fmt.Sprintf(`count("login.failed", "10m") >= %d`, i+1) }) +
		strings.ReplaceAll(many(40, "login.succeeded", "edge", func(i int) string { return fmt.Sprintf(`count("login.*", "10m") >= %d`, i+3) }), "id: r", "id: s")
	p := newPair(t, text, auth.Account{ID: "anna"})
	at, found := time.Duration(0), 0
	for round, failures := range []int{0, 3, 140, 1, 70, 2} {
		found += p.take(t, at, "session.seen", `{}`)
		for range failures {
			at += time.Second
			found += p.take(t, at, "login.failed", `{}`)
		}
		found += p.take(t, at, "login.succeeded", `{}`)
		at += time.Hour
		if round%2 == 0 {
			found += p.take(t, at, "login.succeeded", `{}`)
		}
	}
	// The first rule on failures stays true, the others fire once a round: 3, 139, 0, 69 and 1 times. Those on successes, which a success in
	// the hour before may count for too: 3, 37 (three are still true), 1, 39 and 2.
	if want := 212 + 82; found != want {
		t.Errorf("%d findings, want %d", found, want)
	}
}

// Renamed rules go on with their memory, though they stand in another order.
func TestMemoryOfRenamedRules(t *testing.T) {
	text := many(50, "login.failed", "edge", func(i int) string { return fmt.Sprintf(`count("login.failed", "10m") >= %d`, i%3+1) })
	p := newPair(t, text, auth.Account{ID: "anna"})
	for i, want := range []int{17, 17, 16} {
		if found := p.take(t, time.Duration(i)*time.Second, "login.failed", `{}`); found != want {
			t.Errorf("failure %d: %d findings, want %d", i, found, want)
		}
	}
	for i := range 50 {
		old := fmt.Sprintf("id: r%04d\n", i)
		text = strings.Replace(text, old, fmt.Sprintf("id: q%04d\n  was: [r%04d]\n", 49-i, i), 1)
	}
	p.relay(t, text)
	if found := p.take(t, 4*time.Second, "login.failed", `{}`); found != 0 {
		t.Errorf("%d rules fired again for having been renamed", found)
	}
	p.take(t, time.Hour, "login.failed", `{}`) // the second and the third third turn false
	if found := p.take(t, time.Hour+time.Second, "login.failed", `{}`); found != 17 {
		t.Errorf("%d rules turned true, want 17", found)
	}
}

// A report that comes too late and turns no rule true changes nothing of its account's record, not even to say that nothing is true.
func TestTooLateReportLeavesTheRecord(t *testing.T) {
	w := newWorld(t, many(40, "report.owner_denied", "edge", func(i int) string { return fmt.Sprintf(`count("login.failed", "30d") == %d`, i+1) }))
	w.take(72*time.Hour, "login.failed", `{}`)
	w.memory.Dirty(nil)
	for i, want := range []int{1, 0} {
		if found := len(w.take(0, "report.owner_denied", `{}`)); found != want {
			t.Errorf("report %d: %d findings, want %d", i, found, want)
		}
		if written := w.memory.Dirty(nil); len(written) > 0 != (want > 0) {
			t.Errorf("report %d: %d bytes are to be stored, want some only with the finding", i, len(written))
		}
	}
	w = newWorld(t, many(40, "report.owner_denied", "edge", func(i int) string { return fmt.Sprintf(`count("login.failed", "30d") == %d`, i+2) }))
	w.take(72*time.Hour, "login.failed", `{}`)
	w.memory.Dirty(nil)
	w.take(0, "report.owner_denied", `{}`)
	if written := w.memory.Dirty(nil); len(written) > 0 {
		t.Errorf("%d bytes are to be stored of an event that changed nothing", len(written))
	}
}
