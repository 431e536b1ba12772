package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"runtime/pprof"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"doorward/auth"
	"doorward/detect"
	"doorward/detect/kafka"
	"doorward/rules/window"
	"doorward/store"
	"doorward/store/history"
	"doorward/store/outbox"
)

// engineLine is what the engine's process says at every tick, and, when it was asked for more, what it was asked for.
type engineLine struct {
	At       int64  `json:"at"`  // microseconds
	CPU      int64  `json:"cpu"` // microseconds, user + system, of the process so far
	Events   int64  `json:"events"`
	Commits  uint64 `json:"commits"`
	Mallocs  uint64 `json:"mallocs"`
	Resident int64  `json:"resident"` // bytes
	Written  int64  `json:"written"`  // bytes sent to disks
	Loaded   int    `json:"loaded"`   // shards
	Shards   int    `json:"shards"`

	Stages map[string]float64 `json:"stages,omitempty"` // share of the CPU since the process began
	Size   *engineSize        `json:"size,omitempty"`
}

// engineSize is what takes longer to find out.
type engineSize struct {
	Goroutines int               `json:"goroutines"`
	Files      int               `json:"files"`
	Windows    map[string]int64  `json:"windows"` // bytes in memory, by key
	Records    map[string]int64  `json:"records"`
	Repeats    int64             `json:"repeats"` // identities
	Disk       int64             `json:"disk"`    // bytes of the store's directory, as the file system counts them
	Ballast    int64             `json:"ballast"` // of those, what the store sets aside for a full disk
	Apart      int64             `json:"apart"`   // of those, journal, findings, cases, the shards' logs and accounts' states; 0: not counted
	History    int64             `json:"history"` // bytes of the history's directory
	ByRule     map[string]uint64 `json:"by_rule"`
	ByState    map[string]int    `json:"by_state"` // accounts whose state is not open
}

// engineOrder asks for more than the ticks tell.
type engineOrder struct {
	Stages bool `json:"stages,omitempty"` // ends the profile
	Size   bool `json:"size,omitempty"`
	Apart  bool `json:"apart,omitempty"` // with Size: reads the whole of what is told apart
}

// benchEngineCommand is the process that is measured: the engine on its store, without the web sites.
func benchEngineCommand(t *terminal) *cobra.Command {
	e := &benchedEngine{t: t}
	c := &cobra.Command{
		Use: "engine", Hidden: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			cfg, err := benchConfig(c, e.prefix)
			if err != nil {
				return err
			}
			if e.profile {
				if err := pprof.StartCPUProfile(&e.samples); err != nil {
					return err
				}
			}
			if e.house, err = openHouse(cfg, slog.New(slog.NewJSONHandler(t.talk, &slog.HandlerOptions{Level: slog.LevelWarn}))); err != nil {
				return err
			}
			s := e.house
			defer func() { err = errors.Join(err, s.close()) }()
			if s.rules, err = benchRules(e.rules); err != nil {
				return err
			}
			s.shards = nil
			if s.shape.Shards > 0 {
				s.makeShards() // again, with these rules
			}
			return e.run(c.Context())
		},
	}
	c.Flags().String("store", "", "")
	c.Flags().String("brokers", "", "")
	c.Flags().StringVar(&e.prefix, "prefix", "", "")
	c.Flags().IntVar(&e.rules, "count", 40, "")
	c.Flags().BoolVar(&e.profile, "profile", false, "")
	c.Flags().StringVar(&e.profileTo, "profile-to", "", "")
	c.Flags().BoolVar(&e.history, "write-history", false, "")
	c.Flags().DurationVar(&e.every, "every", 100*time.Millisecond, "")
	return c
}

