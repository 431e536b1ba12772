package main

import (
	"sync"

	"doorward/detect"
)

// answers hands decisions from shards to the API calls that wait for them.
type answers struct {
	mu      sync.Mutex
	waiting map[detect.EventRef][]chan detect.Decision
}

func newAnswers() *answers { return &answers{waiting: map[detect.EventRef][]chan detect.Decision{}} }

// wait is told of the decision on an event; done must be called when nobody listens any more.
func (a *answers) wait(e detect.EventRef) (decided <-chan detect.Decision, done func()) {
	c := make(chan detect.Decision, 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting[e] = append(a.waiting[e], c)
	return c, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		rest := a.waiting[e][:0]
		for _, w := range a.waiting[e] {
			if w != c {
				rest = append(rest, w)
			}
		}
		if a.waiting[e] = rest; len(rest) == 0 {
			delete(a.waiting, e)
		}
	}
}

// give is called for every decision; almost always nobody waits.
func (a *answers) give(d detect.Decision) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) == 0 {
		return
	}
	for _, c := range a.waiting[d.Event] {
		select {
		case c <- d:
		default:
		}
	}
}
