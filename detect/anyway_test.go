package detect_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"doorward/auth"
	"doorward/detect"
)

// TestAnyWay: whatever the batches, the interleaving, the restarts, the repeats, the checkpoints and the commits and publications that
// fail, the findings, the states and what is published are those of the events in a file, and those of a smooth run.
func TestAnyWay(t *testing.T) {
	for seed := range uint64(seeds()) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			n := 1 + int(seed%4)
			log, events := feedTwice(t, seed, n)
			if seed%3 == 2 { // the built-in rules: those within an account
				c := &chaos{t: t, set: builtinSet(t), log: log, n: n, random: rand.New(rand.NewPCG(seed, 3)), rough: true}
				c.store()
				sameAsReplay(t, c.run(), events)
				sameAsLog(t, c.engine, log, n)
				return
			}
			set := rulesOf(t, accountRules)
			smooth := &chaos{t: t, set: set, log: log, n: n, random: rand.New(rand.NewPCG(seed, 4))}
			rough := &chaos{t: t, set: set, log: log, n: n, random: rand.New(rand.NewPCG(seed, 5)), rough: true}
			for _, c := range []*chaos{smooth, rough} {
				c.store()
				sameAsReplay(t, c.run(), events)
				sameAsLog(t, c.engine, log, n)
			}
			got, want := accountsOf(t, rough.engine), accountsOf(t, smooth.engine)
			if len(got) != len(want) || len(want) == 0 {
				t.Errorf("%d accounts, want %d", len(got), len(want))
			}
			r := detect.NewReplay(detect.ReplayConfig{Rules: set, Shards: n})
			for _, e := range events {
				if _, err := r.Take(e); err != nil {
					t.Fatal(err)
				}
			}
			states := map[auth.State]int{}
			for id, a := range want {
				states[a.State]++
				filed := r.Account(id)
				for _, other := range []auth.Account{got[id], filed} {
					if !sameAccount(a, other) {
						t.Errorf("%s differs:\n%+v\n%+v", id, a, other)
					}
				}
			}
			if len(states) < 2 {
				t.Errorf("the states at the end are %v: they prove little", states)
			}
			if !reflect.DeepEqual(rough.known, smooth.known) {
				t.Errorf("%d ids were published, want %d", len(rough.known), len(smooth.known))
			}
			rough.inOrder(got)
		})
	}
}

// sameAccount compares records but for the sequences.
func sameAccount(a, b auth.Account) bool {
	a.Sequence, a.FloorSequence, b.Sequence, b.FloorSequence = 0, 0, 0, 0
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}