// benchConfig is the configuration with topics of the bench's own.
func benchConfig(c *cobra.Command, prefix string) (*Config, error) {
	cfg, err := loadConfig(c, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	cfg.Topics = words{prefix + detect.TopicEvents}
	return cfg, nil
}

// kafkaOf is how to reach the brokers, in a consumer group of the bench's own.
func kafkaOf(cfg *Config, prefix string) kafka.Config {
	return kafka.Config{Brokers: cfg.Brokers, TLS: cfg.Kafka.TLS, CAFile: cfg.Kafka.CAFile, SASL: cfg.Kafka.SASL, User: cfg.Kafka.User,
		Password: cfg.Kafka.Password, Inputs: cfg.Topics, Partitions: benchPartitions, Group: prefix + "engine", ClientID: "doorward-bench"}
}

// benchOutputs are the topics the engine writes, under the bench's names.
func benchOutputs(prefix string) []kafka.Topic {
	topics := kafka.Outputs()
	for i := range topics {
		topics[i].Name = prefix + topics[i].Name
	}
	return topics
}

// benchedEngine is the engine's process.
type benchedEngine struct {
	t                *terminal
	house            *house
	prefix           string
	rules            int
	profile, history bool
	profileTo        string
	every            time.Duration
	samples          bytes.Buffer
	saying           sync.Mutex
}

func (e *benchedEngine) run(ctx context.Context) error {
	s := e.house
	cfg := kafkaOf(s.cfg, e.prefix)
	cfg.Store, cfg.Log = s.db.ID(), s.log
	client, err := kafka.Connect(ctx, cfg)
	if err != nil {
		return &exit{exitConnect, err}
	}
	defer client.Close()
	partitions, _, err := client.EnsureTopics(ctx, benchOutputs(e.prefix)) // it warns of the producer's times, which are the bench's own
	if err != nil {
		return err
	}
	if err := s.cut(ctx, partitions); err != nil {
		return err
	}
	log := s.log
	s.log = slog.New(slog.DiscardHandler) // it warns that nobody is mailed
	if err := s.openMail(nil); err != nil {
		return err
	}
	s.log = log
	s.client, s.publish = client, func(ctx context.Context, rows []outbox.Row) error {
		messages, err := s.messages(ctx, rows)
		if err != nil {
			return err
		}
		for i := range messages {
			messages[i].Topic = e.prefix + messages[i].Topic
		}
		return client.Publish(ctx, messages)
	}
	work := newCrew(ctx)
	work.run("shards", s.runShards)
	work.run("kafka", func(ctx context.Context) error {
		return client.Run(ctx, func(ctx context.Context, shard int, src detect.Source) error { return s.shards[shard].Feed(ctx, src) })
	})
	if e.history {
		if s.history, err = history.Open(filepath.Join(s.cfg.Store, "history"), time.Duration(s.cfg.History)); err != nil {
			return err
		}
		defer s.history.Close()
		work.run("history", s.keepHistory)
	}
	work.run("progress", s.tellProgress)
	work.run("deadlines", s.watchDeadlines)
	work.run("reports", func(ctx context.Context) error {
		return s.every(ctx, e.every, "report", func(context.Context) error { return e.say(e.report()) })
	})
	work.run("orders", func(ctx context.Context) error {
		if err := orders(e.t, func(o engineOrder) error { return e.answer(ctx, o) }); err != nil {
			return err
		}
		return errOver // the parent has closed its end
	})
	if err := work.wait(); !errors.Is(err, errOver) {
		return err
	}
	return nil
}

var errOver = errors.New("over")

func (e *benchedEngine) say(l engineLine) error {
	e.saying.Lock()
	defer e.saying.Unlock()
	return e.t.line(l)
}

func (e *benchedEngine) answer(ctx context.Context, o engineOrder) error {
	l := e.report()
	if o.Stages {
		pprof.StopCPUProfile()
		if e.profileTo != "" {
			if err := os.WriteFile(e.profileTo, e.samples.Bytes(), 0o644); err != nil {
				return err
			}
		}
		var err error
		if l.Stages, err = stagesOf(e.samples.Bytes(), engineStages); err != nil {
			return err
		}
	}
	if o.Size {
		size, err := e.size(ctx, o.Apart)
		if err != nil {
			return err
		}
		l.Size = size
	}
	return e.say(l)
}

// report is what a tick tells: nothing that stops the engine or reads its store.
func (e *benchedEngine) report() engineLine {
	allocs := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}, {Name: "/gc/heap/tiny/allocs:objects"}}
	metrics.Read(allocs)
	l := engineLine{At: time.Now().UnixMicro(), CPU: cpuTime().Microseconds(), Resident: residentBytes(), Written: writtenBytes(),
		Mallocs: allocs[0].Value.Uint64() + allocs[1].Value.Uint64(), Shards: len(e.house.shards)}
	for _, sh := range e.house.shards {
		st := sh.Status()
		l.Events += int64(st.Counts.Events)
		l.Commits += st.Commits
		if st.Loaded {
			l.Loaded++
		}
	}
	return l
}

