//go:build accept

package faults

import (
	"io"
	"strings"
	"testing"
	"time"
)

// brokerRows are what brokers and networks do.
var brokerRows = []row{
	{"F-8", "broker", brokerRow},
	{"F-9", "moved", movedRow},
	{"F-10", "storm", stormRow},
	{"F-11", "zombie", zombieRow},
}

// metrics is the text of /metrics.
func (w *world) metrics() (string, error) {
	resp, err := quick.Get(w.running().at["metrics"] + "/metrics")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// brokerRow: the broker is down, half-open, slow, and (the one in this process) restarted. Readiness and metrics say so while it lasts and no
// longer, it goes on by itself, and what has come meanwhile is caught up with.
func brokerRow(t *testing.T, seed uint64) {
	t.Parallel()
	eachWeathered(t, seed, 1, func(w *weathered) {
		w.start()
		w.startLoad(load{rate: 300, accounts: 200})
		w.takenIn(200)
		w.away("down", weather{down: true}, *outageFlag)
		w.away("half-open", weather{stall: true}, 0)
		w.turn(weather{delay: 20 * time.Millisecond, rate: 300 << 10})
		w.takenIn(500)
		if ready, why := w.readiness(); !ready {
			w.Errorf("slow is not away: %s", why)
		}
		w.turn(weather{})
		if w.fake != nil {
			w.fake.Close()
			w.fake.start()
			w.takenIn(300)
		}
		w.finish()
	})
}

const takenIn = `doorward_events_total{kind="taken"}`

// takenIn waits until so many more events have been taken in.
func (w *world) takenIn(more float64) {
	w.Helper()
	from := w.sum(takenIn)
	w.await(time.Minute, "more events are taken in", func() bool { return w.sum(takenIn) >= from+more })
}

// away lets the broker be away for at least so long.
func (w *weathered) away(what string, how weather, least time.Duration) {
	w.Helper()
	w.turn(how)
	began := time.Now()
	w.await(25*time.Second, what+": readiness and metrics say that nothing can be read", func() bool {
		return w.says("nothing can be read from the broker") && w.sum("doorward_shard_fed") == 0
	})
	noticed := time.Since(began)
	_, why := w.readiness()
	w.await(least+time.Minute, what+": the broker stays away", func() bool { return time.Since(began) >= least })
	before, at := w.sum(takenIn), time.Now()
	w.turn(weather{})
	w.ready(time.Minute)
	w.await(time.Minute, what+": what has come meanwhile is taken in", func() bool { return w.behind() < 100 })
	w.Logf("%s: noticed after %v; %.0f events in the first %v afterwards; it said: %s", what, noticed.Round(time.Millisecond), w.sum(takenIn)-before,
		time.Since(at).Round(time.Millisecond), strings.Split(why, ";")[0])
}

// behind is how many records wait in the topic.
func (w *world) behind() (n int64) {
	w.Helper()
	ends, err := w.client.LastOffsets(w.Context(), w.topic)
	if err != nil {
		w.Fatal(err)
	}
	for _, end := range ends {
		n += end
	}
	return n - int64(w.sum("doorward_events_total"))
}
