package window

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"doorward/rules/event"
	"doorward/rules/geo"
)

func TestCount(t *testing.T) {
	s := Spec{Func: Count, Key: Account, Types: []string{"login.failed"}, Span: 10 * time.Minute}
	f := newFeed(t, 0, s)
	f.want(f.take(0, "login.failed", event.Data{}), s, 1)
	f.want(f.take(time.Minute, "login.succeeded", event.Data{}), s, 1)
	f.want(f.take(time.Minute, "login.failed", event.Data{}), s, 2)
	f.want(f.take(time.Minute, "login.failed", event.Data{}), s, 3) // the same time again
	f.want(f.take(10*time.Minute-time.Millisecond, "login.failed", event.Data{}), s, 4)
	f.want(f.take(10*time.Minute+20*time.Second, "login.failed", event.Data{}), s, 4) // 8:00 went a bucket ago; 8:01 is in
	f.want(f.take(2*time.Hour, "login.failed", event.Data{}), s, 1)
	if v := f.takeAt(2*time.Hour, 2*time.Hour, "acct-2", "login.failed", event.Data{}, geo.Place{}); v.Read(0).Value != 1 {
		t.Error("two accounts share a count")
	}
}

func TestCountSaturates(t *testing.T) {
	s := Spec{Func: Count, Key: Account, Span: time.Hour}
	f := newFeed(t, 0, s)
	var v *View
	for range 70_000 {
		v = f.take(0, "session.seen", event.Data{})
	}
	f.want(v, s, 65_535)
}

func TestSum(t *testing.T) {
	out := Spec{Func: Sum, Key: Account, Types: []string{"transaction.*"}, Span: 24 * time.Hour, Where: "out"}
	all := Spec{Func: Sum, Key: Account, Types: []string{"transaction.*"}, Span: 24 * time.Hour}
	f := newFeed(t, 0, out, all)
	v := f.take(0, "transaction.completed", event.Data{Amount: 500, HasAmount: true, Direction: "out"})
	f.want(v, out, 500)
	v = f.take(time.Hour, "transaction.completed", event.Data{Amount: 70, HasAmount: true, Direction: "in"})
	f.want(v, out, 500)
	f.want(v, all, 570)
	v = f.take(time.Hour, "transaction.completed", event.Data{Amount: 9, Direction: "out"}) // no amount
	f.want(v, all, 570)
	v = f.take(2*time.Hour, "transaction.completed", event.Data{Amount: math.MaxInt64, HasAmount: true, Direction: "out"})
	f.want(v, out, math.MaxInt64) // saturates, never turns negative
}

func TestLateAndTooLate(t *testing.T) {
	count := Spec{Func: Count, Key: Account, Span: time.Hour}
	speed := Spec{Func: Speed, Key: Account}
	perIP := Spec{Func: Count, Key: IP, Span: time.Hour}
	f := newFeed(t, 0, count, speed, perIP)
	d := event.Data{IP: "192.0.2.1"}
	paris, tokyo := geo.Place{Lat: 48.86, Lon: 2.35, HasPoint: true}, geo.Place{Lat: 35.68, Lon: 139.69, HasPoint: true}
	at := func(h time.Duration) *View { return f.takeAt(h, 30*time.Hour, "acct-1", "login.failed", d, paris) }
	if v := at(30 * time.Hour); v.Timing() != OnTime || !v.Newest().Equal(t0.Add(30*time.Hour)) {
		t.Errorf("first event: timing %v, newest %v", v.Timing(), v.Newest())
	}
	v := f.takeAt(30*time.Hour-30*time.Minute, 30*time.Hour, "acct-1", "login.failed", d, tokyo)
	if v.Timing() != Late || !v.Newest().Equal(t0.Add(30*time.Hour)) {
		t.Errorf("half an hour behind: timing %v, newest %v", v.Timing(), v.Newest())
	}
	f.want(v, count, 2)
	f.want(v, speed, 0)
	f.want(v, perIP, 2)
	v = f.takeAt(28*time.Hour, 30*time.Hour, "acct-1", "login.failed", d, tokyo)
	f.want(v, count, 2) // late, and out of the window as of the newest
	v = f.takeAt(6*time.Hour, 30*time.Hour, "acct-1", "login.failed", d, tokyo)
	if v.Timing() != Late {
		t.Errorf("24 h behind: timing %v, want late", v.Timing())
	}
	f.want(v, perIP, 4)
	f.Dirty(nil)
	v = f.takeAt(6*time.Hour-time.Millisecond, 30*time.Hour, "acct-1", "login.failed", d, tokyo)
	if v.Timing() != TooLate {
		t.Errorf("more than 24 h behind: timing %v, want too late", v.Timing())
	}
	f.want(v, count, 2)
	f.want(v, perIP, 4)
	if b := f.Dirty(nil); len(b) != 0 {
		t.Errorf("an event that came too late changed %d bytes", len(b))
	}
	v = at(30 * time.Hour)
	f.want(v, speed, 0) // Paris again: the late events in Tokyo have not moved the last place
	if v.Timing() != OnTime {
		t.Errorf("equal to the newest: timing %v, want on time", v.Timing())
	}
}

