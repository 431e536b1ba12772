//go:build accept

package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// group is a control group (version 1 or 2) that a process is started in.
type group struct{ dir string }

// newGroup makes one under a controller (blkio and memory in version 1, io and memory in version 2).
func newGroup(t *testing.T, v1, v2 string) (g group, version int) {
	t.Helper()
	root, version := filepath.Join("/sys/fs/cgroup", v1), 1
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		root, version = "/sys/fs/cgroup", 2
		if err := os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+"+v2), 0); err != nil {
			t.Fatalf("this row limits a process by a control group: %v", err)
		}
	}
	g = group{filepath.Join(root, own("doorward-faults"))}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		t.Fatalf("this row limits a process by a control group: %v", err)
	}
	t.Cleanup(func() {
		eventually(t, 10*time.Second, "the control group is empty", func() bool { return os.Remove(g.dir) == nil })
	})
	return g, version
}

func (g group) set(t *testing.T, name, value string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, name), []byte(value), 0); err != nil {
		t.Fatalf("set %s of the control group: %v", name, err)
	}
}

// inside is what to put in front of a command line to start it in the group.
func (g group) inside() []string {
	return []string{"sh", "-c", "echo $$ >" + filepath.Join(g.dir, "cgroup.procs") + ` && exec "$@"`, "sh"}
}

// slowRow: the disk takes a few writes a second, so that a synced commit takes a second and more. What is decided is decided, only later:
// the group keeps the member, the API answers in time by its fail mode, nothing is lost.
func slowRow(t *testing.T, seed uint64) {
	d := newDisk(t, smallDisk)
	g, version := newGroup(t, "blkio", "io")
	w := newWorld(t, startBroker(t), seed)
	w.store = filepath.Join(d.mount, "store")
	w.wrap = g.inside()
	w.init()
	w.start()
	w.startLoad(load{rate: 300, accounts: 100, copies: 1})
	w.locks(2)
	setSlow := func(writes string) {
		if version == 1 {
			g.set(t, "blkio.throttle.write_iops_device", d.device()+" "+writes)
			return
		}
		if writes == "0" {
			writes = "max"
		}
		g.set(t, "io.max", d.device()+" wiops="+writes)
	}
	setSlow("12")
	before := w.commits()
	began := time.Now()
	w.pause(5 * time.Second)
	during := float64(w.commits()-before) / time.Since(began).Seconds()
	w.decideInTime()
	w.answersRight()
	setSlow("0")
	w.ready(time.Minute)
	if e := w.running(); e.logged("rebalance") && e.logged("left the group") {
		t.Errorf("the member lost its partitions\n%s", e.log())
	}
	t.Logf("%.1f commits/s on the slow disk", during)
	if during > 20 {
		t.Errorf("%.1f commits/s: the disk was not slow", during)
	}
	w.finish()
}

// device is the loop device's number.
func (d *disk) device() string {
	var s unix.Stat_t
	if err := unix.Stat(d.loop, &s); err != nil {
		d.Fatal(err)
	}
	return fmt.Sprintf("%d:%d", unix.Major(s.Rdev), unix.Minor(s.Rdev))
}

func (w *world) commits() int64 {
	w.Helper()
	n, err := w.metric("doorward_commits_total")
	if err != nil {
		w.Fatal(err)
	}
	return int64(n)
}

// decideInTime: a decision that can't be made in time is answered in time all the same, and money is held.
func (w *world) decideInTime() {
	w.Helper()
	late := 0
	for range 5 {
		account := w.account(1)
		name, e := w.event(account, "transaction.requested", time.Now(), "")
		w.history.Send(name)
		var a struct {
			Late     bool
			State    string
			Refuse   []string
			Findings []string
		}
		began := time.Now()
		status, raw := w.call(w.Context(), "POST", "/v1/decide", string(e), &a)
		if took := time.Since(began); took > 5*time.Second {
			w.Errorf("a decision was answered after %v", took)
		} else {
			w.Logf("a decision was answered after %v: late %v", took, a.Late)
		}
		if status != 200 && status != 503 {
			w.Errorf("a decision was answered %d %s", status, raw)
		}
		if status == 200 {
			w.history.Decided(Answer{Event: name, Late: a.Late, State: a.State, Findings: a.Findings, Raw: raw})
		}
		if a.Late || status == 503 {
			late++
			if !strings.Contains(raw, "money_out") {
				w.Errorf("an answer without a decision lets money go: %s", raw)
			}
		}
	}
	w.Logf("%d of 5 decisions were late", late)
}
