//go:build accept

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"doorward/detect"
	"doorward/detect/kafka"
	"doorward/detect/simulate"
	"doorward/rules"
	"doorward/rules/builtin"
)

// across reports whether a finding looks at other accounts too: what it saw live is what the other shards had closed by then, which a file
// does not know and the store's own log does.
func across(f findingLine) bool {
	return slices.ContainsFunc(f.Evidence, func(e rules.Evidence) bool { return e.AsOf != "" })
}

// Serve is killed again and again while events come in, once each or twice. Then it has found and done what a replay of the same events does:
// of a file where one account decides, and of its own log in everything, byte for byte.
func TestAcceptKill(t *testing.T) {
	each(t, func(t *testing.T, b broker) {
		t.Run("once", func(t *testing.T) { killed(t, b, 1) })
		t.Run("twice", func(t *testing.T) { killed(t, b, 2) })
	})
}

func killed(t *testing.T, b broker, copies int) {
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("again: go test -tags accept ./cmd/doorward -run '%s' -accept.seed %d -accept.kills %d", t.Name(), s, *kills)
	chance := rand.New(rand.NewPCG(s, 0))
	w := newWorld(t, b, "")
	w.rulesWithoutTimers()
	events := traffic(t, s)
	w.start() // the topics are there when the traffic begins
	sent := w.feed(events, copies, time.Duration(*kills)*2500*time.Millisecond)
	for i := range *kills {
		if i > 0 && i%2 == 0 {
			w.start()
		} else if i > 0 {
			w.begin()
		}
		time.Sleep(time.Duration(chance.IntN(2000)) * time.Millisecond) // what is under way then is chance, told by the seed
		w.kill()
	}
	if err := <-sent; err != nil {
		t.Fatalf("kcat: %v", err)
	}
	w.start()
	w.mark()
	w.compare(copies)
	var v struct {
		Entries uint64
		OK      bool
	}
	if w.result(&v, "journal", "verify"); !v.OK || v.Entries == 0 {
		t.Errorf("the journal after the kills: %+v", v)
	}
	if out, talk, code := w.run("dlq", "list", "-o", "json"); code != 0 || out != "" {
		t.Errorf("dead letters: %d %s%s", code, out, talk)
	}
	w.end()
	w.replayStore()
}

// replayStore holds every finding and every account of the store to its own log.
func (w *world) replayStore() {
	w.Helper()
	out, talk, code := w.run("replay", "--store", w.path("store"), "-o", "json")
	if code != 0 || strings.Count(out, "\n") < 20 {
		w.Errorf("replay --store: exit code %d, %d findings\n%s", code, strings.Count(out, "\n"), talk)
	}
	w.Logf("replay --store: %s", talk)
}

// rulesWithoutTimers are the shipped rules, but no state ends by the clock while the test runs: that would be an act, which a file has not.
func (w *world) rulesWithoutTimers() {
	w.Helper()
	dir := w.path("rules")
	if err := os.Mkdir(dir, 0o700); err != nil {
		w.Fatal(err)
	}
	timers := 0
	names, err := fs.Glob(builtin.FS, "*.yaml")
	if err != nil {
		w.Fatal(err)
	}
	for _, name := range names {
		b, err := fs.ReadFile(builtin.FS, name)
		if err != nil {
			w.Fatal(err)
		}
		text := string(b)
		timers += strings.Count(text, "\n  for: 1h")
		w.write(filepath.Join("rules", name), strings.ReplaceAll(text, "\n  for: 1h", "\n  for: 30d"))
	}
	if timers != 1 {
		w.Fatalf("%d shipped rules have a timer of an hour, this test knows of one", timers)
	}
	b, err := os.ReadFile(w.path("doorward.yaml"))
	if err != nil {
		w.Fatal(err)
	}
	w.write("doorward.yaml", string(b)+"rules: "+dir+"\n")
}

