//go:build accept

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"doorward/detect"
	"doorward/detect/kafka"
)

// The acceptance of the whole, with real processes and other people's programs: kcat writes and reads the broker, oathtool is the owner's
// app, Chromium the browser. They are needed: without them these tests fail.
//
//	go test -tags accept ./cmd/doorward -run Accept -timeout 30m
//	... -accept.kills 50 -accept.seed 7    the long form of the kills, and one of their orders again
//
// Every test runs against the broker in the process, and against Apache Kafka when DOORWARD_TEST_BROKERS names it (.ci/kafka/run start).
var (
	kills = flag.Int("accept.kills", 5, "how often serve is killed under load")
	seed  = flag.Uint64("accept.seed", 0, "seed of the kills; 0: another one each time")
)

// need is the path of a program that these tests can't do without.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is needed: %v", program, err)
	}
	return path
}

// program is doorward as `go build` makes it, built once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "doorward-accept-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "doorward")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

func built(t *testing.T) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// broker is one that the suite runs against.
type broker struct {
	name    string
	address string
	kcat    []string // how kcat signs in
	config  string   // how doorward does
}

// each runs a test against every broker there is.
func each(t *testing.T, f func(t *testing.T, b broker)) {
	need(t, "kcat")
	t.Run("embedded", func(t *testing.T) { f(t, embedded(t)) })
	if a := os.Getenv("DOORWARD_TEST_BROKERS"); a != "" {
		t.Run("apache", func(t *testing.T) { f(t, broker{name: "apache", address: a}) })
	}
}

