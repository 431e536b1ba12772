package cases_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"doorward/auth"
	"doorward/detect/cases"
	"doorward/store"
	"doorward/store/badger"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var t0 = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func open(t *testing.T) store.Engine {
	t.Helper()
	db, err := badger.OpenScratch(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

type failer interface {
	Helper()
	Fatal(...any)
}

func write(t failer, s store.Engine, before *cases.Case, after cases.Case) {
	t.Helper()
	put, del, err := cases.Writes(before, after)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(context.Background(), &store.Batch{Shard: store.NoShard, Put: put, Delete: del}); err != nil {
		t.Fatal(err)
	}
}

func made(id, account string, score int, at time.Time) cases.Case {
	return cases.Open(id, auth.AccountID(account), cases.Ref{ID: "f-" + id, Rule: "r", Score: score, Response: "review", At: at, Event: "/w e"}, at)
}

func TestACaseReadsBackAsItWasWritten(t *testing.T) {
	s := open(t)
	c := made("c-1", "acct-1", 40, t0)
	write(t, s, nil, c)
	next, err := c.Note("staff:ana", "called", t0.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	write(t, s, &c, next)
	got, ok, err := cases.Load(t.Context(), s, "c-1")
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if d := cmp.Diff(next, got); d != "" {
		t.Error(d)
	}
	if _, ok, err := cases.Load(t.Context(), s, "c-2"); ok || err != nil {
		t.Errorf("a case that is not there: %v, %v", ok, err)
	}
	if put, del, err := cases.Writes(&next, next); len(put)+len(del) > 0 || err != nil {
		t.Errorf("an unchanged case writes %d and deletes %d, %v", len(put), len(del), err)
	}
	if _, _, err := cases.Writes(nil, cases.Case{}); err == nil {
		t.Error("a case without id is written")
	}
}

func TestTheQueueIsWorstFirstThenOldestInPages(t *testing.T) {
	s := open(t)
	for i, score := range []int{40, 90, 0, 90, 100, 65} {
		write(t, s, nil, made(fmt.Sprintf("c-%d", i), "acct", score, t0.Add(-time.Duration(i)*time.Minute)))
	}
	want := []string{"c-4", "c-3", "c-1", "c-5", "c-0", "c-2"}
	for limit := 1; limit <= 7; limit++ {
		var got []string
		var after []byte
		for pages := 0; ; pages++ {
			cs, next, err := cases.Queue(t.Context(), s, after, limit)
			if err != nil || pages > 7 {
				t.Fatal(pages, err)
			}
			for _, c := range cs {
				got = append(got, c.ID)
			}
			if after = next; next == nil {
				break
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("in pages of %d: %s", limit, d)
		}
	}
	if n, err := cases.CountOpen(t.Context(), s, 4); n != 4 || err != nil {
		t.Errorf("counted up to 4: %d, %v", n, err)
	}
	for _, bad := range [][]byte{{}, {'q', 1}, []byte("Qshort")} {
		if _, _, err := cases.Queue(t.Context(), s, bad, 1); err == nil {
			t.Errorf("%q is taken for a position", bad)
		}
	}
}

func TestCasesOfAnAccountAreItsOwnNewestFirst(t *testing.T) {
	s := open(t)
	for i, account := range []string{"acct", "acct-1", "acct", "acc", "acct"} {
		write(t, s, nil, made(fmt.Sprintf("c-%d", i), account, 50, t0.Add(time.Duration(i)*time.Minute)))
	}
	got, err := cases.OfAccount(t.Context(), s, "acct", 2)
	if err != nil || len(got) != 2 || got[0].ID != "c-4" || got[1].ID != "c-2" {
		t.Errorf("%+v, %v", got, err)
	}
}

// Whatever happens to cases, the index of open ones lists exactly the open ones, each once and by its score.
func TestTheIndexFollowsTheCases(t *testing.T) {
	s := open(t)
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		live := map[string]cases.Case{}
		n := rapid.IntRange(1, 25).Draw(t, "steps")
		for i := range n {
			id := fmt.Sprintf("c-%d-%d", run, rapid.IntRange(0, 4).Draw(t, "case"))
			before, known := live[id]
			if !known {
				live[id] = made(id, "acct", rapid.IntRange(0, 100).Draw(t, "score"), t0)
				write(t, s, nil, live[id])
				continue
			}
			after := before
			var err error
			switch rapid.IntRange(0, 2).Draw(t, "input") {
			case 0:
				after = before.Add(cases.Ref{ID: fmt.Sprint("f", i), Score: rapid.IntRange(0, 100).Draw(t, "score"), Response: "lock"}, t0)
			case 1:
				after, err = before.Close(cases.Duplicate, "staff:ana", "", t0)
			case 2:
				after, err = before.Note("staff:ana", "x", t0)
			}
			if err == nil {
				write(t, s, &before, after)
				live[id] = after
			}
		}
		open := 0
		for _, c := range live {
			if c.Status == cases.StatusOpen {
				open++
			}
		}
		q, _, err := cases.Queue(context.Background(), s, nil, 100)
		if err != nil {
			t.Fatal(err)
		}
		if count, err := cases.CountOpen(context.Background(), s, 100); err != nil || count != open || len(q) != open {
			t.Fatalf("%d open, %d indexed, %d in the queue, %v", open, count, len(q), err)
		}
		for i, c := range q {
			if i > 0 && q[i-1].Score < c.Score || c.Score != live[c.ID].Score {
				t.Fatalf("place %d: score %d after %d", i, c.Score, q[i-1].Score)
			}
		}
		for id, c := range live { // the next run starts with none open
			if after, err := c.Close(cases.Confirmed, "staff:ana", "", t0); err == nil {
				write(t, s, &c, after)
			}
			delete(live, id)
		}
	})
}
