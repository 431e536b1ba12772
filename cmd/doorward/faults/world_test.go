//go:build accept

package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"doorward/detect"
	"doorward/detect/kafka"
	"doorward/rules/builtin"
)

// world is a broker, a store, the engine that runs on it, the load, and the history of it all.
type world struct {
	*testing.T
	seed    uint64
	chance  *rand.Rand // of the faults; the load has its own
	broker  *broker
	client  *kafka.Client
	dir     string // configuration, rules, master key
	store   string // may be on a disk of its own
	topic   string // the events
	token   string
	history *History
	prefix  string // of its accounts: the topics are everybody's
	ruleDir string // in dir

	wrap  []string // in front of the engine's command line, to limit it
	env   []string // more of the engine's environment
	extra string   // more of the configuration

	mu     sync.Mutex
	engine *engine // nil: none was started yet

	loading context.CancelFunc
	idle    sync.WaitGroup // load, acts and looks
	reading context.CancelFunc
	readers sync.WaitGroup
}

var worlds atomic.Int64

// own makes a name that no other test and no earlier run has used.
func own(what string) string {
	return what + "-" + strconv.FormatInt(time.Now().UnixNano(), 36) + strconv.FormatInt(worlds.Add(1), 36)
}

// newWorld is everything but a store: init makes that one, in w.store, which a row may have put elsewhere before.
func newWorld(t *testing.T, b *broker, seed uint64) *world {
	t.Helper()
	w := &world{T: t, seed: seed, chance: rand.New(rand.NewPCG(seed, 1)), broker: b, dir: t.TempDir(), topic: own("faults.events"), history: NewHistory(), prefix: own("a"), ruleDir: "rules"}
	w.store = filepath.Join(w.dir, "store")
	w.rules()
	client, err := kafka.Connect(t.Context(), kafka.Config{Brokers: strings.Split(b.address, ","), Inputs: []string{w.topic}, ClientID: "doorward-faults"})
	if err != nil {
		t.Fatal(err)
	}
	w.client = client
	t.Cleanup(w.close)
	if _, _, err := client.EnsureTopics(t.Context(), kafka.Outputs()); err != nil {
		t.Fatal(err)
	}
	w.read()
	return w
}

func (w *world) close() {
	w.stopLoad()
	w.stopReading()
	if e := w.running(); e != nil {
		e.kill()
	}
	w.client.Close()
}

// rules are the shipped ones and the two that the model knows by heart.
func (w *world) rules() {
	w.Helper()
	dir := filepath.Join(w.dir, "rules")
	if err := os.Mkdir(dir, 0o700); err != nil {
		w.Fatal(err)
	}
	names, err := fs.Glob(builtin.FS, "*.yaml")
	if err != nil {
		w.Fatal(err)
	}
	for _, name := range names {
		b, err := fs.ReadFile(builtin.FS, name)
		if err != nil {
			w.Fatal(err)
		}
		w.write(filepath.Join("rules", name), string(b))
	}
	w.write(filepath.Join("rules", "faults.yaml"), faultRules)
}

func (w *world) write(name, text string) {
	w.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
}

// configure writes the configuration for where the store is now.
func (w *world) configure() {
	w.Helper()
	w.write("doorward.yaml", fmt.Sprintf(`store: %s
brokers: ["%s"]
topics: [%s]
rules: %s
portal: {listen: "127.0.0.1:0", public_url: "https://portal.example.test"}
console: {listen: "127.0.0.1:0"}
api: {listen: "127.0.0.1:0"}
metrics: {listen: "127.0.0.1:0"}
%s`, w.store, strings.ReplaceAll(w.broker.address, ",", `", "`), w.topic, filepath.Join(w.dir, w.ruleDir), w.extra))
}

// init makes the store.
func (w *world) init() {
	w.Helper()
	w.configure()
	var made struct {
		APIToken string `json:"api_token"`
	}
	w.result(&made, "init")
	w.token = made.APIToken
}

// command is doorward with the world's configuration.
func (w *world) command(args ...string) *exec.Cmd {
	line := append(append([]string{}, w.wrap...), doorward)
	line = append(append(line, args...), "--config", filepath.Join(w.dir, "doorward.yaml"))
	c := exec.Command(line[0], line[1:]...)
	c.Env = append(append(os.Environ(), "DOORWARD_KEY_FILE="+filepath.Join(w.dir, "master.key")), w.env...)
	return c
}