func TestDistinct(t *testing.T) {
	s := Spec{Func: Distinct, Key: Account, Types: []string{"login.*"}, Field: "ip", Span: time.Hour}
	f := newFeed(t, 0, s)
	f.want(f.take(0, "login.failed", event.Data{}), s, 0)
	f.want(f.take(0, "login.failed", event.Data{IP: "192.0.2.1"}), s, 1)
	f.want(f.take(0, "login.failed", event.Data{IP: "::ffff:192.0.2.1"}), s, 1) // another spelling
	f.want(f.take(time.Minute, "session.seen", event.Data{IP: "192.0.2.2"}), s, 1)
	f.want(f.take(time.Minute, "login.failed", event.Data{IP: "192.0.2.3"}), s, 2)
	f.want(f.take(time.Hour+30*time.Second, "login.failed", event.Data{IP: "192.0.2.3"}), s, 1)
	for i := range 100 {
		f.want(f.take(2*time.Hour+time.Minute, "login.failed", event.Data{IP: fmt.Sprintf("198.51.100.%d", i)}), s, float64(min(i+1, 64)))
	}
}

func TestKnownSet(t *testing.T) {
	firstSeen := Spec{Func: FirstSeen, Key: Account, Field: "device"}
	known := Spec{Func: Known, Key: Account, Field: "device"}
	since := Spec{Func: KnownFor, Key: Account, Field: "device"}
	f := newFeed(t, 0, firstSeen, known, since)
	want := func(at time.Duration, eventType, device string, wantFirst, wantKnown, wantFor float64) {
		t.Helper()
		v := f.take(at, eventType, event.Data{Device: device})
		f.want(v, firstSeen, wantFirst)
		f.want(v, known, wantKnown)
		f.want(v, since, wantFor)
	}
	want(0, "login.failed", "thief", 1, 0, 0)
	want(time.Minute, "login.failed", "thief", 1, 0, 0) // failures teach nothing
	want(time.Minute, "report.owner_denied", "thief", 1, 0, 0)
	want(2*time.Minute, "login.succeeded", "mine", 1, 0, 0)
	want(3*time.Minute, "login.failed", "mine", 0, 1, 60)
	want(4*time.Minute, "login.succeeded", "", 0, 1, -1)
	want(4*time.Minute, "login.succeeded", "phone", 1, 1, 0)
	want(5*time.Minute, "session.seen", "phone", 0, 2, 60)
	want(5*time.Minute+30*time.Second, "login.mfa.succeeded", "mine", 0, 2, 210)
	for i := range 15 { // 17 values in a set of 16: the phone, not seen for longest, leaves
		want(6*time.Minute, "login.succeeded", fmt.Sprint("d", i), 1, float64(2+min(i, 14)), 0)
	}
	want(7*time.Minute, "login.failed", "mine", 0, 16, 300)
	want(7*time.Minute, "login.failed", "phone", 1, 16, 0)
}

func TestKnownSetLearnsFromItsTypesOnly(t *testing.T) {
	s := Spec{Func: FirstSeen, Key: Account, Field: "counterparty", Types: []string{"transaction.completed"}}
	f := newFeed(t, 0, s)
	f.want(f.take(0, "transaction.requested", event.Data{Counterparty: "p"}), s, 1)
	f.want(f.take(0, "transaction.completed", event.Data{Counterparty: "p"}), s, 1)
	f.want(f.take(0, "transaction.requested", event.Data{Counterparty: "p"}), s, 0)
}

