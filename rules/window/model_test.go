package window

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"doorward/rules/event"
	"doorward/rules/geo"

	"pgregory.net/rapid"
)

// past is one event that the model keeps.
type past struct {
	at     time.Duration
	name   string
	device string
	amount float64
}

// Readings of an account's windows lie within the documented accuracy of what a model gives that keeps every event.
func TestAccountAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		span := time.Duration(rapid.SampledFrom([]int{1, 7, 60, 600, 3600, 90 * 24 * 3600}).Draw(t, "span")) * time.Second
		late := rapid.Bool().Draw(t, "late")
		count := Spec{Func: Count, Key: Account, Types: []string{"a"}, Span: span}
		sum := Spec{Func: Sum, Key: Account, Types: []string{"b"}, Span: span}
		distinct := Spec{Func: Distinct, Key: Account, Field: "device", Span: span}
		since := Spec{Func: Since, Key: Account, Types: []string{"a"}}
		known := Spec{Func: Known, Key: Account, Field: "device"}
		knownFor := Spec{Func: KnownFor, Key: Account, Field: "device"}
		sequence := Spec{Func: Sequence, Key: Account, Types: []string{"a", "b|c", "a"}, Span: span}
		l, err := NewLayout([]Spec{count, sum, distinct, since, known, knownFor, sequence})
		if err != nil {
			t.Fatal(err)
		}
		m := NewMemory(l, [16]byte{1}, 0, 0, nil)
		var all []past
		newest := time.Duration(0)
		for i := range rapid.IntRange(1, 150).Draw(t, "events") {
			at := newest + rapid.SampledFrom([]time.Duration{0, time.Millisecond, 900 * time.Millisecond, span / 31, span / 30, span / 2, span}).Draw(t, "step")
			if late && rapid.Bool().Draw(t, "behind") {
				at = newest - min(rapid.SampledFrom([]time.Duration{time.Millisecond, span / 30, span / 2, span}).Draw(t, "by"), LateLimit)
			}
			at = at.Truncate(time.Millisecond) // as precise as events are
			p := past{at, rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "type"), rapid.SampledFrom([]string{"", "d1", "d2", "d3", "d4"}).Draw(t, "device"),
				float64(rapid.IntRange(0, 99).Draw(t, "amount"))}
			before := slices.Clone(all)
			all = append(all, p)
			if newest = max(newest, at); i == 0 {
				newest = at
			}
			v := m.Take(&Input{Sequence: uint64(i + 1), Event: &event.Event{Type: event.Type(p.name), Account: "x", Time: t0.Add(at), Arrival: t0.Add(newest),
				Data: event.Data{Device: p.device, HasAmount: true, Amount: int64(p.amount)}}})
			want := func(s Spec, low, high float64) {
				t.Helper()
				if got := v.Read(l.Slot(s)).Value; got < low || got > high {
					t.Fatalf("event %d: %s = %v, want %v to %v", i, s.Text(), got, low, high)
				}
			}
			bucket := time.Duration((span.Milliseconds()+29)/30) * time.Millisecond
			within := func(d time.Duration) (n, total, values float64) {
				set := map[string]bool{}
				for _, e := range all {
					if e.at <= newest-d {
						continue
					}
					if e.name == "a" {
						n++
					}
					if e.name == "b" {
						total += e.amount
					}
					if e.device != "" {
						set[e.device] = true
					}
				}
				return n, total, float64(len(set))
			}
			n, total, _ := within(span)
			nHigh, totalHigh, _ := within(span + bucket)
			want(count, n, nHigh)
			want(sum, total, totalHigh)
			_, _, values := within(span)
			_, _, valuesHigh := within(span + time.Second + time.Millisecond)
			want(distinct, values, valuesHigh)
			lastA, firstD, devices := time.Duration(-1<<62), time.Duration(1<<62), map[string]bool{}
			for _, e := range before {
				if e.name == "a" {
					lastA = max(lastA, e.at)
				}
				if e.device != "" {
					devices[e.device] = true
				}
				if e.device == p.device {
					firstD = min(firstD, e.at)
				}
			}
			want(known, float64(len(devices)), float64(len(devices)))
			switch {
			case p.device == "":
				want(knownFor, -1, -1)
			case !devices[p.device]:
				want(knownFor, 0, 0)
			default:
				exact := (newest - firstD).Seconds()
				want(knownFor, exact-1, exact+1)
			}
			if lastA == -1<<62 {
				want(since, -1, -1)
			} else {
				want(since, (newest-lastA).Seconds()-1e-9, (newest-lastA).Seconds()+1e-9)
			}
			if !late {
				fires := map[bool]float64{true: 1}[completes(all, []string{"a", "b|c", "a"}, span)]
				want(sequence, fires, fires)
			}
		}
	})
}

