package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"doorward/auth"
	"doorward/detect"
)

// verdicts reads the topic of states while a producer is at work. An event's time is the millisecond in which it was due to be made, and
// a state's `since` is the time of the event that caused it, so that the difference to now is the way from the producer to the reader.
type verdicts struct {
	from time.Time // states of events before this are of the backlog

	mu     sync.Mutex
	delays []float64 // milliseconds
	seen   map[string]time.Time
	first  time.Time // when the first was read
	wake   chan struct{}
}

// readVerdicts starts reading behind what is there now, until ctx ends; wait says how it ended.
func (b *bench) readVerdicts(ctx context.Context, from time.Time) (*verdicts, *crew, error) {
	v := &verdicts{from: from, seen: map[string]time.Time{}, wake: make(chan struct{}, 1)}
	topic := b.prefix + detect.TopicState
	ends, err := b.client.LastOffsets(ctx, topic)
	if err != nil {
		return nil, nil, err
	}
	work := newCrew(ctx)
	for p, at := range ends {
		work.run("read the states", func(ctx context.Context) error { return b.client.Tail(ctx, topic, p, at, v.take) })
	}
	return v, work, nil
}

func (v *verdicts) take(records []detect.Record) error {
	now := time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, r := range records {
		var rec auth.Record
		if err := json.Unmarshal(r.Value, &rec); err != nil {
			return err
		}
		if rec.Since == nil || rec.Since.Before(v.from) || rec.State == auth.Open || v.seen[string(r.Key)].Equal(*rec.Since) {
			continue // an older state whose reason changed, or one that ended by itself
		}
		v.seen[string(r.Key)] = *rec.Since
		v.delays = append(v.delays, float64(now.Sub(*rec.Since).Microseconds())/1000)
		if v.first.IsZero() {
			v.first = now
		}
	}
	select {
	case v.wake <- struct{}{}:
	default:
	}
	return nil
}

// cut takes what has been measured since the last call, sorted.
func (v *verdicts) cut() []float64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := v.delays
	v.delays = nil
	for id, since := range v.seen { // what a state was a minute ago is not told again
		if time.Since(since) > time.Minute {
			delete(v.seen, id)
		}
	}
	slices.Sort(all)
	return all
}

// quantile is of sorted values; 0 of none.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// settle is how long the last states of a live run may be under way.
const settle = 2 * time.Second

// latency lets the producer send at the rate and reads the states that come of it.
func (b *bench) latency(ctx context.Context) error {
	b.t.say("now %d events/s for %v", b.rate, b.length)
	reading, stop := context.WithCancel(ctx)
	defer stop()
	v, work, err := b.readVerdicts(reading, time.Now())
	if err != nil {
		return err
	}
	before, err := b.engine.ask(engineOrder{Size: true})
	if err != nil {
		return err
	}
	var fed feedLine
	if err := b.engine.idle(func() error { return b.feed.ask(feedOrder{Rate: b.rate, For: b.length}, &fed) }); err != nil {
		return err
	}
	after, err := b.engine.ask(engineOrder{Size: true})
	if err != nil {
		return err
	}
	time.Sleep(settle)
	stop()
	if err := work.wait(); err != nil {
		return err
	}
	all := v.cut()
	if len(all) == 0 {
		return errors.New("no account changed its state: --for is too short for --rate")
	}
	b.m.live(before, after, fed, all)
	b.t.say("%s", b.m.latencyText())
	return nil
}

// restart kills the engine while the producer goes on, and starts it again.
func (b *bench) restart(ctx context.Context) error {
	b.t.say("now kill -9 and restart, while the producer goes on")
	reading, stop := context.WithCancel(ctx)
	defer stop()
	if err := b.feed.write(feedOrder{Rate: b.rate}); err != nil {
		return err
	}
	if err := b.engine.idle(func() error { time.Sleep(settle); return nil }); err != nil {
		return err
	}
	b.engine.kill()
	b.engine = nil
	killed := time.Now()
	v, work, err := b.readVerdicts(reading, killed)
	if err != nil {
		return err
	}
	began := time.Now()
	if b.engine, err = b.startEngine(ctx, "--every", "10ms"); err != nil {
		return err
	}
	if _, err := b.engine.until(func(l engineLine) bool { return l.Loaded == l.Shards && l.Shards > 0 }); err != nil {
		return err
	}
	b.m.RestartFull = figure(float64(time.Since(began).Microseconds()) / 1000)
	if err := b.engine.idle(func() error { return v.wait(reading, 30*time.Second) }); err != nil {
		return err
	}
	v.mu.Lock()
	b.m.RestartFirst = figure(float64(v.first.Sub(began).Microseconds()) / 1000)
	v.mu.Unlock()
	var fed feedLine
	if err := b.engine.idle(func() error { return b.feed.ask(feedOrder{Stop: true}, &fed) }); err != nil {
		return err
	}
	stop()
	return work.wait()
}

// wait returns once there is a first verdict.
func (v *verdicts) wait(ctx context.Context, most time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for {
		v.mu.Lock()
		there := !v.first.IsZero()
		v.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("no verdict came after the restart")
		case <-v.wake:
		}
	}
}
