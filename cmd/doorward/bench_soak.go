package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// soaked is what hours under load change and what they do not: the mean of the first and of the last third, and the slope of the line
// that fits best, per hour.
type soaked struct {
	Seconds float64          `json:"seconds"`
	Events  int64            `json:"events"`
	Samples []soakSample     `json:"samples"`
	Trends  map[string]trend `json:"trends"`
}

type trend struct {
	First float64 `json:"first_third"`
	Last  float64 `json:"last_third"`
	Hour  float64 `json:"per_hour"`
}

// soakSample is a look at the running engine.
type soakSample struct {
	Second     float64 `json:"second"`
	Events     int64   `json:"events"`
	ResidentMB float64 `json:"resident_mb"`
	Goroutines int     `json:"goroutines"`
	Files      int     `json:"files"`
	DiskMB     float64 `json:"disk_mb"` // without journal, findings, cases, logs, history, ballast
	ApartMB    float64 `json:"disk_apart_mb"`
	LiveMB     float64 `json:"live_state_mb"`
	DiskRatio  float64 `json:"disk_ratio"`
	P50        float64 `json:"p50_ms"`
	P99        float64 `json:"p99_ms"`
	BrokerMB   float64 `json:"broker_resident_mb"`
}

// soakEvery is the time between two looks.
const soakEvery = 10 * time.Second

// apartEvery is every how many looks what is told apart is read: it is the whole journal and all findings, and reading them is load.
const apartEvery = 18

// watch runs at the rate and looks.
func (b *bench) watch(ctx context.Context) error {
	b.t.say("now %d events/s for %v, with a look every %v", b.rate, b.soak, min(soakEvery, b.soak/6))
	reading, stop := context.WithCancel(ctx)
	defer stop()
	v, work, err := b.readVerdicts(reading, time.Now())
	if err != nil {
		return err
	}
	if err := b.feed.write(feedOrder{Rate: b.rate}); err != nil {
		return err
	}
	s := &soaked{}
	began := time.Now()
	var first, last engineLine
	apart := int64(0)
	for n := 0; time.Since(began) < b.soak; n++ {
		pause := time.NewTimer(min(soakEvery, b.soak/6))
		if err := b.engine.idle(func() error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-pause.C:
				return nil
			}
		}); err != nil {
			return err
		}
		if last, err = b.engine.ask(engineOrder{Size: true, Apart: n%apartEvery == 0}); err != nil {
			return err
		}
		if first.Events == 0 {
			first = last
		}
		if last.Size.Apart > 0 {
			apart = last.Size.Apart
		}
		var l brokerLine
		if err := b.askBroker(&l); err != nil {
			return err
		}
		s.look(time.Since(began), last, l, apart, v.cut())
		b.t.say("%s", s.Samples[len(s.Samples)-1])
	}
	var fed feedLine
	if err := b.engine.idle(func() error { return b.feed.ask(feedOrder{Stop: true}, &fed) }); err != nil {
		return err
	}
	stop()
	s.Seconds, s.Events = time.Since(began).Seconds(), fed.Sent-b.events
	s.trends()
	b.m.Soak = s
	if n := float64(last.Events - first.Events); n > 0 {
		b.m.LiveCPU = figure(float64(last.CPU-first.CPU) / n)
	}
	b.m.sized(last)
	return work.wait()
}

func (s *soaked) look(at time.Duration, l engineLine, broker brokerLine, apart int64, delays []float64) {
	z := l.Size
	z.Apart = apart
	own := max(z.Disk-apart, 0)
	s.Samples = append(s.Samples, soakSample{Second: at.Seconds(), Events: l.Events, ResidentMB: float64(l.Resident) / 1e6, Goroutines: z.Goroutines, Files: z.Files,
		DiskMB: float64(own) / 1e6, ApartMB: float64(apart) / 1e6, LiveMB: float64(z.live()) / 1e6, DiskRatio: float64(own) / float64(max(z.live(), 1)),
		P50: quantile(delays, .5), P99: quantile(delays, .99), BrokerMB: float64(broker.Resident) / 1e6})
}

func (s soakSample) String() string {
	return fmt.Sprintf("%5.0f s: %.0f MB resident, %d goroutines, %d files, disk %.0f MB (ratio %.2f, apart %.0f MB), p50 %.1f ms, p99 %.1f ms",
		s.Second, s.ResidentMB, s.Goroutines, s.Files, s.DiskMB, s.DiskRatio, s.ApartMB, s.P50, s.P99)
}

// soakTrends are the figures that must not grow.
var soakTrends = []struct {
	name string
	of   func(soakSample) float64
}{
	{"resident_mb", func(s soakSample) float64 { return s.ResidentMB }},
	{"goroutines", func(s soakSample) float64 { return float64(s.Goroutines) }},
	{"files", func(s soakSample) float64 { return float64(s.Files) }},
	{"disk_mb", func(s soakSample) float64 { return s.DiskMB }},
	{"live_state_mb", func(s soakSample) float64 { return s.LiveMB }},
	{"disk_ratio", func(s soakSample) float64 { return s.DiskRatio }},
	{"p50_ms", func(s soakSample) float64 { return s.P50 }},
	{"p99_ms", func(s soakSample) float64 { return s.P99 }},
}

func (s *soaked) trends() {
	s.Trends = map[string]trend{}
	third := len(s.Samples) / 3
	if third == 0 {
		return
	}
	for _, t := range soakTrends {
		s.Trends[t.name] = trend{mean(s.Samples[:third], t.of), mean(s.Samples[len(s.Samples)-third:], t.of), slope(s.Samples, t.of) * 3600}
	}
}

func mean(samples []soakSample, of func(soakSample) float64) (m float64) {
	for _, s := range samples {
		m += of(s) / float64(len(samples))
	}
	return m
}

// slope is of the line of least squares, per second.
func slope(samples []soakSample, of func(soakSample) float64) float64 {
	at := func(s soakSample) float64 { return s.Second }
	x, y := mean(samples, at), mean(samples, of)
	var xy, xx float64
	for _, s := range samples {
		xy += (s.Second - x) * (of(s) - y)
		xx += (s.Second - x) * (s.Second - x)
	}
	if xx == 0 {
		return 0
	}
	return xy / xx
}

func (s *soaked) print(w io.Writer) {
	rows := [][]string{{"soak", fmt.Sprintf("%.0f s, %d events", s.Seconds, s.Events), "first third", "last third", "an hour"}}
	for _, t := range soakTrends {
		if v, ok := s.Trends[t.name]; ok {
			rows = append(rows, []string{"  " + t.name, "", fmt.Sprintf("%.1f", v.First), fmt.Sprintf("%.1f", v.Last), fmt.Sprintf("%+.1f", v.Hour)})
		}
	}
	table(w, rows...)
}
