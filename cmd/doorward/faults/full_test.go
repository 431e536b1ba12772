//go:build accept

package faults

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// onDisk is a world whose store lies on a disk of its own, under load.
func onDisk(t *testing.T, b *broker, seed uint64) (*world, *disk) {
	t.Helper()
	d := newDisk(t, smallDisk)
	w := newWorld(t, b, seed)
	w.store = filepath.Join(d.mount, "store")
	w.init()
	w.start()
	w.startLoad(load{rate: 500, accounts: 200, copies: 1})
	w.locks(3)
	return w, d
}

// locks waits until so many locks were published.
func (w *world) locks(n int) {
	w.Helper()
	w.await(time.Minute, "locks are published", func() bool { return len(w.lockedNow()) >= n })
}

// fullRow: a neighbour fills the disk to the last byte, faster than a disk writes. Nothing more is taken in, readiness
// says why, the engine lives and answers; when there is room again it goes on by itself.
func fullRow(t *testing.T, seed uint64) {
	w, d := onDisk(t, startBroker(t), seed)
	neighbour := filepath.Join(d.mount, "neighbour")
	d.fill(neighbour, 0)
	w.await(20*time.Second, "readiness says that the disk is full", func() bool {
		ready, why := w.readiness()
		return !ready && strings.Contains(why, "too little free disk")
	})
	w.pause(2 * time.Second)
	w.answersRight()
	if err := os.Remove(neighbour); err != nil {
		t.Fatal(err)
	}
	w.ready(time.Minute)
	w.finish()
}

// aStep is how long fill takes for 64 MiB: three gibibytes a second, more than a disk takes and less than what the kernel gives away on
// paper within one commit, which nobody who writes through mapped memory can see coming.
const aStep = 20 * time.Millisecond

// fill writes a file until only so many bytes are free.
func (d *disk) fill(name string, leave uint64) {
	d.Helper()
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		d.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		d.Fatal(err)
	}
	size := st.Size()
	for _, step := range []int64{64 << 20, 1 << 20, 4 << 10} {
		for {
			var s unix.Statfs_t
			if err := unix.Statfs(d.mount, &s); err != nil {
				d.Fatal(err)
			}
			if s.Bavail*uint64(s.Bsize) < leave+uint64(step) {
				break
			}
			if err := unix.Fallocate(int(f.Fd()), 0, size, step); errors.Is(err, syscall.ENOSPC) {
				break
			} else if err != nil {
				d.Fatal(err)
			}
			size += step
			if step == 64<<20 {
				<-time.After(aStep)
			}
		}
	}
}

// answersRight asks about accounts whose lock was published: locked it is, or unknown, or there is no answer.
func (w *world) answersRight() {
	w.Helper()
	locked := w.lockedNow()
	if len(locked) == 0 {
		w.Fatal("no account is locked: this says nothing")
	}
	for a, version := range locked {
		got, status := w.lookAt(w.Context(), a)
		if status == 200 && !got.Unknown && (got.Version < version || got.Version == version && got.State != "locked") {
			w.Errorf("the API says %+v of %s, which was published as locked in version %d", got, a, version)
		}
	}
}
