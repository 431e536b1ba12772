//go:build accept

package main

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// withoutNetwork is the command that runs another where there is no network at all.
func withoutNetwork(t *testing.T) []string {
	t.Helper()
	unshare := need(t, "unshare")
	for _, how := range [][]string{{unshare, "--net"}, {unshare, "--user", "--map-root-user", "--net"}} {
		if exec.Command(how[0], append(how[1:], "true")...).Run() == nil {
			return how
		}
	}
	t.Fatal("this machine lets nobody make a namespace without a network: run as root")
	return nil
}

// A replay gives the same bytes whatever it is read from and however it is cut, and needs no network: it runs where there is none.
func TestAcceptReplay(t *testing.T) {
	offline := withoutNetwork(t)
	w := &world{T: t, dir: t.TempDir()}
	events, talk, code := finish(t, exec.Command(built(t), "simulate", "--accounts", "400", "--days", "4", "--attacks", "45", "--seed", "11"))
	if code != 0 {
		t.Fatal(talk)
	}
	lines := strings.SplitAfter(events, "\n")
	var twice strings.Builder
	for _, l := range lines {
		twice.WriteString(l + l)
	}
	w.write("events.ndjson", events)
	w.write("twice.ndjson", twice.String())
	if out, err := exec.Command("gzip", "-k", w.path("events.ndjson")).CombinedOutput(); err != nil {
		t.Fatalf("gzip: %v %s", err, out)
	}
	replay := func(stdin string, args ...string) string {
		t.Helper()
		c := exec.Command(offline[0], slices.Concat(offline[1:], []string{built(t), "replay", "-o", "json"}, args)...)
		c.Dir = w.dir
		c.Stdin = strings.NewReader(stdin)
		out, talk, code := finish(t, c)
		if code != 0 {
			t.Fatalf("replay %v: exit code %d\n%s", args, code, talk)
		}
		return out
	}
	want := replay("", "--states", "states", "events.ndjson")
	if n := strings.Count(want, "\n"); n < 50 {
		t.Fatalf("only %d findings in %d events", n, len(lines))
	}
	states, err := os.ReadFile(w.path("states"))
	if err != nil || len(states) == 0 {
		t.Fatalf("states: %v", err)
	}
	for name, args := range map[string][]string{
		"1 by 1":           {"--batch", "1", "--workers", "1", "events.ndjson"},
		"7 by 3":           {"--batch", "7", "--workers", "3", "events.ndjson"},
		"5000 by 2":        {"--batch", "5000", "--workers", "2", "events.ndjson"},
		"every line twice": {"twice.ndjson"},
		"the file twice":   {"events.ndjson", "events.ndjson"},
		"compressed":       {"events.ndjson.gz"},
		"standard input":   {"-"},
	} {
		stdin := ""
		if args[0] == "-" {
			stdin = events
		}
		if got := replay(stdin, append([]string{"--states", "again"}, args...)...); got != want {
			t.Errorf("%s: %d findings, and not the same as the %d of the file", name, strings.Count(got, "\n"), strings.Count(want, "\n"))
		}
		if again, err := os.ReadFile(w.path("again")); err != nil || string(again) != string(states) {
			t.Errorf("%s: other states (%v)", name, err)
		}
	}
}