func TestAgeAndSince(t *testing.T) {
	age := Spec{Func: Age, Key: Account}
	since := Spec{Func: Since, Key: Account, Types: []string{"account.password.changed"}}
	f := newFeed(t, 0, age, since)
	v := f.take(0, "account.opened", event.Data{})
	f.want(v, age, 0)
	f.want(v, since, -1)
	f.want(f.take(time.Minute, "account.password.changed", event.Data{}), since, -1) // no earlier one
	v = f.take(90*time.Second, "login.succeeded", event.Data{})
	f.want(v, age, 90)
	f.want(v, since, 30)
	f.want(f.take(100*time.Second, "account.password.changed", event.Data{}), since, 40)
	f.want(f.take(100*time.Second, "login.succeeded", event.Data{}), since, 0)
	f.want(f.take(-time.Hour, "login.succeeded", event.Data{}), age, 3700) // late: the account is older than was known
}

func TestSpeed(t *testing.T) {
	speed := Spec{Func: Speed, Key: Account, Types: []string{"login.succeeded"}}
	distance := Spec{Func: Distance, Key: Account, Types: []string{"login.succeeded"}}
	f := newFeed(t, 0, speed, distance)
	paris, london := geo.Place{Lat: 48.8566, Lon: 2.3522, HasPoint: true}, geo.Place{Lat: 51.5074, Lon: -0.1278, HasPoint: true}
	near := geo.Place{Lat: 51.5080, Lon: -0.1278, HasPoint: true}
	const apart = 343.56 // km, Paris to London
	check := func(at time.Duration, eventType string, p geo.Place, wantSpeed, wantDistance float64) {
		t.Helper()
		v := f.takeAt(at, at, "acct-1", eventType, event.Data{}, p)
		for s, want := range map[*Spec]float64{&speed: wantSpeed, &distance: wantDistance} {
			if got := v.Read(f.Layout().Slot(*s)).Value; math.Abs(got-want) > want/1000+0.01 {
				t.Errorf("at %v: %s = %v, want %v", at, s.Text(), got, want)
			}
		}
	}
	check(0, "login.succeeded", paris, 0, 0)
	check(time.Hour, "login.failed", london, 0, 0)
	check(2*time.Hour, "login.succeeded", london, apart/2, apart)
	check(2*time.Hour, "login.succeeded", near, 0, 0.0667) // within a kilometre
	check(3*time.Hour, "login.succeeded", geo.Place{}, 0, 0)
	check(3*time.Hour, "login.succeeded", paris, apart, apart)     // the event without a place has not hidden the journey
	check(3*time.Hour, "login.succeeded", london, apart*60, apart) // at once: over the least time
}

