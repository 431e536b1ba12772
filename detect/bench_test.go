package detect_test

import (
	"testing"

	"doorward/detect"
	"doorward/detect/simulate"
	"doorward/rules/event"
)

// simulatedEvents are decoded events of simulated people, in time order.
func simulatedEvents(b *testing.B, accounts, days int) (events []*event.Event, lines [][]byte) {
	b.Helper()
	s, err := simulate.New(simulate.Config{Accounts: accounts, Days: days, Attacks: accounts / 50, Seed: 7})
	if err != nil {
		b.Fatal(err)
	}
	for g := range s.Events() {
		e, bad := event.DecodeLine(g.Event)
		if bad != nil {
			b.Fatal(bad)
		}
		events, lines = append(events, e), append(lines, g.Event)
	}
	return events, lines
}

// BenchmarkReplay is the evaluation alone: windows, rules, states; no decoding, no store.
func BenchmarkReplay(b *testing.B) {
	events, _ := simulatedEvents(b, 2000, 3)
	set := builtinSet(b)
	b.ReportAllocs()
	for i := 0; i < b.N; {
		b.StopTimer()
		r := detect.NewReplay(detect.ReplayConfig{Rules: set})
		b.StartTimer()
		for _, e := range events {
			if i++; i > b.N {
				return
			}
			if _, err := r.Take(e); err != nil {
				b.Fatal(err)
			}
		}
	}
}