// completes: do the events hold the steps in order within span, the last event being the last step.
func completes(all []past, steps []string, span time.Duration) bool {
	last := all[len(all)-1]
	var from func(i, k int) bool // steps k.. among events i..
	from = func(i, k int) bool {
		if k == len(steps)-1 {
			return slices.Contains(strings.Split(steps[k], "|"), last.name)
		}
		for ; i < len(all)-1; i++ {
			if slices.Contains(strings.Split(steps[k], "|"), all[i].name) && last.at-all[i].at <= span {
				return from(i+1, k+1) // the earliest leaves most room, and the span is measured from the first step below
			}
		}
		return false
	}
	return from(0, 0)
}

func TestFieldsOfEvents(t *testing.T) {
	e := &event.Event{Account: "acct-1", Extra: map[string]any{"merchant": map[string]any{"id": "m-1"}, "n": 7.0, "list": []any{1.0}}}
	for name, want := range map[string]string{"extra.merchant.id": "m-1", "extra.n": "7", "extra.list": "", "extra.none": "", "extra.n.x": "", "account": "acct-1", "city": "Rome"} {
		if got := fieldOf(name)(&source{event: e, place: geo.Place{City: "Rome"}}); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	for _, c := range [][2]string{{"192.0.2.1", "192.0.2.255"}, {"2001:db8:1:2::3", "2001:db8:1:ffff::"}, {"::ffff:192.0.2.1", "192.0.2.7"}} {
		if a, b := network(canonicalIP(c[0])), network(canonicalIP(c[1])); a != b || a == "" {
			t.Errorf("%s and %s are two networks", c[0], c[1])
		}
	}
	if network(canonicalIP("192.0.2.1")) == network(canonicalIP("192.0.3.1")) || network(canonicalIP("no address")) != "" || canonicalIP("fe80::1%eth0") != canonicalIP("fe80::1") {
		t.Error("networks are told apart wrongly")
	}
}

func TestEvictionIsTheLeastRecentlyChanged(t *testing.T) {
	s := Spec{Func: Count, Key: Account, Span: time.Hour}
	f := newFeed(t, 2, s)
	at := func(account string) *View { return f.takeAt(0, 0, account, "x", event.Data{}, geo.Place{}) }
	at("a")
	at("b")
	at("a")
	at("c") // b leaves
	if f.Evicted() != 1 || f.Len(Account) != 2 {
		t.Errorf("%d evicted, %d left; want 1, 2", f.Evicted(), f.Len(Account))
	}
	f.want(at("a"), s, 3)
	f.want(at("b"), s, 1)
	f.want(at("a"), s, 4)
	f.want(at("c"), s, 1)
}

func TestSameInputsSameBytes(t *testing.T) {
	run := func() string {
		f := newFeed(t, 3, everyKind()...)
		var b []byte
		for i := range 500 {
			at := time.Duration(i) * time.Second
			f.takeAt(at, at, fmt.Sprint("acct-", i%7), []string{"login.failed", "login.succeeded", "transaction.completed"}[i%3],
				event.Data{IP: fmt.Sprint("192.0.2.", i%11), Device: fmt.Sprint(i % 5), Counterparty: fmt.Sprint(i % 6), Instrument: "i", Amount: int64(i), HasAmount: true}, geo.Place{})
			if i%50 == 0 {
				b = f.Dirty(b)
			}
		}
		return string(b)
	}
	if a, b := run(), run(); a != b || len(a) == 0 {
		t.Error("the same inputs gave different records")
	}
}

// A record that reflects an input already does not take it in again.
func TestReplayedInputChangesNothing(t *testing.T) {
	s := Spec{Func: Count, Key: Account, Span: time.Hour}
	f := newFeed(t, 0, s)
	f.take(0, "x", event.Data{})
	f.take(0, "x", event.Data{})
	f.seq = 0
	f.want(f.take(0, "x", event.Data{}), s, 2)
	f.want(f.take(0, "x", event.Data{}), s, 2)
	f.want(f.take(0, "x", event.Data{}), s, 3)
}
