package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"doorward/detect"
	"doorward/detect/kafka"
)

// benchFlags are what a measurement is made with.
type benchFlags struct {
	accounts, rules        int
	events, baselineEvents int64
	length, soak           time.Duration
	rate                   int
	brokers                string
	baseline, history      bool
	dir, profile           string
}

func benchCommand(t *terminal) *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use: "bench", Short: "Measure this machine: throughput, CPU per event, latency, memory, disk, restart",
		Long: `Fills a topic with a realistic mix (Zipf accounts, one event in a hundred part of an attack), lets the real engine read it into a real
store, synced, and measures; then with a producer at --rate, from produce to the state being readable; then kills the engine and measures
its restart. Broker, producer, engine and baseline are processes of their own, so that each one's CPU (user + system) is known; what is
printed is the engine's, from its start to the last event, the first pass over unknown accounts included.

The broker is the embedded one, in a temporary directory, over loopback. With --brokers it is yours: topics named doorward-bench-... are
made there for this run and deleted afterwards, and no other topic is touched; user, password and TLS are read from the environment and
--config as ` + "`serve`" + ` does. --baseline also runs the obvious stack (kafka-go Reader, encoding/json, mmdb, expr, Badger get and set for each event)
over the same topic. --soak runs at --rate for so long instead of a restart, and tells memory, goroutines, files and disk of the first and
the last third. History (what people look at later) is not written unless --history says so.`,
		Example: `  doorward bench                                                      1 M accounts, 24 M events: about five minutes
  doorward bench --accounts 100000 --events 2000000 --for 20s -o json
  doorward bench --baseline
  doorward bench --soak 30m --rate 20000
  doorward bench --brokers broker-1:9092 --rate 5000`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if f.accounts < 1 || f.rules < 1 || f.rules > 20_000 || f.events < 1 || f.rate < 1 || f.baselineEvents < 1 {
				return fail(exitUsage, "--accounts, --events, --baseline-events and --rate are at least 1, --rules is 1 to 20000")
			}
			b := &bench{benchFlags: f, t: t, m: newMeasured(f)}
			if err := b.run(c.Context()); err != nil {
				return err
			}
			return t.print(b.m, b.m.print)
		},
	}
	fl := c.Flags()
	fl.IntVar(&f.accounts, "accounts", 1_000_000, "how many accounts the events are of")
	fl.IntVar(&f.rules, "rules", 40, "how many rules: the built-in ones, then copies of them with other thresholds")
	fl.Int64Var(&f.events, "events", 24_000_000, "distinct events that fill the topic before the engine reads")
	fl.DurationVar(&f.length, "for", 30*time.Second, "how long the producer sends at --rate; 0: latency and restart are not measured")
	fl.IntVar(&f.rate, "rate", 20_000, "events a second while latency is measured")
	fl.StringVar(&f.brokers, "brokers", "", "HOST:PORT, several with commas (default: an embedded broker)")
	fl.BoolVar(&f.baseline, "baseline", false, "run the obvious stack over the same events too, and tell the ratio")
	fl.Int64Var(&f.baselineEvents, "baseline-events", 300_000, "how many of the events the obvious stack reads")
	fl.BoolVar(&f.history, "history", false, "write history as `serve` does")
	fl.DurationVar(&f.soak, "soak", 0, "run at --rate for so long and watch memory, files and disk")
	fl.StringVar(&f.profile, "profile", "", "file for the CPU profile of the engine while it reads the backlog (go tool pprof)")
	fl.StringVar(&f.dir, "dir", "", "where to put broker and store (default: a temporary directory)")
	c.AddCommand(benchBrokerCommand(t), benchFeedCommand(t), benchEngineCommand(t), benchBaselineCommand(t))
	return c
}

// bench is one run.
type bench struct {
	benchFlags
	t      *terminal
	m      *measured
	prefix string // of its topics
	broker *child // nil: not ours
	feed   *child
	engine *benchEngine
	store  string
	client *kafka.Client
}

