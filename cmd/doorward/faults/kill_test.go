//go:build accept

package faults

import (
	"testing"
	"time"
)

// killRow: kill -9 at random moments under a thousand events a second with acts among them, each event once, and all of them twice.
func killRow(t *testing.T, seed uint64) {
	eachBroker(t, func(t *testing.T, b *broker) {
		for name, copies := range map[string]int{"once": 1, "twice": 2} {
			t.Run(name, func(t *testing.T) { killed(t, b, seed, copies) })
		}
	})
}

func killed(t *testing.T, b *broker, seed uint64, copies int) {
	w := newWorld(t, b, seed)
	w.init()
	w.start()
	w.startLoad(load{rate: 1000, accounts: 400, copies: copies})
	for range *kills {
		pause := time.Duration(w.chance.IntN(800)) * time.Millisecond
		w.pause(pause)
		w.kill()
		w.begin()
		if w.chance.IntN(2) == 0 {
			w.ready(time.Minute)
		}
		if w.Failed() {
			return
		}
	}
	w.finish()
}
