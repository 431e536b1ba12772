//go:build accept

package faults

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"doorward/detect/kafka"
)

var (
	seedFlag = flag.Uint64("faults.seed", 0, "seed of load and faults; 0: another one each time")
	cuts     = flag.Int("faults.cuts", 4, "power cuts under load (row power)")
	flips    = flag.Int("faults.flips", 12, "flipped bytes (row rot)")
	stops    = flag.Int("faults.stops", 3, "SIGTERM under load (row stop)")
	sleep    = flag.Duration("faults.sleep", 12*time.Second, "how long the machine is suspended (row suspend)")
	pressure = flag.Duration("faults.pressure", 6*time.Second, "how long the load lasts (row memory)")
	kills    = flag.Int("faults.kills", 5, "kill -9 of the engine under load (row kill)")
)

// row is a line of the table in the package's documentation.
type row struct {
	fault string // as reference security.md section 6 and the issue name it
	name  string // of the test: TestFault/name
	test  func(t *testing.T, seed uint64)
}

// rows are all of them; a test holds the documentation to them.
var rows = slices.Concat(engineRows, brokerRows, trafficRows)

var engineRows = []row{
	{"F-1", "kill", killRow},
	{"F-2", "power", powerRow},
	{"F-3", "lying", lyingRow},
	{"F-4", "full", fullRow},
	{"F-5", "fail", failRow},
	{"F-6", "slow", slowRow},
	{"F-7", "rot", rotRow},
	{"F-19", "memory", memoryRow},
	{"F-23", "lost", lostRow},
	{"F-25", "key", keyRow},
	{"F-27", "stop", stopRow},
	{"F-28", "suspend", suspendRow},
}

// TestFault is every row. A failure prints the seed that makes the same load and the same faults again; what a fault meets is then chance
// again, as it is in life.
func TestFault(t *testing.T) {
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			seed := *seedFlag
			if seed == 0 {
				seed = rand.Uint64N(1 << 32)
			}
			t.Logf("%s again: go test -tags accept ./cmd/doorward/faults -run '%s' -faults.seed %d", r.fault, t.Name(), seed)
			r.test(t, seed)
		})
	}
}

// eachBroker runs a row against the broker of a first run, in a process of its own, and against Apache Kafka when DOORWARD_TEST_BROKERS names it.
func eachBroker(t *testing.T, f func(t *testing.T, b *broker)) {
	t.Run("embedded", func(t *testing.T) { f(t, startBroker(t)) })
	if a := os.Getenv("DOORWARD_TEST_BROKERS"); a != "" {
		t.Run("apache", func(t *testing.T) { forgetOutputs(t, a); f(t, &broker{address: a}) })
	}
}

// forgetOutputs deletes what other runs have published to the cluster: a new store would take over their states, as the first duty of one that
// is behind what was published.
func forgetOutputs(t *testing.T, addresses string) {
	t.Helper()
	client, err := kafka.Connect(t.Context(), kafka.Config{Brokers: strings.Split(addresses, ","), ClientID: "faults"})
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

// Directories and variables of this process and of those it starts.
const brokerVar = "DOORWARD_FAULTS_BROKER" // "directory address": this process is a broker

// doorward is the program under test, built once.
var doorward string

func TestMain(m *testing.M) {
	if at := os.Getenv(brokerVar); at != "" {
		if err := beBroker(at); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(runAll(m))
}

func runAll(m *testing.M) int {
	dir, err := os.MkdirTemp("", "doorward-faults-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	doorward = filepath.Join(dir, "doorward")
	if out, err := exec.Command("go", "build", "-o", doorward, "doorward/cmd/doorward").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build doorward: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// beBroker serves until its input ends.
func beBroker(at string) error {
	dir, address, ok := strings.Cut(at, " ")
	if !ok {
		return errors.New(brokerVar + ": a directory and an address")
	}
	b, err := kafka.Embedded(dir, address)
	if err != nil {
		return err
	}
	fmt.Println(b.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	b.Close()
	return err
}

// broker is the one that a world uses; the embedded one is a process of its own, which kills of the engine leave alone and which a row may
// kill itself.
type broker struct {
	address string
	dir     string // of the embedded one
	cmd     *exec.Cmd
	in      io.Closer
}

func startBroker(t *testing.T) *broker {
	t.Helper()
	b := &broker{dir: t.TempDir(), address: "127.0.0.1:0"}
	b.start(t)
	t.Cleanup(func() { b.kill(t) })
	return b
}

// start starts it, again at the same address.
func (b *broker) start(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b.cmd = exec.Command(self)
	b.cmd.Env = append(os.Environ(), brokerVar+"="+b.dir+" "+b.address)
	b.cmd.Stderr = os.Stderr
	in, err := b.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := b.cmd.StdoutPipe()
	if err == nil {
		err = b.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	b.in = in
	said := bufio.NewScanner(out)
	if !said.Scan() {
		t.Fatalf("the broker did not start: %v", b.cmd.Wait())
	}
	b.address = said.Text()
}

// kill ends it without a word; start brings it back with what it had acknowledged.
func (b *broker) kill(t *testing.T) {
	t.Helper()
	if b.cmd == nil {
		return
	}
	b.cmd.Process.Kill()
	b.cmd.Wait()
	b.cmd = nil
}

// eventually waits until something is so.
func eventually(t *testing.T, limit time.Duration, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); !is(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}