func embedded(t *testing.T) broker {
	t.Helper()
	b, err := kafka.Embedded(t.TempDir(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return broker{name: "embedded", address: b.Addr()}
}

// secure is Apache Kafka behind TLS and SCRAM; false when there is none. kcat signs in with PLAIN there: librdkafka before 2.6.1 gets SCRAM's
// nonce wrong, and Kafka has come to notice.
func secure(password string) (b broker, ok bool) {
	address, ca := os.Getenv("DOORWARD_TEST_SASL_BROKERS"), os.Getenv("DOORWARD_TEST_CA")
	return broker{name: "secure", address: address,
		kcat: []string{"-X", "security.protocol=SASL_SSL", "-X", "ssl.ca.location=" + ca, "-X", "sasl.mechanisms=PLAIN",
			"-X", "sasl.username=doorward", "-X", "sasl.password=" + password},
		config: fmt.Sprintf("kafka:\n  tls: true\n  ca_file: %s\n  sasl: scram-sha-512\n  user: doorward\n  password: %s\n", ca, password),
	}, address != ""
}

// world is a store with everything around it: a broker, a configuration, and the service when it runs.
type world struct {
	*testing.T
	broker broker
	dir    string
	topic  string // of its events; the others are shared by all worlds of a broker
	token  string
	staff  string

	process *process
	at      map[string]string // listeners by name
}

var worlds atomic.Int64

// id makes a name that no other test and no earlier run has used.
func id(what string) string {
	return fmt.Sprintf("%s-%s-%d", what, strconv.FormatInt(time.Now().UnixNano(), 36), worlds.Add(1))
}

// newWorld makes everything up to the store; more are lines of the configuration.
func newWorld(t *testing.T, b broker, more string) *world {
	t.Helper()
	w := newPlace(t, b, more)
	w.init()
	return w
}

func (w *world) init() {
	w.Helper()
	var made initialised
	w.result(&made, "init")
	w.token, w.staff = made.APIToken, made.StaffLink
}

// newPlace is a world without a store.
func newPlace(t *testing.T, b broker, more string) *world {
	t.Helper()
	if b.name != "embedded" {
		forgetOutputs(t, os.Getenv("DOORWARD_TEST_BROKERS"))
	}
	w := &world{T: t, broker: b, dir: t.TempDir(), topic: id("accept.events")}
	w.write("doorward.yaml", fmt.Sprintf(`store: %s
brokers: ["%s"]
topics: [%s]
portal: {listen: "127.0.0.1:0"}
console: {listen: "127.0.0.1:0"}
api: {listen: "127.0.0.1:0"}
metrics: {listen: "127.0.0.1:0"}
%s%s`, filepath.Join(w.dir, "store"), b.address, w.topic, b.config, more))
	return w
}

// forgetOutputs deletes what installations before this one have published to the cluster: a new store would take over their states, as the
// first duty of one that is behind what was published.
func forgetOutputs(t *testing.T, address string) {
	t.Helper()
	client, err := kafka.Connect(t.Context(), kafka.Config{Brokers: []string{address}, ClientID: "accept"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var names []string
	for _, topic := range kafka.Outputs() {
		names = append(names, topic.Name)
	}
	if err := client.Delete(t.Context(), names); err != nil {
		t.Fatal(err)
	}
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(name, text string) {
	w.Helper()
	if err := os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
}

// run runs a command of doorward to its end.
func (w *world) run(args ...string) (stdout, stderr string, code int) {
	w.Helper()
	return finish(w.T, exec.Command(built(w.T), append(args, "--config", w.path("doorward.yaml"))...))
}

func finish(t *testing.T, c *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	var out, talk bytes.Buffer
	c.Stdout, c.Stderr = &out, &talk
	limit := time.AfterFunc(2*time.Minute, func() { c.Process.Kill() })
	defer limit.Stop()
	err := c.Run()
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.String(), talk.String(), e.ExitCode()
	}
	if err != nil {
		t.Fatalf("%s: %v", c, err)
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

// process is a running serve.
type process struct {
	cmd  *exec.Cmd
	done chan error

	mu   sync.Mutex
	said []string
}

func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.said[max(0, len(p.said)-40):], "\n")
}

// begin starts serve and waits until it names its listeners.
func (w *world) begin() {
	w.Helper()
	p := &process{cmd: exec.Command(built(w.T), "serve", "--config", w.path("doorward.yaml")), done: make(chan error, 1)}
	talk, err := p.cmd.StderrPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { p.cmd.Process.Kill() })
	ready := make(chan map[string]string, 1)
	go func() {
		s := bufio.NewScanner(talk)
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			p.mu.Lock()
			p.said = append(p.said, s.Text())
			p.mu.Unlock()
			var l map[string]any
			if json.Unmarshal(s.Bytes(), &l) == nil && l["msg"] == "ready" {
				at := map[string]string{}
				for k, v := range l {
					at[k] = fmt.Sprint(v)
				}
				ready <- at
			}
		}
		p.done <- p.cmd.Wait()
	}()
	w.process = p
	select {
	case w.at = <-ready:
	case err := <-p.done:
		w.Fatalf("serve ended: %v\n%s", err, p.log())
	case <-time.After(time.Minute):
		w.Fatalf("serve is not ready after a minute\n%s", p.log())
	}
}

// start begins, and waits until every shard is fed. After a kill the group needs its time to see that the member before is gone.
func (w *world) start() {
	w.Helper()
	w.begin()
	w.eventually(2*time.Minute, "every shard is fed", func() bool { ready, _ := w.ready(); return ready })
}

func (w *world) ready() (ready bool, reasons string) {
	resp, err := http.Get(w.at["metrics"] + "/readyz")
	if err != nil {
		return false, err.Error()
	}
	defer resp.Body.Close()
	var r struct {
		Ready   bool
		Reasons []string
	}
	if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
		return false, err.Error()
	}
	if r.Ready != (resp.StatusCode == http.StatusOK) {
		w.Errorf("readyz says %v with status %d", r.Ready, resp.StatusCode)
	}
	return r.Ready, strings.Join(r.Reasons, "; ")
}

// end asks serve to end, which it has to do at once and with code 0. Until then it has logged no error, but those that a test made happen.
func (w *world) end(expected ...string) {
	w.Helper()
	if err := w.process.cmd.Process.Signal(os.Interrupt); err != nil {
		w.Fatal(err)
	}
	select {
	case err := <-w.process.done:
		if err != nil {
			w.Fatalf("serve ended with %v\n%s", err, w.process.log())
		}
	case <-time.After(30 * time.Second):
		w.Fatalf("serve does not end\n%s", w.process.log())
	}
	w.process.mu.Lock()
	defer w.process.mu.Unlock()
	for _, l := range w.process.said {
		if strings.Contains(l, `"level":"ERROR"`) && !slices.ContainsFunc(expected, func(e string) bool { return strings.Contains(l, e) }) {
			w.Errorf("serve logged %s", l)
		}
	}
}

func (w *world) kill() {
	w.Helper()
	if err := w.process.cmd.Process.Kill(); err != nil {
		w.Fatal(err)
	}
	<-w.process.done
}

// eventually waits until something is so.
func (w *world) eventually(limit time.Duration, what string, is func() bool) {
	w.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); !is(); <-tick.C {
		if time.Now().After(end) {
			log := ""
			if w.process != nil {
				_, reasons := w.ready()
				log = reasons + "\n" + w.process.log()
			}
			w.Fatalf("not within %v: %s\n%s", limit, what, log)
		}
	}
}

// record is one of a topic, as kcat prints it.
type record struct {
	partition, offset int
	at                time.Time
	key, headers      string
	value             string
}

