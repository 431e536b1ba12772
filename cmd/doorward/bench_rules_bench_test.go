package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"doorward/auth"
	"doorward/detect"
	"doorward/detect/simulate"
	"doorward/rules"
	"doorward/rules/event"
	"doorward/rules/geo"
	"doorward/rules/window"
)

// BenchmarkRules is what evaluation costs an event of the load, by number of rules: the CPU time of windows and rules together, and that of
// the windows alone ("none"), from which the difference is the rules'. An op is 10,000 events; run it with -benchtime 30x or so.
func BenchmarkRules(b *testing.B) {
	for _, n := range []int{0, 40, 400, 4000, 10_000} {
		name := fmt.Sprint(n)
		if n == 0 {
			name = "none"
		}
		b.Run(name, func(b *testing.B) { benchmarkRules(b, n) })
	}
}

func benchmarkRules(b *testing.B, n int) {
	set, err := benchRules(max(n, 40))
	if err != nil {
		b.Fatal(err)
	}
	const accounts, chunk = 100_000, 10_000
	load := simulate.NewLoad(simulate.LoadConfig{Accounts: accounts, Seed: 1})
	memory := window.NewMemory(set.Layout(), [16]byte{}, 0, 0, nil)
	start, sequence := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), uint64(0)
	events, places := make([]*event.Event, chunk), make([]geo.Place, chunk)
	var account auth.Account
	found := 0
	play := func() time.Duration {
		for i := range events {
			_, line := load.Next(start.Add(time.Duration(sequence+uint64(i)) * 4 * time.Microsecond))
			e, wrong := event.DecodeLine(append([]byte(nil), line...))
			if wrong != nil {
				b.Fatal(wrong)
			}
			events[i], places[i] = e, detect.PlaceOf(e, nil)
		}
		memory.Dirty(nil)
		runtime.GC() // of what was made here; what evaluation leaves is in findings/M
		b.StartTimer()
		from := cpuTime()
		var facts rules.Facts
		for i, e := range events {
			sequence++
			account.ID = e.Account
			v := memory.Take(&window.Input{Event: e, Place: places[i], Sequence: sequence})
			if n == 0 {
				continue
			}
			facts = rules.Facts{Event: e, Place: places[i], Account: &account, View: v, Timing: v.Timing()}
			findings, faults := set.Evaluate(&facts)
			if len(faults) > 0 {
				b.Fatal(faults)
			}
			found += len(findings)
		}
		spent := cpuTime() - from
		b.StopTimer()
		return spent
	}
	b.StopTimer()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for range 30 {
		play()
	}
	found = 0
	var spent time.Duration
	ops := 0
	for range b.N {
		spent += play()
		ops++
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(ops*chunk), "cpu-ns/event")
	b.ReportMetric(float64(found)/float64(ops*chunk)*1e6, "findings/M")
}