// run runs a command of doorward to its end.
func (w *world) run(args ...string) (stdout, stderr string, code int) {
	w.Helper()
	c := w.command(args...)
	var out, talk bytes.Buffer
	c.Stdout, c.Stderr = &out, &talk
	if err := c.Start(); err != nil {
		w.Fatal(err)
	}
	limit := time.AfterFunc(2*time.Minute, func() { c.Process.Kill() })
	defer limit.Stop()
	err := c.Wait()
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.String(), talk.String(), e.ExitCode()
	}
	if err != nil {
		w.Fatalf("%s: %v", c, err)
	}
	return out.String(), talk.String(), 0
}

// result runs a command that has to work, and decodes what it prints.
func (w *world) result(v any, args ...string) {
	w.Helper()
	out, talk, code := w.run(append(args, "-o", "json")...)
	if code != 0 {
		w.Fatalf("doorward %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, talk)
	}
	if err := json.Unmarshal([]byte(out), v); err != nil {
		w.Fatalf("doorward %s: %v in %s", strings.Join(args, " "), err, out)
	}
}

// settle waits until everything that was sent is decided and told: the load has ended, the engine is up.
func (w *world) settle() {
	w.Helper()
	w.stopLoad()
	w.ready(2 * time.Minute)
	w.mark()
	w.await(time.Minute, "the outbox is empty", func() bool { n, err := w.metric("doorward_outbox_rows"); return err == nil && n == 0 })
	told := map[string]uint64{}
	for a, n := range w.history.Newest() {
		told[a] = n.Version
	}
	w.await(time.Minute, "the journal is published", func() bool { return w.journalled(told) })
}

// mark ends every partition with an event that is found, so that all before it is decided.
func (w *world) mark() {
	w.Helper()
	waiting := map[string]bool{}
	var messages []detect.Message
	for p := range partitions {
		account := own(w.prefix)
		for kafka.PartitionOf(kafka.Murmur2, []byte(account), partitions) != p {
			account = own(w.prefix)
		}
		name, value := w.event(account, "session.ended", time.Now(), "")
		waiting[name] = true
		messages = append(messages, detect.Message{Topic: w.topic, Partition: -1, Key: []byte(account), Value: value})
		w.history.Send(name)
	}
	if err := w.client.Publish(w.Context(), messages); err != nil {
		w.Fatal(err)
	}
	w.await(2*time.Minute, "every partition is read to its end", func() bool {
		w.history.Find(detect.TopicFindings, func(r Record) bool {
			var f struct{ Event detect.EventRef }
			if json.Unmarshal([]byte(r.Value), &f) == nil {
				delete(waiting, f.Event.Source+" "+f.Event.ID)
			}
			return len(waiting) == 0
		})
		return len(waiting) == 0
	})
}

// journalled reports whether the audit topic has the entries of these versions.
func (w *world) journalled(told map[string]uint64) bool {
	w.history.Find(detect.TopicAudit, func(r Record) bool {
		var e entry
		if json.Unmarshal([]byte(r.Value), &e) == nil && e.Kind == "state.changed" && told[e.Account] == e.Version {
			delete(told, e.Account)
		}
		return len(told) == 0
	})
	return len(told) == 0
}

// verdict compares the history with the model. The engine has ended or will take nothing more in.
func (w *world) verdict() {
	w.Helper()
	w.stopReading()
	problems := Check(w.history)
	for i, p := range problems {
		if i == 20 {
			w.Errorf("and %d more", len(problems)-i)
			break
		}
		w.Error(p)
	}
	w.Logf("%d events, %d findings, %d states of %d accounts, %d notices, %d entries, %d acts, %d looks", len(w.history.Events), w.history.Count(detect.TopicFindings),
		w.history.Count(detect.TopicState), len(w.history.Newest()), w.history.Count(detect.TopicNotices), w.history.Count(detect.TopicAudit), len(w.history.Acts), len(w.history.Looks))
}

// finish settles, ends the engine in order, looks at the journal and compares.
func (w *world) finish() {
	w.Helper()
	w.settle()
	w.end()
	w.verifyJournal()
	w.verdict()
}

func (w *world) verifyJournal() {
	w.Helper()
	var v struct {
		Entries uint64
		OK      bool
	}
	if w.result(&v, "journal", "verify"); !v.OK || v.Entries == 0 {
		w.Errorf("the journal: %+v", v)
	}
}

// pause lets time pass under load. What is under way at its end is chance, told by the seed: nothing can be waited for.
func (w *world) pause(d time.Duration) { <-time.After(d) }
