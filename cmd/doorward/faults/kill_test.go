//go:build accept

package faults

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// killRow: kill -9 at random moments under a thousand events a second with acts among them, each event once, and all of them twice. One of
// the restarts finds other rules. Against the broker of a first run the store is compared with its own log too, in everything.
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
	change := w.chance.IntN(*kills)
	for i := range *kills {
		pause := time.Duration(w.chance.IntN(800)) * time.Millisecond
		w.pause(pause)
		w.kill()
		if i == change {
			w.otherRules()
		}
		w.begin()
		if w.chance.IntN(2) == 0 {
			w.ready(time.Minute)
		}
		if w.Failed() {
			return
		}
	}
	w.finish()
	if b.dir != "" {
		w.replayStore()
	}
}

// anotherRule counts what no rule counted before.
const anotherRule = `
- id: faults.later
  title: Sessions, from some time on
  level: low
  status: stable
  on: [session.ended]
  when: count("session.ended", "20d") >= 1
  again: always
  score: 1
  response: notify
  reason: {code: later, en: "Later."}
`

// otherRules puts a directory in place of the rules' that lacks shipped ones and has a new one. Those that the model knows stay.
func (w *world) otherRules() {
	w.Helper()
	from, to := filepath.Join(w.dir, "rules"), filepath.Join(w.dir, "rules-later")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		w.Fatal(err)
	}
	if err := os.Remove(filepath.Join(to, "login.yaml")); err != nil {
		w.Fatal(err)
	}
	w.write(filepath.Join("rules-later", "later.yaml"), anotherRule)
	w.ruleDir = "rules-later"
	w.configure()
}

// replayStore holds every finding and every account of the store to its own log.
func (w *world) replayStore() {
	w.Helper()
	out, talk, code := w.run("replay", "--store", w.store, "-o", "json")
	found := strings.Count(out, "\n")
	if code != 0 || found == 0 {
		w.Errorf("replay --store: exit code %d, %d findings\n%s", code, found, talk)
	}
	if !strings.Contains(out, "faults.later") {
		w.Error("the rule that came later found nothing: the change of rules says nothing")
	}
	w.Logf("replay --store: %s", talk)
}
