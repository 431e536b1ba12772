//go:build accept

package faults

import (
	"fmt"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// powerRow: the power goes again and again. Every other time the disk is what a copy of its image holds at one moment, and else it is the
// file system after it was shut down in the middle of what the engine does. What had been published by then is there at once, nobody
// repairs anything, and in the end the model holds.
func powerRow(t *testing.T, seed uint64) {
	eachBroker(t, func(t *testing.T, b *broker) {
		d := newDisk(t, smallDisk)
		w := newWorld(t, b, seed)
		w.store = filepath.Join(d.mount, "store")
		w.init()
		w.start()
		w.startLoad(load{rate: 1000, accounts: 400, copies: 1})
		for n := range *cuts {
			w.pause(time.Duration(300+w.chance.IntN(700)) * time.Millisecond)
			published := w.history.Newest()
			if n%2 == 0 {
				w.cutByCopy(d, n)
			} else {
				d.shutDown()
				w.kill()
				d.detach()
				d.attach()
			}
			w.begin()
			w.check(published)
			if w.Failed() {
				return
			}
		}
		w.finish()
	})
}

func (w *world) cutByCopy(d *disk, n int) {
	w.Helper()
	if err := w.running().cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		w.Fatal(err)
	}
	image := filepath.Join(filepath.Dir(d.mount), fmt.Sprintf("image-%d", n+1))
	d.snapshot(image)
	w.kill()
	d.become(image)
}

// check asks about accounts that were published before; the model compares. At most a hundred, chosen by the seed.
func (w *world) check(published map[string]Newest) {
	w.Helper()
	accounts := make([]string, 0, len(published))
	for a := range published {
		accounts = append(accounts, a)
	}
	slices.Sort(accounts)
	w.chance.Shuffle(len(accounts), func(i, j int) { accounts[i], accounts[j] = accounts[j], accounts[i] })
	for _, a := range accounts[:min(len(accounts), 100)] {
		if _, status := w.lookAt(w.Context(), a); status != 200 {
			w.Errorf("%s after the cut: status %d\n%s", a, status, w.running().log())
		}
	}
}