func TestSequence(t *testing.T) {
	s := Spec{Func: Sequence, Key: Account, Types: []string{"a|b", "c.*", "d"}, Span: time.Hour}
	for _, c := range []struct {
		name  string
		steps []string // type@minutes
		want  float64
	}{
		{"in order", []string{"a@0", "c.x@1", "d@2"}, 1},
		{"alternative, others between", []string{"b@0", "x@0", "c.y@1", "x@2", "d@60"}, 1},
		{"too long", []string{"a@0", "c.x@1", "d@61"}, 0},
		{"wrong order", []string{"c.x@0", "a@1", "d@2"}, 0},
		{"begun again", []string{"a@0", "a@30", "c.x@31", "d@89"}, 1},
		{"begun again after the middle", []string{"a@0", "c.x@1", "a@30", "d@59"}, 1},
		{"the middle belongs to the old beginning", []string{"a@0", "c.x@1", "a@30", "d@61"}, 0},
		{"not the last", []string{"a@0", "c.x@1", "d@2", "x@3"}, 0},
		{"fires again", []string{"a@0", "c.x@1", "d@2", "d@3"}, 1},
		{"equal times", []string{"a@0", "c.x@0", "d@0"}, 1},
		{"late last", []string{"a@0", "c.x@1", "x@9", "d@2"}, 1},
		{"late last, after the first of two middles", []string{"a@0", "c.x@1", "c.x@5", "x@9", "d@3"}, 1},
		{"late middle and last", []string{"a@0", "c.x@5", "x@9", "c.x@2", "d@3"}, 1},
		{"late last, before the middle", []string{"a@0", "c.x@5", "x@9", "d@2"}, 0},
	} {
		f := newFeed(t, 0, s)
		var v *View
		for _, step := range c.steps {
			var at int
			var name string
			for i := range step {
				if step[i] == '@' {
					name = step[:i]
					fmt.Sscan(step[i+1:], &at)
				}
			}
			v = f.take(time.Duration(at)*time.Minute, name, event.Data{})
		}
		if got := v.Read(0).Value; got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	twice := Spec{Func: Sequence, Key: Account, Types: []string{"a", "a"}, Span: time.Hour}
	f := newFeed(t, 0, twice)
	f.want(f.take(0, "a", event.Data{}), twice, 0) // one event takes one step
	f.want(f.take(0, "a", event.Data{}), twice, 1)
}

// What rules remember is a list of those that have something to remember, whatever the order in which it came.
func TestAgain(t *testing.T) {
	var specs []Spec
	for i := range 40 {
		specs = append(specs, Spec{Func: Again, Key: Account, Field: fmt.Sprintf("rule.%02d", i)})
	}
	f := newFeed(t, 0, append(specs, Spec{Func: Count, Key: Account, Span: time.Hour})...)
	slot := func(rule int) int { return f.Layout().Slot(specs[rule]) }
	v := f.take(0, "x", event.Data{})
	if was, last := v.Again(slot(7)); was || !last.IsZero() || len(v.Recalled(nil)) != 0 {
		t.Errorf("at first: %v %v", was, last)
	}
	v.SetAgain(Recall{slot(7), true, t0.UnixMilli()})
	v.SetAgain(Recall{slot(3), true, Never}, Recall{slot(39), false, t0.UnixMilli()})
	v = f.take(time.Minute, "x", event.Data{})
	if was, last := v.Again(slot(7)); !was || !last.Equal(t0) {
		t.Errorf("after it fired: %v %v", was, last)
	}
	want := []Recall{{slot(3), true, Never}, {slot(7), true, t0.UnixMilli()}, {slot(39), false, t0.UnixMilli()}}
	if got := v.Recalled(nil); !slices.Equal(got, want) {
		t.Errorf("remembered are %v, want %v", got, want)
	}
	size := len(f.account.rec(v.account.ref)[:sizeOf(v.account.rec)])
	v.SetAgain(Recall{slot(0), true, 5}, Recall{slot(7), false, t0.UnixMilli()}, Recall{slot(8), false, Never}, Recall{slot(39), false, Never})
	v = f.take(2*time.Minute, "x", event.Data{})
	want = []Recall{{slot(0), true, 5}, {slot(3), true, Never}, {slot(7), false, t0.UnixMilli()}}
	if got := v.Recalled(nil); !slices.Equal(got, want) {
		t.Errorf("remembered are %v, want %v", got, want)
	}
	if was, last := v.Again(slot(7)); was || !last.Equal(t0) {
		t.Errorf("after it was false: %v %v", was, last)
	}
	v.SetAgain(Recall{slot(0), false, Never}, Recall{slot(3), false, Never}, Recall{slot(7), false, Never})
	if after := sizeOf(v.account.rec); after >= size || len(v.Recalled(nil)) > 0 {
		t.Errorf("a record in which no rule is remembered has %d bytes, with three it had %d", after, size)
	}
}

// What says the same again leaves the record as it is: nothing of it is to be stored.
func TestAgainUnchanged(t *testing.T) {
	s := Spec{Func: Again, Key: Account, Field: "a.rule"}
	f := newFeed(t, 0, s)
	f.take(0, "x", event.Data{}).SetAgain(Recall{0, true, 5})
	v := f.take(-48*time.Hour, "x", event.Data{}) // too late to change anything
	f.Dirty(nil)
	v.SetAgain(Recall{0, true, 5})
	if b := f.Dirty(nil); len(b) > 0 {
		t.Errorf("%d bytes are to be stored of nothing new", len(b))
	}
	v.SetAgain(Recall{0, false, 5})
	if b := f.Dirty(nil); len(b) == 0 {
		t.Error("what changed is not to be stored")
	}
}

func TestKnownFrom(t *testing.T) {
	count := Spec{Func: Count, Key: Account, Span: time.Hour}
	firstSeen := Spec{Func: FirstSeen, Key: Account, Field: "device"}
	perIP := Spec{Func: Count, Key: IP, Span: time.Hour}
	f := newFeed(t, 0, count, firstSeen, perIP)
	slot := f.Layout().Slot
	d := event.Data{IP: "192.0.2.1"}
	for _, s := range []Spec{count, firstSeen, perIP} {
		if !f.take(0, "x", d).Read(slot(s)).Known {
			t.Errorf("%s is not known from the start", s.Text())
		}
		f.KnownFrom(slot(s), t0)
	}
	for _, c := range []struct {
		at                       time.Duration
		count, firstSeen, across bool
	}{{time.Hour, false, false, false}, {time.Hour + time.Second, true, false, true}, {30 * 24 * time.Hour, true, false, true}, {30*24*time.Hour + time.Millisecond, true, true, true}} {
		v := f.take(c.at, "x", d)
		if a, b, x := v.Read(slot(count)).Known, v.Read(slot(firstSeen)).Known, v.Read(slot(perIP)).Known; a != c.count || b != c.firstSeen || x != c.across {
			t.Errorf("%v after they were added: known %v %v %v, want %v %v %v", c.at, a, b, x, c.count, c.firstSeen, c.across)
		}
	}
}

func TestForgetAndLearn(t *testing.T) {
	count := Spec{Func: Count, Key: Account, Span: 48 * time.Hour}
	since := Spec{Func: Since, Key: Account, Types: []string{"login.failed"}}
	age := Spec{Func: Age, Key: Account}
	firstSeen := Spec{Func: FirstSeen, Key: Account, Field: "device"}
	again := Spec{Func: Again, Key: Account, Field: "r"}
	f := newFeed(t, 0, count, since, age, firstSeen, again)
	slot := f.Layout().Slot
	f.take(0, "login.succeeded", event.Data{Device: "mine"})
	f.take(time.Hour, "login.failed", event.Data{})
	f.take(2*time.Hour, "login.succeeded", event.Data{Device: "thief"}).SetAgain(Recall{slot(again), true, t0.UnixMilli()})
	f.seq++
	f.Learn("acct-1", "device", "trusted", t0.Add(2*time.Hour), f.seq)
	f.seq++
	f.Forget("acct-1", f.seq, t0.Add(90*time.Minute))
	v := f.take(3*time.Hour, "login.succeeded", event.Data{Device: "mine"})
	f.want(v, count, 1)
	f.want(v, since, -1)
	f.want(v, age, 3*3600)
	f.want(v, firstSeen, 0)
	if was, last := v.Again(slot(again)); was || !last.IsZero() {
		t.Errorf("the rule remembers the time before: %v %v", was, last)
	}
	f.want(f.take(3*time.Hour, "login.failed", event.Data{Device: "thief"}), firstSeen, 1)
	v = f.take(time.Hour, "login.failed", event.Data{}) // late, from before the recovery
	f.want(v, count, 2)
	f.seq++
	f.Learn("acct-1", "device", "trusted", t0.Add(3*time.Hour), f.seq)
	f.want(f.take(4*time.Hour, "login.succeeded", event.Data{Device: "trusted"}), firstSeen, 0)
	f.seq++
	f.Forget("acct-1", f.seq, time.Time{})
	f.want(f.take(5*time.Hour, "login.succeeded", event.Data{Device: "trusted"}), firstSeen, 0)
	f.seq++
	f.Learn("acct-9", "device", "new", t0, f.seq)
	v = f.takeAt(5*time.Hour, 5*time.Hour, "acct-9", "login.succeeded", event.Data{Device: "new"}, geo.Place{})
	f.want(v, firstSeen, 0)
	f.want(v, age, 0)
	f.Forget("nobody", f.seq+1, time.Time{})
	if f.Len(Account) != 2 {
		t.Errorf("%d accounts, want 2: forgetting nobody makes nobody", f.Len(Account))
	}
}
