package window

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"doorward/auth"
	"doorward/rules/event"
	"doorward/rules/geo"

	"pgregory.net/rapid"
)

// shards are memories that share a board.
func shards(t testing.TB, n, budget int, specs []Spec) []*feed {
	t.Helper()
	l, err := NewLayout(specs)
	if err != nil {
		t.Fatal(err)
	}
	b := NewBoard(n)
	fs := make([]*feed, n)
	for i := range fs {
		fs[i] = &feed{Memory: NewMemory(l, [16]byte{1}, i, budget, b), t: t}
	}
	return fs
}

func TestAcrossShards(t *testing.T) {
	count := Spec{Func: Count, Key: IP, Types: []string{"login.failed"}, Span: 10 * time.Minute}
	accounts := Spec{Func: Distinct, Key: IP, Types: []string{"login.*"}, Field: "account", Span: 10 * time.Minute}
	age := Spec{Func: Age, Key: IP}
	since := Spec{Func: Since, Key: IP, Types: []string{"login.failed"}}
	sum := Spec{Func: Sum, Key: Payee, Types: []string{"transaction.*"}, Span: time.Hour}
	fs := shards(t, 3, 0, []Spec{count, accounts, age, since, sum})
	here, there, idle := fs[0], fs[1], fs[2]
	if there.Closed() != Nothing || idle.Closed() != Nothing {
		t.Error("a shard without events has closed a slice")
	}
	ip := event.Data{IP: "192.0.2.1"}
	// the event's own time does not matter: here it lies a day ahead and a day behind
	there.takeAt(24*time.Hour, 0, "b", "login.failed", ip, geo.Place{})
	there.takeAt(-20*time.Hour, 5*time.Second, "c", "login.failed", ip, geo.Place{})
	if there.Closed() != t0.Unix()+4 {
		t.Errorf("closed slice %d, want %d", there.Closed(), t0.Unix()+4)
	}
	take := func(asOf ...int64) *View {
		here.Read(asOf)
		return here.takeAt(8*time.Second, 8*time.Second, "a", "login.failed", ip, geo.Place{})
	}
	check := func(v *View, wantCount, wantAccounts, wantAge, wantSince float64, wantAsOf int64) {
		t.Helper()
		here.want(v, count, wantCount)
		here.want(v, accounts, wantAccounts)
		here.want(v, age, wantAge)
		here.want(v, since, wantSince)
		if r := v.Read(here.Layout().Slot(count)); !r.Across || r.AsOf != wantAsOf {
			t.Errorf("read as of %d, want %d", r.AsOf, wantAsOf)
		}
	}
	s := t0.Unix()
	check(take(), 1, 1, 0, -1, s+8)
	check(take(Nothing, Nothing, Nothing), 2, 1, 0, 0, s+8)
	check(take(Nothing, s-1, Nothing), 3, 1, 0, 0, s-1)
	check(take(Nothing, s+4, Nothing), 4+1, 2, 8, 0, s+4)
	check(take(Nothing, s+5, Nothing), 5+2, 3, 8, 0, s+5)

	there.takeAt(6*time.Second, 6*time.Second, "b", "transaction.completed", event.Data{Counterparty: "mule", HasAmount: true, Amount: 40}, geo.Place{})
	here.Read([]int64{0, s + 6, s + 6})
	v := here.takeAt(9*time.Second, 9*time.Second, "a", "transaction.completed", event.Data{Counterparty: "mule", HasAmount: true, Amount: 2}, geo.Place{})
	here.want(v, sum, 42)
	here.want(v, count, 0) // no address
	here.want(v, since, -1)
	// windows end at the own slice, however old the other's is
	v = here.takeAt(2*time.Hour, 2*time.Hour, "a", "login.failed", ip, geo.Place{})
	here.want(v, count, 1)
	here.want(v, accounts, 1)
	here.want(v, since, 2*3600-8)
}

func TestAdvanceClosesSlices(t *testing.T) {
	f := newFeed(t, 0, Spec{Func: Count, Key: IP, Span: time.Minute})
	if !f.Clock().IsZero() {
		t.Error("the clock runs before the first event")
	}
	f.Advance(t0.Add(10 * time.Second))
	f.Advance(t0)
	if f.Closed() != t0.Unix()+9 || !f.Clock().Equal(t0.Add(10*time.Second)) {
		t.Errorf("closed %d, clock %v: the running maximum went back", f.Closed(), f.Clock())
	}
}

