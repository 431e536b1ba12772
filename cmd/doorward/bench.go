package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"doorward/auth"
	"doorward/detect"
	"doorward/detect/kafka"
)

// benchFlags are what a measurement is made with.
type benchFlags struct {
	accounts, rules int
	events          int64
	length          time.Duration
	rate            int
	dir, profile    string
}

// measured is what `bench` prints (its issue). A figure that was not measured is absent.
type measured struct {
	Machine          string  `json:"machine"`
	Events           int64   `json:"events"`
	Accounts         int     `json:"accounts"`
	Rules            int     `json:"rules"`
	CPUPerEvent      float64 `json:"cpu_us_per_event"` // user + system time of the engine's process
	EventsPerSecond  float64 `json:"events_per_s"`
	Rate             int     `json:"rate"`
	P50              float64 `json:"p50_ms"` // from the producer's clock before it sends to the state's record being read
	P99              float64 `json:"p99_ms"`
	P999             float64 `json:"p999_ms"`
	States           int     `json:"states"` // how many latencies those are taken from
	AllocsPerEvent   float64 `json:"allocs_per_event"`
	ResidentMB       float64 `json:"resident_mb"`
	DiskMB           float64 `json:"disk_mb"`
	RestartFirstMs   float64 `json:"restart_first_verdict_ms"` // from the start of a process after kill -9
	RestartFullMs    float64 `json:"restart_full_ms"`
	CommitsPerSecond float64 `json:"commits_per_s"`
}

func benchCommand(t *terminal) *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use: "bench", Short: "Measure this machine: throughput, CPU per event, latency, memory, restart",
		Long: `Fills a topic with a realistic mix (Zipf accounts, one event in a hundred part of an attack), lets the real engine read it into a real
store, synced, and measures; then with a producer at --rate, from produce to the state being readable; then kills the engine and measures
its restart. Broker and producer are one process, the engine another: their CPU is kept apart. Everything is on this machine, in a
temporary directory, over loopback.`,
		Example: "  doorward bench --accounts 100000 --events 2000000\n  doorward bench --rate 20000 --for 60s -o json", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if f.accounts < 1 || f.rules < 1 || f.rules > 20_000 || f.events < 1 || f.rate < 1 {
				return fail(exitUsage, "--accounts, --events and --rate are at least 1, --rules is 1 to 20000")
			}
			m, err := bench(c.Context(), t, f)
			if err != nil {
				return err
			}
			return t.print(m, func(w io.Writer) { printMeasured(w, m) })
		},
	}
	fl := c.Flags()
	fl.IntVar(&f.accounts, "accounts", 100_000, "how many accounts the events are of")
	fl.IntVar(&f.rules, "rules", 40, "how many rules: the built-in ones, then copies of them with other thresholds")
	fl.Int64Var(&f.events, "events", 1_000_000, "events that fill the topic before the engine reads")
	fl.DurationVar(&f.length, "for", 20*time.Second, "how long the producer sends at --rate")
	fl.IntVar(&f.rate, "rate", 20_000, "events a second while latency is measured")
	fl.StringVar(&f.profile, "profile", "", "file for a CPU profile of the engine's first 20 s (go tool pprof)")
	fl.StringVar(&f.dir, "dir", "", "where to put broker and store (default: a temporary directory)")
	c.AddCommand(benchFeedCommand(t), benchEngineCommand(t))
	return c
}

// bench runs the three parts.
func bench(ctx context.Context, t *terminal, f benchFlags) (*measured, error) {
	dir := f.dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "doorward-bench-"); err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
	}
	m := &measured{Machine: machine(), Events: f.events, Accounts: f.accounts, Rules: f.rules, Rate: f.rate}
	feed, err := startChild(ctx, t, "feed", "--dir", filepath.Join(dir, "broker"), "--accounts", fmt.Sprint(f.accounts), "--events", fmt.Sprint(f.events))
	if err != nil {
		return nil, err
	}
	defer feed.end()
	t.say("filling the topic with %d events", f.events)
	var fed feedLine
	if err := feed.read(&fed); err != nil {
		return nil, err
	}
	store := filepath.Join(dir, "store")
	if err := benchStore(ctx, store); err != nil {
		return nil, err
	}
	engine, err := startChild(ctx, t, "engine", "--store", store, "--brokers", fed.Broker, "--count", fmt.Sprint(f.rules), "--profile", f.profile)
	if err != nil {
		return nil, err
	}
	defer func() { engine.end() }()
	if err := m.drain(engine, f.events); err != nil {
		return nil, err
	}
	t.say("%.0f events/s, %.2f us CPU an event; now %d events/s for %v", m.EventsPerSecond, m.CPUPerEvent, f.rate, f.length)
	if err := m.latency(ctx, t, f, feed, fed.Broker); err != nil {
		return nil, err
	}
	t.say("p50 %.1f ms, p99 %.1f ms; now kill -9 and restart", m.P50, m.P99)
	engine.kill()
	began := time.Now()
	if engine, err = startChild(ctx, t, "engine", "--store", store, "--brokers", fed.Broker, "--count", fmt.Sprint(f.rules)); err != nil {
		return nil, err
	}
	return m, m.restart(engine, began)
}