// size asks the shards what their memory takes and looks at the disk.
func (e *benchedEngine) size(ctx context.Context, apart bool) (*engineSize, error) {
	s := e.house
	size := &engineSize{Goroutines: runtime.NumGoroutine(), Files: openFiles(), Windows: map[string]int64{}, Records: map[string]int64{},
		ByRule: map[string]uint64{}, ByState: map[string]int{}}
	for _, sh := range s.shards {
		sizes, _ := sh.Sizes(ctx)
		size.Repeats += int64(sizes.Repeats)
		for _, k := range sizes.Keys {
			size.Windows[string(k.Key)] += int64(k.Bytes)
			size.Records[string(k.Key)] += int64(k.Records)
		}
		for rule, n := range sh.Status().Counts.ByRule {
			size.ByRule[rule] += n
		}
	}
	var err error
	if size.Disk, err = diskUsed(s.cfg.Store); err != nil {
		return nil, err
	}
	if size.History, err = diskUsed(filepath.Join(s.cfg.Store, "history")); err != nil {
		return nil, err
	}
	if size.Ballast, err = diskUsed(filepath.Join(s.cfg.Store, "ballast")); err != nil {
		return nil, err
	}
	size.Disk -= size.History + size.Ballast
	if apart {
		return size, e.tellApart(ctx, size)
	}
	return size, nil
}

// apartKinds are what is kept for people and bounded by a retention of its own, so that it is no part of the live state.
var apartKinds = []byte{store.KindLog, store.KindFinding, store.KindFindingOf, store.KindCase, store.KindCaseOpen, store.KindCaseOf,
	store.KindShardLog, store.KindAccount, store.KindDeadline, store.KindOutcome}

// tellApart reads what is told apart, and counts the accounts that are not open.
func (e *benchedEngine) tellApart(ctx context.Context, size *engineSize) error {
	for _, kind := range apartKinds {
		prefix := store.Key(kind)
		var failed error
		err := e.house.db.Scan(ctx, prefix, store.After(prefix), false, func(k, v []byte) bool {
			size.Apart += int64(len(k) + len(v))
			if kind == store.KindAccount {
				var a struct{ State auth.State }
				if failed = json.Unmarshal(v, &a); failed != nil {
					return false
				}
				if a.State != auth.Open {
					size.ByState[string(a.State)]++
				}
			}
			return true
		})
		if err := errors.Join(err, failed); err != nil {
			return err
		}
	}
	return nil
}

// diskUsed is what the files below dir take, as `du` counts: blocks, so that a file that only claims its length counts nothing. A file
// that goes while it is looked at counts nothing either.
func diskUsed(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		n += blocks(info)
		return nil
	})
	return n, err
}

// live is the live state: what the windows of all keys and the identities take.
func (s *engineSize) live() (n int64) {
	for _, k := range window.Keys {
		n += s.Windows[string(k)]
	}
	return n + 8*s.Repeats // an identity is kept as 8 bytes
}