// traffic is a day that ends now, with thieves in it.
func traffic(t *testing.T, seed uint64) (events []simulate.Generated) {
	t.Helper()
	now := time.Now()
	s, err := simulate.New(simulate.Config{Accounts: 300, Days: 1, Attacks: 27, Seed: seed, Start: now.Add(-24*time.Hour + 10*time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	own := id("k") + "-" // the topics are everybody's: nobody else's accounts
	for e := range s.Events() {
		if e.At.Before(now) {
			e.Account = strings.ReplaceAll(e.Account, "acct-", own)
			e.Event = bytes.ReplaceAll(e.Event, []byte("acct-"), []byte(own))
			events = append(events, e)
		}
	}
	return events
}

// feed writes events with one kcat, evenly over a time.
func (w *world) feed(events []simulate.Generated, copies int, over time.Duration) <-chan error {
	w.Helper()
	args := []string{"-b", w.broker.address, "-P", "-t", w.topic, "-X", "topic.partitioner=murmur2", "-K", "\t", "-H", "content-type=application/cloudevents+json"}
	c := exec.Command("kcat", append(args, w.broker.kcat...)...)
	in, err := c.StdinPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { c.Process.Kill() })
	done := make(chan error, 1)
	go func() {
		begin := time.Now()
		var failed error
		for i, e := range events {
			time.Sleep(time.Until(begin.Add(over * time.Duration(i) / time.Duration(len(events)))))
			for range copies {
				if _, err := fmt.Fprintf(in, "%s\t%s\n", e.Account, e.Event); err != nil && failed == nil {
					failed = err
				}
			}
		}
		in.Close()
		if err := c.Wait(); failed == nil {
			failed = err
		}
		done <- failed
	}()
	return done
}

// mark ends every partition with an event whose lock says that all before it is done and told.
func (w *world) mark() {
	w.Helper()
	waiting := map[string]bool{}
	for p := range 8 {
		account := id("mark")
		for kafka.PartitionOf(kafka.Murmur2, []byte(account), 8) != p {
			account = id("mark")
		}
		_, e := makeEvent(account, "transaction.requested", time.Now(), drain("acct-77"))
		w.structured(account, e)
		waiting[account] = true
	}
	w.eventually(2*time.Minute, "every partition is read to its end", func() bool {
		for _, r := range w.read(detect.TopicState) {
			delete(waiting, r.key)
		}
		return len(waiting) == 0
	})
}

// compare replays what is in the topic and compares findings and states.
func (w *world) compare(copies int) {
	w.Helper()
	input := w.read(w.topic)
	sort.SliceStable(input, func(i, j int) bool { return input[i].at.Before(input[j].at) })
	var lines strings.Builder
	ours := map[string]bool{}
	for _, r := range input {
		ours[r.key] = true
		fmt.Fprintf(&lines, `{"recordedtime":"%s",%s`+"\n", r.at.Format(time.RFC3339Nano), r.value[1:])
	}
	w.write("input.ndjson", lines.String())
	out, talk, code := w.run("replay", "-o", "json", "--states", w.path("states.ndjson"), w.path("input.ndjson"))
	if code != 0 {
		w.Fatalf("replay: exit code %d\n%s", code, talk)
	}
	replayed := map[string]findingLine{}
	for d := json.NewDecoder(strings.NewReader(out)); ; {
		var f findingLine
		if err := d.Decode(&f); err == io.EOF {
			break
		} else if err != nil {
			w.Fatal(err)
		}
		replayed[f.ID] = f
	}
	live, told := w.findings(ours)
	both := map[string]bool{} // accounts that a rule across accounts found something about
	within := 0
	for id, f := range replayed {
		if across(f) {
			both[string(f.Account)] = true
			continue
		}
		within++
		if l, ok := live[id]; !ok {
			w.Errorf("lost: %s of %s on %s", f.Rule, f.Account, f.Event.ID)
		} else if !reflect.DeepEqual(l, f) {
			w.Errorf("another finding than the replay's:\nlive   %+v\nreplay %+v", l, f)
		}
	}
	for id, f := range live {
		if across(f) {
			both[string(f.Account)] = true
		} else if _, ok := replayed[id]; !ok {
			w.Errorf("only live: %s of %s on %s", f.Rule, f.Account, f.Event.ID)
		}
	}
	states := w.compareStates(ours, both)
	w.Logf("%d records (%d copies), %d findings of which %d within an account, published %d times, %d states compared", len(input), copies, len(replayed), within, told, states)
	if within < 20 || states < 10 {
		w.Error("too little happened for this test to say anything")
	}
}

// findings are those on the topic; one that was published again must be the same, byte for byte.
func (w *world) findings(ours map[string]bool) (found map[string]findingLine, told int) {
	w.Helper()
	found = map[string]findingLine{}
	text := map[string]string{}
	for _, r := range w.read(detect.TopicFindings) {
		if !ours[r.key] {
			continue
		}
		var f detect.Finding
		if err := json.Unmarshal([]byte(r.value), &f); err != nil {
			w.Fatal(err)
		}
		if before, ok := text[f.ID]; ok && before != r.value {
			w.Errorf("finding %s was published in two forms:\n%s\n%s", f.ID, before, r.value)
		}
		text[f.ID] = r.value
		found[f.ID] = newFindingLine(&f)
		told++
	}
	// through JSON, as the replay's are
	b, err := json.Marshal(found)
	if err == nil {
		found = nil
		err = json.Unmarshal(b, &found)
	}
	if err != nil {
		w.Fatal(err)
	}
	return found, told
}

func (w *world) compareStates(ours, both map[string]bool) (compared int) {
	w.Helper()
	live := map[string]map[uint64]string{}
	last := map[string]stateRecord{}
	for _, r := range w.read(detect.TopicState) {
		if !ours[r.key] {
			continue
		}
		var s stateRecord
		if err := json.Unmarshal([]byte(r.value), &s); err != nil {
			w.Fatal(err)
		}
		if live[r.key] == nil {
			live[r.key] = map[uint64]string{}
		}
		if before, ok := live[r.key][s.Version]; ok && before != r.value {
			w.Errorf("%s: version %d was published in two forms:\n%s\n%s", r.key, s.Version, before, r.value)
		}
		live[r.key][s.Version] = r.value
		if s.Version >= last[r.key].Version {
			last[r.key] = s
		}
	}
	b, err := os.ReadFile(w.path("states.ndjson"))
	if err != nil {
		w.Fatal(err)
	}
	for d := json.NewDecoder(strings.NewReader(string(b))); ; {
		var s stateRecord
		if err := d.Decode(&s); err == io.EOF {
			break
		} else if err != nil {
			w.Fatal(err)
		}
		if both[s.Account] {
			delete(last, s.Account)
			continue
		}
		compared++
		if !reflect.DeepEqual(last[s.Account], s) {
			w.Errorf("another state than the replay's:\nlive   %+v\nreplay %+v", last[s.Account], s)
		}
		delete(last, s.Account)
	}
	for account, s := range last {
		if !both[account] {
			w.Errorf("only live: %+v", s)
		}
	}
	return compared
}
