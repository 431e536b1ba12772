package window

import (
	"testing"
	"time"

	"doorward/auth"
	"doorward/rules/event"
	"doorward/rules/geo"
)

var t0 = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// feed puts events into one memory, counting the sequence.
type feed struct {
	*Memory
	t   testing.TB
	seq uint64
}

func newFeed(t testing.TB, budget int, specs ...Spec) *feed {
	t.Helper()
	l, err := NewLayout(specs)
	if err != nil {
		t.Fatal(err)
	}
	return &feed{Memory: NewMemory(l, [16]byte{1}, 0, budget, nil), t: t}
}

// take gives the event at offset at from t0, its arrival the same.
func (f *feed) take(at time.Duration, eventType string, d event.Data) *View {
	return f.takeAt(at, at, "acct-1", eventType, d, geo.Place{})
}

func (f *feed) takeAt(at, arrival time.Duration, account, eventType string, d event.Data, p geo.Place) *View {
	f.seq++
	return f.Take(&Input{Sequence: f.seq, Place: p, Event: &event.Event{Type: event.Type(eventType), Account: auth.AccountID(account),
		Time: t0.Add(at), Arrival: t0.Add(arrival), Data: d}})
}

func (f *feed) want(v *View, s Spec, want float64) {
	f.t.Helper()
	if got := v.Read(f.Layout().Slot(s)).Value; got != want {
		f.t.Errorf("%s = %v, want %v", s.Text(), got, want)
	}
}