// read reads a whole topic with kcat.
func (w *world) read(topic string) []record {
	w.Helper()
	args := append([]string{"-b", w.broker.address, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", `%p\t%o\t%T\t%k\t%h\t%s\n`}, w.broker.kcat...)
	out, talk, code := finish(w.T, exec.Command("kcat", args...))
	if code != 0 {
		w.Fatalf("kcat can't read %s: %s", topic, talk)
	}
	var all []record
	for _, l := range strings.Split(strings.TrimSuffix(out, "\n"), "\n") {
		f := strings.SplitN(l, "\t", 6)
		if len(f) != 6 {
			continue
		}
		p, err1 := strconv.Atoi(f[0])
		o, err2 := strconv.Atoi(f[1])
		ms, err3 := strconv.ParseInt(f[2], 10, 64)
		if err := errors.Join(err1, err2, err3); err != nil {
			w.Fatalf("kcat printed %q: %v", l, err)
		}
		all = append(all, record{p, o, time.UnixMilli(ms).UTC(), f[3], f[4], f[5]})
	}
	return all
}

// of are the values with a key, decoded, oldest first.
func of[T any](w *world, topic, key string) (all []T) {
	w.Helper()
	for _, r := range w.read(topic) {
		if r.key != key {
			continue
		}
		var v T
		if err := json.Unmarshal([]byte(r.value), &v); err != nil {
			w.Fatalf("%s: %v in %s", topic, err, r.value)
		}
		all = append(all, v)
	}
	return all
}

// produce writes with kcat, as a platform would whose partitioner is Java's.
func (w *world) produce(lines string, args ...string) {
	w.Helper()
	args = append([]string{"-b", w.broker.address, "-P", "-t", w.topic, "-X", "topic.partitioner=murmur2"}, args...)
	c := exec.Command("kcat", append(args, w.broker.kcat...)...)
	c.Stdin = strings.NewReader(lines)
	if out, talk, code := finish(w.T, c); code != 0 {
		w.Fatalf("kcat can't write: %s%s", out, talk)
	}
}

// structured writes an event in structured mode.
func (w *world) structured(account, event string) {
	w.Helper()
	w.produce(event, "-k", account, "-H", "content-type=application/cloudevents+json")
}

// makeEvent makes one, as one line.
func makeEvent(account, kind string, at time.Time, data map[string]any) (name, line string) {
	name = id("e")
	b, err := json.Marshal(map[string]any{"specversion": "1.0", "id": name, "source": "/accept", "type": kind, "subject": account,
		"time": at.UTC().Format(time.RFC3339Nano), "data": data})
	if err != nil {
		panic("maps of strings and numbers always encode: " + err.Error())
	}
	return name, string(b)
}

// drain is the request that empties an account to somebody it has never paid.
func drain(payee string) map[string]any {
	return map[string]any{"ip": "203.0.113.9", "device": "dev-7", "transaction": "tx-9", "kind": "transfer", "direction": "out", "amount": 250000,
		"currency": "CNY", "counterparty": payee, "counterparty_kind": "person", "balance_before": 251000, "balance_after": 1000}
}

// call is the platform's HTTP; it decodes the answer into v, when there is one to decode.
func (w *world) call(method, path string, body, v any) (status int) {
	w.Helper()
	b, err := json.Marshal(body)
	if raw, ok := body.(string); ok {
		b, err = []byte(raw), nil
	}
	if err != nil {
		w.Fatal(err)
	}
	req, err := http.NewRequest(method, w.at["api"]+path, bytes.NewReader(b))
	if err != nil {
		w.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatalf("%s %s: %v\n%s", method, path, err, w.process.log())
	}
	defer resp.Body.Close()
	if v != nil {
		if err := json.NewDecoder(resp.Body).Decode(v); err != nil {
			w.Fatalf("%s %s: %s: %v", method, path, resp.Status, err)
		}
	}
	return resp.StatusCode
}

// stateOf waits for the newest record of an account on the compacted topic that is as wanted.
func (w *world) stateOf(account string, is func(stateRecord) bool) (r stateRecord) {
	w.Helper()
	w.eventually(time.Minute, "the state of "+account+" on "+detect.TopicState, func() bool {
		all := of[stateRecord](w, detect.TopicState, account)
		if len(all) == 0 {
			return false
		}
		r = all[len(all)-1]
		return is(r)
	})
	return r
}

// stateRecord is what a platform reads: written down here once more, so that a changed name is noticed.
type stateRecord struct {
	Account         string            `json:"account"`
	State           string            `json:"state"`
	Refuse          []string          `json:"refuse"`
	Challenge       bool              `json:"challenge"`
	Reason          string            `json:"reason"`
	ReasonUser      map[string]string `json:"reason_user"`
	Findings        []string          `json:"findings"`
	Case            string            `json:"case"`
	Since           time.Time         `json:"since"`
	Until           time.Time         `json:"until"`
	Version         uint64            `json:"version"`
	PreviousVersion uint64            `json:"previous_version"`
	Recovery        string            `json:"recovery"`
}