// run carries the parts out, one after the other.
func (b *bench) run(ctx context.Context) (err error) {
	if b.dir == "" {
		if b.dir, err = os.MkdirTemp("", "doorward-bench-"); err != nil {
			return err
		}
		defer os.RemoveAll(b.dir)
	}
	b.store = filepath.Join(b.dir, "store")
	if err := b.open(ctx); err != nil {
		return errors.Join(err, b.close(ctx))
	}
	defer func() { err = errors.Join(err, b.close(ctx)) }()
	if err := b.fill(); err != nil {
		return err
	}
	if b.engine, err = b.startEngine(ctx, "--profile", "--profile-to", b.profile); err != nil {
		return err
	}
	if err := b.drain(); err != nil {
		return err
	}
	if b.soak > 0 {
		if err := b.watch(ctx); err != nil {
			return err
		}
	} else if b.length > 0 {
		if err := b.latency(ctx); err != nil {
			return err
		}
		if err := b.restart(ctx); err != nil {
			return err
		}
	}
	b.engine.end()
	b.engine = nil
	if b.baseline {
		return b.compare(ctx)
	}
	return nil
}

// open starts broker and producer and makes topics and store.
func (b *bench) open(ctx context.Context) (err error) {
	var unique [4]byte
	rand.Read(unique[:]) // it never fails
	b.prefix = "doorward-bench-" + hex.EncodeToString(unique[:]) + "."
	if b.brokers == "" {
		// 250 bytes an event is twice what they take, compressed; while it lives the producer sends batches too small to be.
		keep := b.events*250/benchPartitions + 256<<20
		if b.broker, err = startChild(ctx, b.t, "broker", "--dir", filepath.Join(b.dir, "broker"), "--keep", fmt.Sprint(keep)); err != nil {
			return err
		}
		var l brokerLine
		if err := b.broker.read(&l); err != nil {
			return err
		}
		b.brokers = l.Broker
	}
	cfg := defaults()
	cfg.Store = b.store
	if _, err := initialise(ctx, cfg, slog.New(slog.DiscardHandler)); err != nil { // its secrets are nobody's business
		return err
	}
	if b.feed, err = startChild(ctx, b.t, "feed", "--brokers", b.brokers, "--prefix", b.prefix, "--accounts", fmt.Sprint(b.accounts)); err != nil {
		return err
	}
	reach, err := loadConfig(benchReach(b.brokers), os.LookupEnv)
	if err != nil {
		return err
	}
	b.client, err = kafka.Connect(ctx, kafkaOf(reach, b.prefix))
	if err != nil {
		return &exit{exitConnect, err}
	}
	return b.client.Create(ctx, benchOutputs(b.prefix))
}

// benchReach is a command with nothing but brokers set.
func benchReach(brokers string) *cobra.Command {
	c := &cobra.Command{}
	c.Flags().String("brokers", "", "")
	c.Flags().Set("brokers", brokers) // it is declared a line above
	return c
}

// close ends what runs and deletes the topics on a broker that is not ours.
func (b *bench) close(ctx context.Context) (err error) {
	if b.engine != nil {
		b.engine.end()
	}
	if b.feed != nil {
		b.feed.end()
	}
	if b.client != nil {
		if b.broker == nil {
			names := []string{b.prefix + detect.TopicEvents}
			for _, t := range benchOutputs(b.prefix) {
				names = append(names, t.Name)
			}
			deleting, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			if err = b.client.Delete(deleting, names); err != nil {
				err = fmt.Errorf("the topics %s* stay on the broker: %w", b.prefix, err)
			}
		}
		b.client.Close()
	}
	if b.broker != nil {
		b.broker.kill() // what it has on disk is deleted or was the bench's own
	}
	return err
}

// fill lets the producer write the backlog.
func (b *bench) fill() error {
	b.t.say("filling the topic with %d events of %d accounts", b.events, b.accounts)
	began := time.Now()
	var fed feedLine
	if err := b.feed.ask(feedOrder{Fill: b.events}, &fed); err != nil {
		return err
	}
	b.m.FillSeconds = time.Since(began).Seconds()
	b.m.FeedCPU = figure(float64(fed.CPU) / float64(fed.Sent))
	var l brokerLine
	if err := b.askBroker(&l); err != nil {
		return err
	}
	b.t.say("filled in %.0f s (%.2f us CPU an event); the broker takes %.0f MB of memory", b.m.FillSeconds, *b.m.FeedCPU, float64(l.Resident)/1e6)
	return nil
}

