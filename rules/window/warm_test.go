package window

import (
	"fmt"
	"testing"
	"time"

	"doorward/rules/event"
	"doorward/rules/geo"
)

// Reading ahead changes nothing: not the readings, not what is written.
func TestWarmChangesNothing(t *testing.T) {
	plain, warmed := newFeed(t, 40, everyKind()...), newFeed(t, 40, everyKind()...)
	for round := range 20 {
		var inputs []*Input
		var events []*event.Event
		for i := range 30 {
			n := round*30 + i
			d := event.Data{IP: fmt.Sprint("192.0.2.", n%50), Device: fmt.Sprint(n % 9), Counterparty: fmt.Sprint(n % 70), Amount: 5, HasAmount: true}
			at := t0.Add(time.Duration(n) * time.Second)
			e := &event.Event{Account: "acct-1", Type: event.Type([]string{"login.failed", "login.succeeded", "transaction.completed"}[n%3]), Time: at, Arrival: at, Data: d}
			inputs, events = append(inputs, &Input{Event: e, Sequence: uint64(n + 1)}), append(events, e)
		}
		warmed.Warm(events)
		for _, in := range inputs {
			a, b := plain.Take(in), warmed.Take(in)
			for slot := range plain.Layout().Len() {
				if a, b := a.Read(slot), b.Read(slot); a != b {
					t.Fatalf("%s: %v after reading ahead, %v without", plain.Layout().Spec(slot).Text(), b, a)
				}
			}
		}
		if string(plain.Dirty(nil)) != string(warmed.Dirty(nil)) {
			t.Fatal("reading ahead has changed what is written")
		}
	}
}

// A shard that may have a key says so, for good, and others that have the same place in the presence cost a search only.
func TestPresence(t *testing.T) {
	fs := shards(t, 10, 4, []Spec{{Func: Count, Key: IP, Span: time.Hour}})
	asOf := make([]int64, len(fs))
	for i := range fs {
		asOf[i] = Nothing
	}
	for i, f := range fs[1:] {
		for n := range 1 + i { // the budget of four lets most of them leave again
			f.takeAt(0, 0, "a", "x", event.Data{IP: fmt.Sprint("192.0.2.", n)}, geo.Place{})
		}
		f.Advance(t0.Add(2 * time.Second))
		asOf[i+1] = f.Closed()
	}
	fs[0].Read(asOf)
	for n := range 9 {
		v := fs[0].takeAt(2*time.Second, 2*time.Second, "b", "x", event.Data{IP: fmt.Sprint("192.0.2.", n)}, geo.Place{})
		want := 1.0
		for i := range fs[1:] {
			if has := 1 + i; n < has && n >= has-4 { // what left was gone before the slice that is read
				want++
			}
		}
		if got := v.Read(0).Value; got < want || got > 1+float64(9-n) {
			t.Errorf("address %d: %v, want %v at least", n, got, want)
		}
	}
}