func TestDistinctAcrossSaturates(t *testing.T) {
	s := Spec{Func: Distinct, Key: IP, Field: "account", Span: time.Minute}
	f := newFeed(t, 0, s)
	at := func(at time.Duration, account int) *View {
		return f.takeAt(at, at, fmt.Sprint("acct-", account), "login.failed", event.Data{IP: "192.0.2.1"}, geo.Place{})
	}
	for i := range 100 {
		f.want(at(0, i), s, float64(min(i+1, 64)))
	}
	f.want(at(59*time.Second, 1), s, 64)
	f.want(at(61*time.Second, 200), s, 64) // no room yet: somebody may still read as of Ahead slices ago
	f.want(at(125*time.Second, 201), s, 1) // room again, and a span has passed since a value found none
	f.want(at(126*time.Second, 202), s, 2)
}

// A trace gives the newest slice up to any of the last Ahead, whatever came.
func TestTrace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := make([]byte, traceSize)
		var all []int64
		at := int64(1000)
		for range rapid.IntRange(0, 40).Draw(t, "events") {
			at += rapid.SampledFrom([]int64{0, 1, 2, 30, 62, 63, 64, 65, 66, 1000}).Draw(t, "step")
			traceAdd(b, at)
			all = append(all, at)
		}
		for s := at - Ahead; s <= at+3; s++ {
			want := int64(-1)
			for _, x := range all {
				if x <= s {
					want = x
				}
			}
			if got := traceAsOf(b, s); got != want {
				t.Fatalf("as of %d: %d, want %d", s, got, want)
			}
		}
	})
}

// drawAcross gives a window of each kind across accounts over a span.
func drawAcross(t *rapid.T) []Spec {
	span := time.Duration(rapid.SampledFrom([]int{1, 2, 30, 60, 64, 65, 90, 600, 3600, 48 * 3600}).Draw(t, "span")) * time.Second
	return []Spec{
		{Func: Count, Key: IP, Types: []string{"a"}, Span: span},
		{Func: Sum, Key: IP, Span: span},
		{Func: Distinct, Key: IP, Field: "device", Span: span},
		{Func: Age, Key: IP},
		{Func: Since, Key: IP, Types: []string{"a"}},
	}
}

func drawInput(t *rapid.T, now *time.Duration, sequence *uint64) *Input {
	*now += rapid.SampledFrom([]time.Duration{0, 0, 0, 100 * time.Millisecond, time.Second, time.Second, 7 * time.Second, time.Minute, time.Hour}).Draw(t, "step")
	*sequence++
	return &Input{Sequence: *sequence, Event: &event.Event{Type: event.Type(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "type")),
		Account: auth.AccountID(rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "account")), Time: t0.Add(*now), Arrival: t0.Add(*now),
		Data: event.Data{IP: fmt.Sprint("192.0.2.", rapid.IntRange(1, 5).Draw(t, "ip")), HasAmount: true, Amount: rapid.Int64Range(0, 1000).Draw(t, "amount"),
			Device: fmt.Sprint(rapid.IntRange(1, 80).Draw(t, "device"))}}}
}

// What another shard sees as of a slice depends on the owner's slices up to it only: an owner that has gone on by up to Ahead slices,
// evicting and jumping over idle times meanwhile, reads like one that stopped there.
func TestAsOfDependsOnClosedSlicesOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		specs := drawAcross(t)
		budget := rapid.IntRange(1, 5).Draw(t, "budget")
		l, err := NewLayout(specs)
		if err != nil {
			t.Fatal(err)
		}
		board, stoppedBoard := NewBoard(2), NewBoard(2)
		owner, stopped := NewMemory(l, [16]byte{1}, 1, budget, board), NewMemory(l, [16]byte{1}, 1, budget, stoppedBoard)
		var now time.Duration
		var sequence uint64
		var inputs []*Input
		for range rapid.IntRange(1, 120).Draw(t, "before") {
			inputs = append(inputs, drawInput(t, &now, &sequence))
		}
		for _, in := range inputs {
			owner.Take(in)
			stopped.Take(in)
		}
		s := t0.Add(now).Unix()
		ticks := int64(0) // since s, an idle shard's jump counting as one
		for range rapid.IntRange(0, 80).Draw(t, "after") {
			d := rapid.SampledFrom([]int64{0, 0, 1, 1, 5, 20, jump, jump + 1, 100, 5000}).Draw(t, "slices")
			if t0.Add(now).Unix() == s {
				d = max(1, d)
			}
			if d > jump {
				ticks++
			} else {
				ticks += d
			}
			if ticks > Ahead {
				break
			}
			now = now.Truncate(time.Second) + time.Duration(d)*time.Second
			var ignore time.Duration
			in := drawInput(t, &ignore, &sequence)
			in.Event.Time, in.Event.Arrival = t0.Add(now), t0.Add(now)
			owner.Take(in)
		}
		a, b := NewMemory(l, [16]byte{1}, 0, 0, board), NewMemory(l, [16]byte{1}, 0, 0, stoppedBoard)
		back := int64(rapid.IntRange(0, 3).Draw(t, "back"))
		ahead := time.Duration(rapid.IntRange(-70, 70).Draw(t, "reader")) * time.Second
		if ticks+back > Ahead {
			back = 0
		}
		for i := range 5 {
			in := &Input{Sequence: uint64(i + 1), Event: &event.Event{Type: "b", Account: "w", Time: t0, Arrival: time.Unix(s, 0).Add(ahead),
				Data: event.Data{IP: fmt.Sprint("192.0.2.", i+1)}}}
			for slot := range l.Len() {
				a.Read([]int64{0, s - back})
				b.Read([]int64{0, s - back})
				got, want := a.Take(in).Read(slot), b.Take(in).Read(slot)
				if got != want {
					t.Fatalf("%s of %s as of %d: %v from an owner at %d, %v from one at %d", l.Spec(slot).Text(), in.Event.IP, s-back, got, owner.Clock().Unix(), want, s)
				}
			}
		}
	})
}