// askBroker asks the embedded broker what it has used; of another one nothing is known.
func (b *bench) askBroker(l *brokerLine) error {
	if b.broker == nil {
		return nil
	}
	return b.broker.ask(struct{}{}, l)
}

// sayEvery is the time between two words about long work.
const sayEvery = 10 * time.Second

// drain lets the engine read the backlog.
func (b *bench) drain() error {
	var before, after brokerLine
	if err := b.askBroker(&before); err != nil {
		return err
	}
	first, err := b.engine.until(func(l engineLine) bool { return l.Loaded == l.Shards && l.Shards > 0 })
	if err != nil {
		return err
	}
	cold := first
	coldEvents := min(2*int64(b.accounts), b.events/2)
	said := first.At
	last, err := b.engine.until(func(l engineLine) bool {
		if l.At-said >= sayEvery.Microseconds() {
			said = l.At
			b.t.say("%d of %d events read, %.2f us CPU an event so far", l.Events, b.events, float64(l.CPU)/float64(max(l.Events, 1)))
		}
		if l.Events <= coldEvents {
			cold = l
		}
		return l.Events >= b.events
	})
	if err != nil {
		return err
	}
	if err := b.askBroker(&after); err != nil {
		return err
	}
	stages, err := b.engine.ask(engineOrder{Stages: true})
	if err != nil {
		return err
	}
	size, err := b.engine.ask(engineOrder{Size: true, Apart: true})
	if err != nil {
		return err
	}
	b.m.drained(first, cold, last, stages.Stages)
	b.m.sized(size)
	if b.broker != nil {
		b.m.BrokerCPU = figure(float64(after.CPU-before.CPU) / float64(b.events))
		b.m.BrokerMB = figure(float64(after.Resident) / 1e6)
	}
	b.t.say("%s", b.m.throughput())
	return nil
}

// benchEngine is the engine's process; its ticks come without being asked for.
type benchEngine struct{ *child }

func (b *bench) startEngine(ctx context.Context, args ...string) (*benchEngine, error) {
	args = append([]string{"--store", b.store, "--brokers", b.brokers, "--prefix", b.prefix, "--count", fmt.Sprint(b.rules),
		fmt.Sprintf("--write-history=%t", b.history)}, args...)
	c, err := startChild(ctx, b.t, "engine", args...)
	if err != nil {
		return nil, err
	}
	return &benchEngine{c}, nil
}

// until reads ticks until one is enough.
func (e *benchEngine) until(enough func(engineLine) bool) (engineLine, error) {
	for {
		var l engineLine
		if err := e.read(&l); err != nil {
			return l, err
		}
		if enough(l) {
			return l, nil
		}
	}
}

// ask gives an order and reads on until the answer comes.
func (e *benchEngine) ask(o engineOrder) (engineLine, error) {
	if err := e.write(o); err != nil {
		return engineLine{}, err
	}
	return e.until(func(l engineLine) bool { return (l.Stages != nil) == o.Stages && (l.Size != nil) == o.Size })
}

// idle reads the engine's ticks while something else is waited for: a pipe that nobody reads would stop it.
func (e *benchEngine) idle(during func() error) error {
	done := make(chan error, 1)
	go func() { done <- during() }()
	for {
		select {
		case err := <-done:
			return err
		default:
		}
		var l engineLine
		if err := e.read(&l); err != nil {
			return errors.Join(err, <-done)
		}
	}
}

func printRows(w io.Writer, rows [][]string) {
	kept := rows[:0]
	for _, r := range rows {
		if strings.TrimSpace(strings.Join(r[1:], "")) != "" {
			kept = append(kept, r)
		}
	}
	table(w, kept...)
}