// drain reads the engine's reports until it has taken everything in.
func (m *measured) drain(engine *child, events int64) error {
	var first, last engineLine
	for {
		var l engineLine
		if err := engine.read(&l); err != nil {
			return err
		}
		if l.Events > 0 && first.Events == 0 {
			first = l
		}
		if last = l; l.Events >= events {
			break
		}
	}
	n := float64(last.Events - first.Events)
	if n <= 0 {
		return errors.New("the topic was read faster than it could be measured: give more --events")
	}
	m.CPUPerEvent = float64(last.CPU-first.CPU) / n
	m.EventsPerSecond = n / (float64(last.At-first.At) / 1e6)
	m.AllocsPerEvent = float64(last.Mallocs-first.Mallocs) / n
	m.CommitsPerSecond = float64(last.Commits-first.Commits) / (float64(last.At-first.At) / 1e6)
	m.ResidentMB, m.DiskMB = float64(last.Resident)/1e6, float64(last.Disk)/1e6
	return nil
}

// latency lets the producer send at the rate and reads the states that come of it. An event's time is the producer's clock when it made it,
// and a state's `since` is the time of the event that caused it.
func (m *measured) latency(ctx context.Context, t *terminal, f benchFlags, feed *child, broker string) error {
	client, err := kafka.Connect(ctx, kafka.Config{Brokers: []string{broker}, ClientID: "doorward-bench"})
	if err != nil {
		return err
	}
	defer client.Close()
	from, err := client.LastOffsets(ctx, detect.TopicState)
	if err != nil {
		return err
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	delays := make(chan float64, 1<<16)
	for p, at := range from {
		go client.Tail(reading, detect.TopicState, p, at, func(records []detect.Record) error { // ends with reading
			now := time.Now()
			for _, r := range records {
				var rec auth.Record
				if json.Unmarshal(r.Value, &rec) == nil && rec.Since != nil && rec.Version == 1 {
					delays <- float64(now.Sub(*rec.Since)) / 1e6
				}
			}
			return nil
		})
	}
	if err := feed.write(feedOrder{Rate: f.rate, For: f.length}); err != nil {
		return err
	}
	var done feedLine
	if err := feed.read(&done); err != nil {
		return err
	}
	var all []float64
	for idle := time.NewTimer(2 * time.Second); ; idle.Reset(2 * time.Second) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case d := <-delays:
			all = append(all, d)
			continue
		case <-idle.C:
		}
		break
	}
	if len(all) == 0 {
		return errors.New("no account changed its state: --for is too short for --rate")
	}
	sort.Float64s(all)
	at := func(q float64) float64 { return all[min(int(q*float64(len(all))), len(all)-1)] }
	m.P50, m.P99, m.P999, m.States = at(.5), at(.99), at(.999), len(all)
	return nil
}

// restart reads how long a new process took.
func (m *measured) restart(engine *child, began time.Time) error {
	for {
		var l engineLine
		if err := engine.read(&l); err != nil {
			return err
		}
		since := float64(time.Since(began).Microseconds()) / 1000
		if l.Loaded > 0 && m.RestartFirstMs == 0 {
			m.RestartFirstMs = since
		}
		if l.Loaded == l.Shards && l.Shards > 0 {
			m.RestartFullMs = since
			return nil
		}
	}
}

func machine() string {
	cpu := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				cpu = strings.TrimSpace(strings.TrimLeft(name, "\t :"))
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d CPUs, %s/%s, %s", cpu, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

func printMeasured(w io.Writer, m *measured) {
	table(w, []string{"machine", m.Machine},
		[]string{"load", fmt.Sprintf("%d events, %d accounts, %d rules, synced store, broker on the same machine", m.Events, m.Accounts, m.Rules)},
		[]string{"throughput", fmt.Sprintf("%.0f events/s, %.2f us CPU an event, %.2f allocations an event, %.0f commits/s", m.EventsPerSecond, m.CPUPerEvent, m.AllocsPerEvent, m.CommitsPerSecond)},
		[]string{"latency", fmt.Sprintf("p50 %.1f ms, p99 %.1f ms, p99.9 %.1f ms at %d events/s, of %d states", m.P50, m.P99, m.P999, m.Rate, m.States)},
		[]string{"memory", fmt.Sprintf("%.0f MB resident", m.ResidentMB)}, []string{"disk", fmt.Sprintf("%.0f MB", m.DiskMB)},
		[]string{"restart", fmt.Sprintf("%.0f ms to the first shard, %.0f ms to all, after kill -9", m.RestartFirstMs, m.RestartFullMs)})
}

// child is another process of the same program: a hidden part of bench that talks in lines of JSON.
type child struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
}

func startChild(ctx context.Context, t *terminal, part string, args ...string) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{command: exec.CommandContext(ctx, program, append([]string{"bench", part}, args...)...)}
	c.command.Stderr = t.talk
	if c.in, err = c.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewScanner(out)
	return c, c.command.Start()
}

func (c *child) read(into any) error {
	if !c.out.Scan() {
		return errors.Join(fmt.Errorf("%s ended: %w", c.command.Args[2], io.ErrUnexpectedEOF), c.out.Err())
	}
	return json.Unmarshal(c.out.Bytes(), into)
}

func (c *child) write(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = c.in.Write(append(b, '\n'))
	return err
}

// end lets the process finish: its input ends. kill does not.
func (c *child) end() {
	c.in.Close()
	c.command.Wait()
}

func (c *child) kill() {
	c.command.Process.Kill()
	c.command.Wait()
}