// Readings across shards lie within the documented accuracy of what a model gives that keeps every event.
func TestAcrossAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		specs := drawAcross(t)
		l, err := NewLayout(specs)
		if err != nil {
			t.Fatal(err)
		}
		board := NewBoard(3)
		var ms []*Memory
		for i := range 3 {
			ms = append(ms, NewMemory(l, [16]byte{1}, i, 0, board))
		}
		type took struct {
			shard int
			slice int64
			e     *event.Event
		}
		var all []took
		var now time.Duration
		sequence := uint64(0)
		for range rapid.IntRange(1, 150).Draw(t, "events") {
			in := drawInput(t, &now, &sequence)
			shard := rapid.IntRange(0, 2).Draw(t, "shard")
			own := t0.Add(now).Unix()
			for _, m := range ms {
				m.Advance(t0.Add(now))
			}
			asOf := []int64{own - 1, own - 1, own - 1}
			ms[shard].Read(asOf)
			before := all
			all = append(all, took{shard, own, in.Event})
			v := ms[shard].Take(in)
			for _, s := range specs {
				got := v.Read(l.Slot(s)).Value
				low, high := 0.0, 0.0
				span := int64(s.Span / time.Second)
				width := (span + 29) / 30
				if span <= Ahead {
					width = 1
				}
				lowSet, highSet := map[string]bool{}, map[string]bool{}
				firstSlice, last := own, int64(-1)
				for i, k := range all {
					if k.e.IP != in.Event.IP || k.shard != shard && k.slice > own-1 {
						continue
					}
					firstSlice = min(firstSlice, k.slice)
					if i < len(before) && k.e.Type == "a" {
						last = max(last, k.slice)
					}
					x := 1.0
					switch {
					case s.Func == Count && k.e.Type != "a":
						continue
					case s.Func == Sum:
						x = float64(k.e.Amount)
					}
					if k.slice > own-span {
						low += x
						lowSet[k.e.Device] = true
					}
					if k.slice > own-span-width {
						high += x
					}
					if k.slice > own-span {
						highSet[k.e.Device] = true
					}
				}
				switch s.Func {
				case Distinct:
					low, high = float64(len(lowSet)), float64(len(highSet))
				case Age:
					low, high = float64(own-firstSlice), float64(own-firstSlice)
				case Since:
					low, high = -1, -1
					if last >= 0 {
						low, high = float64(own-last), float64(own-last)
					}
				}
				if got < low || got > high {
					t.Fatalf("%s = %v, want %v to %v", s.Text(), got, low, high)
				}
			}
		}
	})
}

// Owners write while others read: what is read is one state or another, never a torn one. Its worth is under -race.
func TestReadersAndOwnersAtOnce(t *testing.T) {
	fs := shards(t, 2, 3, everyKind())
	var wg sync.WaitGroup
	for i, f := range fs {
		wg.Go(func() {
			for n := range 3000 {
				f.Read([]int64{fs[0].Closed(), fs[1].Closed()})
				at := time.Duration(n) * 20 * time.Millisecond
				v := f.takeAt(at, at, fmt.Sprint("acct-", i), "login.failed", event.Data{IP: fmt.Sprint("192.0.2.", n%5), Device: "d"}, geo.Place{})
				for slot := range f.Layout().Len() {
					v.Read(slot)
				}
				if n%100 == 0 {
					f.Dirty(nil)
				}
			}
		})
	}
	wg.Wait()
	for _, f := range fs {
		if f.Evicted() == 0 {
			t.Error("nothing was evicted")
		}
	}
}
