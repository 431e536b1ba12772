package history_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"doorward/store"
	"doorward/store/badger"
	"doorward/store/history"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func line(n int) history.Line {
	return history.Line{
		Account: fmt.Sprintf("acct-%d", n%2), At: noon.Add(time.Duration(n) * time.Minute), Arrival: noon.Add(time.Duration(n)*time.Minute + 5*time.Microsecond),
		Source: "/wallet", ID: fmt.Sprintf("e-%d", n), Type: "login.failed", Topic: "doorward.events.v1", Partition: n % 3, Offset: int64(n),
		Flagged: n%4 == 0, Raw: fmt.Appendf(nil, "{ \"id\":\"e-%d\", \"html\":\"<&>\"}\n", n),
	}
}

func lines(ns ...int) (ls []history.Line) {
	for _, n := range ns {
		ls = append(ls, line(n))
	}
	return ls
}

func open(t *testing.T, dir string) *history.Store {
	t.Helper()
	s, err := history.Open(dir, 90*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func fresh(t *testing.T) *history.Store {
	t.Helper()
	s := open(t, t.TempDir())
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func add(t *testing.T, s *history.Store, ls []history.Line, ps ...history.Position) {
	t.Helper()
	if err := s.Add(t.Context(), ls, ps); err != nil {
		t.Fatal(err)
	}
}

func account(t *testing.T, s *history.Store, id string, from, to time.Time, limit int, newestFirst bool) []history.Line {
	t.Helper()
	ls, err := s.Account(t.Context(), id, from, to, limit, newestFirst)
	if err != nil {
		t.Fatal(err)
	}
	return ls
}

func TestAccount(t *testing.T) {
	s := fresh(t)
	add(t, s, lines(5, 2, 0, 7, 3, 4, 6, 1)) // in any order
	at := func(n int) time.Time { return line(n).At }
	for _, c := range []struct {
		name     string
		from, to time.Time
		limit    int
		newest   bool
		want     []history.Line
	}{
		{"all", time.Time{}, time.Time{}, 99, false, lines(0, 2, 4, 6)},
		{"newest two", time.Time{}, time.Time{}, 2, true, lines(6, 4)},
		{"from is included, to is not", at(2), at(6), 99, false, lines(2, 4)},
		{"the same backwards", at(2), at(6), 99, true, lines(4, 2)},
		{"between", at(3), at(5), 99, true, lines(4)},
		{"limit 0", time.Time{}, time.Time{}, 0, true, nil},
	} {
		if diff := cmp.Diff(c.want, account(t, s, "acct-0", c.from, c.to, c.limit, c.newest)); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
	if ls := account(t, s, "acct", time.Time{}, time.Time{}, 9, false); len(ls) != 0 {
		t.Errorf("an account whose id another's begins with: %v", ls)
	}
}

// TestOldTimes: order is order of time before 1970 too.
func TestOldTimes(t *testing.T) {
	s := fresh(t)
	var want []history.Line
	for n, at := range []time.Time{time.Date(1066, 1, 1, 0, 0, 0, 0, time.UTC), time.UnixMilli(-1).UTC(), time.UnixMilli(0).UTC(), noon} {
		l := line(2 * n)
		l.At = at
		want = append(want, l)
	}
	add(t, s, want)
	if diff := cmp.Diff(want, account(t, s, "acct-0", time.Time{}, time.Time{}, 9, false)); diff != "" {
		t.Error(diff)
	}
	if n, err := s.Sweep(t.Context(), noon); err != nil || n != 3 {
		t.Errorf("swept %d, %v", n, err)
	}
	if diff := cmp.Diff(want[3:], account(t, s, "acct-0", time.Time{}, time.Time{}, 9, false)); diff != "" {
		t.Error(diff)
	}
}

func TestTwice(t *testing.T) {
	s := fresh(t)
	add(t, s, lines(0, 2, 2))
	add(t, s, lines(2, 0))
	again := line(2)
	again.Source = "/other" // same account, time and id, another event
	add(t, s, []history.Line{again})
	got := account(t, s, "acct-0", time.Time{}, time.Time{}, 9, false)
	if len(got) != 3 || got[0].ID != "e-0" {
		t.Errorf("%d lines, want 3", len(got))
	}
}

func TestFind(t *testing.T) {
	s := fresh(t)
	other := line(3)
	other.Source, other.ID = "/other", "e-2"
	odd := line(5)
	odd.ID = "\x00odd\x00"
	add(t, s, append(lines(1, 2), other, odd))
	for _, want := range []history.Line{line(2), other, odd} {
		got, ok, err := s.Find(t.Context(), want.Source, want.ID)
		if diff := cmp.Diff(want, got); diff != "" || !ok || err != nil {
			t.Errorf("%s %q: %v, %v\n%s", want.Source, want.ID, ok, err, diff)
		}
	}
	for _, id := range [][2]string{{"/wallet", "e-9"}, {"/wallet/", "e-2"}, {"/wallete-", "2"}, {"", ""}} {
		if _, ok, err := s.Find(t.Context(), id[0], id[1]); ok || err != nil {
			t.Errorf("%q: %v, %v", id, ok, err)
		}
	}
	if got, err := s.FindID(t.Context(), "e-2"); err != nil || len(got) != 2 || got[0].Source == got[1].Source {
		t.Errorf("by id alone: %v, %v", got, err)
	}
	if got, err := s.FindID(t.Context(), "e-9"); err != nil || len(got) != 0 {
		t.Errorf("by an unknown id: %v, %v", got, err)
	}
}

func TestPositions(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	add(t, s, lines(1), history.Position{Topic: "b", Partition: 1, Offset: 10}, history.Position{Topic: "a", Partition: 300, Offset: 1 << 40})
	add(t, s, nil, history.Position{Topic: "b", Partition: 1, Offset: 11})
	bad := line(2)
	bad.Account = ""
	if err := s.Add(t.Context(), []history.Line{line(4), bad}, []history.Position{{Topic: "b", Partition: 1, Offset: 99}}); err == nil {
		t.Error("a line without account was taken")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	defer s.Close()
	got, err := s.Positions(t.Context())
	want := []history.Position{{Topic: "a", Partition: 300, Offset: 1 << 40}, {Topic: "b", Partition: 1, Offset: 11}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if ls := account(t, s, "acct-0", time.Time{}, time.Time{}, 9, false); len(ls) != 0 {
		t.Errorf("the refused call left %v", ls)
	}
}

// TestMany: more than one commit takes.
func TestMany(t *testing.T) {
	s := fresh(t)
	var ls []history.Line
	raw := make([]byte, 60<<10)
	for n := range 300 {
		l := line(2 * n)
		l.Raw = raw
		ls = append(ls, l)
	}
	for n := range 30_000 {
		l := line(2*n + 1)
		l.Raw = nil
		ls = append(ls, l)
	}
	add(t, s, ls, history.Position{Topic: "t", Offset: 5})
	for id, want := range map[string]int{"acct-0": 300, "acct-1": 30_000} {
		if n := len(account(t, s, id, time.Time{}, time.Time{}, 1<<20, true)); n != want {
			t.Errorf("%s: %d lines, want %d", id, n, want)
		}
	}
	if n, err := s.Sweep(t.Context(), noon.AddDate(1, 0, 0)); err != nil || n != 30_300 {
		t.Errorf("swept %d, %v", n, err)
	}
	if ls := account(t, s, "acct-1", time.Time{}, time.Time{}, 1, true); len(ls) != 0 {
		t.Errorf("left: %v", ls)
	}
}

// TestSweep compares with a plain list over random times and cuts.
func TestSweep(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := fresh(t)
	kept := make(map[string]history.Line)
	for n := range 400 {
		l := line(n)
		l.At = noon.Add(time.Duration(r.Int64N(int64(20 * 24 * time.Hour)))).Truncate(time.Millisecond)
		kept[l.ID] = l
		add(t, s, []history.Line{l})
	}
	for cut := noon; cut.Before(noon.AddDate(0, 0, 21)); cut = cut.Add(time.Duration(r.Int64N(int64(60 * time.Hour)))) {
		want := 0
		for id, l := range kept {
			if l.At.Before(cut) {
				delete(kept, id)
				want++
			}
		}
		if n, err := s.Sweep(t.Context(), cut); err != nil || n != want {
			t.Errorf("before %v: %d swept, %v, want %d", cut, n, err, want)
		}
		left := len(account(t, s, "acct-0", time.Time{}, time.Time{}, 999, false)) + len(account(t, s, "acct-1", time.Time{}, time.Time{}, 999, false))
		if left != len(kept) {
			t.Fatalf("before %v: %d left, want %d", cut, left, len(kept))
		}
		for n := range 400 {
			id := line(n).ID
			_, ok, err := s.Find(t.Context(), "/wallet", id)
			if _, want := kept[id]; ok != want || err != nil {
				t.Fatalf("event %s: found %v, kept %v, %v", id, ok, want, err)
			}
		}
	}
	if now := noon.AddDate(0, 0, 90); !s.Expired(now).Equal(noon) {
		t.Errorf("expired before %v", s.Expired(now))
	}
}

// TestRebuild: whatever is wrong with the directory, the error says that it may be deleted.
func TestRebuild(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	add(t, s, lines(1, 2, 3))
	if _, err := history.Open(dir, time.Hour); !errors.Is(err, store.ErrInUse) {
		t.Errorf("open twice: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "state", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("no table: %v", err)
	}
	b, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/3] ^= 1
	if err := os.WriteFile(tables[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := history.Open(dir, time.Hour); !errors.Is(err, history.ErrRebuild) {
		t.Errorf("damaged: %v", err)
	}

	foreign := t.TempDir()
	db, err := badger.OpenScratch(foreign, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: []byte("x"), Value: []byte("1")}}}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := history.Open(foreign, time.Hour); !errors.Is(err, history.ErrRebuild) {
		t.Errorf("somebody else's: %v", err)
	}
	photos := t.TempDir()
	if err := os.WriteFile(filepath.Join(photos, "holiday.jpg"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := history.Open(photos, time.Hour); !errors.Is(err, store.ErrForeign) || errors.Is(err, history.ErrRebuild) {
		t.Errorf("somebody's files: %v", err)
	}
	if err := os.RemoveAll(foreign); err != nil {
		t.Fatal(err)
	}
	s = open(t, foreign)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestOpenAnew: a damaged history is put aside, an empty one takes its place, and there is never more than one aside. A sound one, and what
// is no history at all, stay where they are.
func TestOpenAnew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "history")
	anew := func() (*history.Store, error) {
		s, damage, err := history.OpenAnew(dir, 90*24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return s, damage
	}
	for n := range 3 {
		s, damage := anew()
		if (damage != nil) != (n > 0) || damage != nil && !errors.Is(damage, history.ErrRebuild) {
			t.Errorf("round %d: damage: %v", n, damage)
		}
		if got, err := s.Account(t.Context(), "acct-1", time.Time{}, time.Time{}, 10, false); err != nil || len(got) > 0 {
			t.Errorf("round %d: an empty history has %d lines, %v", n, len(got), err)
		}
		add(t, s, lines(1, 2, 3))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, damage = anew(); damage != nil {
			t.Errorf("a sound one: %v", damage)
		}
		if got, err := s.Account(t.Context(), "acct-1", time.Time{}, time.Time{}, 10, false); err != nil || len(got) == 0 {
			t.Errorf("round %d: %d lines, %v", n, len(got), err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		tables, err := filepath.Glob(filepath.Join(dir, "state", "*.sst"))
		if err != nil || len(tables) == 0 {
			t.Fatalf("no table: %v", err)
		}
		b, err := os.ReadFile(tables[0])
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/3] ^= 1
		if err := os.WriteFile(tables[0], b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	beside, err := os.ReadDir(filepath.Dir(dir))
	if err != nil || len(beside) != 2 {
		t.Errorf("beside the history: %v, %v", beside, err)
	}
	photos := t.TempDir()
	if err := os.WriteFile(filepath.Join(photos, "holiday.jpg"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, damage, err := history.OpenAnew(photos, time.Hour); !errors.Is(err, store.ErrForeign) || damage != nil {
		t.Errorf("somebody's files: %v, %v", damage, err)
	}
}
