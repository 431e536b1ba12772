//go:build accept

package faults

import (
	"testing"
	"time"
)

// failRow: from one moment on every write to the disk fails (a file system that went read-only, or is gone). Nobody is let in; the engine
// says what is wrong, or ends and says it; on a disk that works again it starts and has lost nothing.
func failRow(t *testing.T, seed uint64) {
	for name, broken := range map[string]func(*disk){"gone": (*disk).shutDown, "readonly": (*disk).abort} {
		t.Run(name, func(t *testing.T) {
			w, d := onDisk(t, startBroker(t), seed)
			broken(d)
			e := w.running()
			eventually(t, 30*time.Second, "serve says that it can't write", func() bool {
				if e.ended() {
					return true
				}
				ready, _ := w.readiness()
				return !ready
			})
			if !e.ended() {
				w.answersRight()
				e.kill()
			} else if e.cmd.ProcessState.ExitCode() == 0 || e.log() == "" {
				t.Errorf("serve ended with code %d and said %q", e.cmd.ProcessState.ExitCode(), e.log())
			}
			t.Logf("serve said: %s", lastLine(e.log()))
			d.detach()
			d.attach()
			w.start()
			w.answersRight()
			w.finish()
		})
	}
}

// abort makes the file system read-only as the kernel does after an error of the disk.
func (d *disk) abort() {
	d.Helper()
	d.tool("mount", "-o", "remount,abort", d.mount)
}
