package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"doorward/detect"
	"doorward/detect/kafka"
	"doorward/detect/simulate"
)

// feedLine is what the feeding process says: the topic is filled, or the sending is over.
type feedLine struct {
	Broker string `json:"broker"`
	Sent   int64  `json:"sent"`
}

// feedOrder asks it to send.
type feedOrder struct {
	Rate int           `json:"rate"`
	For  time.Duration `json:"for"`
}

// engineLine is what the engine's process says ten times a second.
type engineLine struct {
	At       int64  `json:"at"`  // microseconds
	CPU      int64  `json:"cpu"` // microseconds, user + system
	Events   int64  `json:"events"`
	Commits  uint64 `json:"commits"`
	Mallocs  uint64 `json:"mallocs"`
	Resident int64  `json:"resident"` // bytes
	Disk     int64  `json:"disk"`     // bytes
	Loaded   int    `json:"loaded"`   // shards
	Shards   int    `json:"shards"`
}

// benchFeedCommand is the process with the broker and the producer.
func benchFeedCommand(t *terminal) *cobra.Command {
	var dir string
	var accounts int
	var events int64
	c := &cobra.Command{
		Use: "feed", Hidden: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			broker, err := kafka.Embedded(dir, "127.0.0.1:0")
			if err != nil {
				return err
			}
			defer broker.Close()
			client, err := kafka.Connect(c.Context(), kafka.Config{Brokers: []string{broker.Addr()}, Inputs: []string{detect.TopicEvents}})
			if err != nil {
				return err
			}
			defer client.Close()
			if _, _, err := client.EnsureTopics(c.Context(), kafka.Outputs()); err != nil {
				return err
			}
			f := &feeder{client: client, load: simulate.NewLoad(simulate.LoadConfig{Accounts: accounts, Seed: 1})}
			for f.sent < events {
				if err := f.send(c.Context(), int(min(5000, events-f.sent)), time.Now()); err != nil {
					return err
				}
			}
			if err := t.line(feedLine{broker.Addr(), f.sent}); err != nil {
				return err
			}
			orders := bufio.NewScanner(t.in)
			for orders.Scan() {
				var o feedOrder
				if err := json.Unmarshal(orders.Bytes(), &o); err != nil {
					return err
				}
				if err := f.sendAt(c.Context(), o); err != nil {
					return err
				}
				if err := t.line(feedLine{broker.Addr(), f.sent}); err != nil {
					return err
				}
			}
			return orders.Err()
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "")
	c.Flags().IntVar(&accounts, "accounts", 1, "")
	c.Flags().Int64Var(&events, "events", 1, "")
	return c
}

// line writes v as a line of JSON, whatever -o says.
func (t *terminal) line(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = t.out.Write(append(b, '\n'))
	return err
}

type feeder struct {
	client *kafka.Client
	load   *simulate.Load
	sent   int64
}

func (f *feeder) send(ctx context.Context, n int, at time.Time) error {
	messages := make([]detect.Message, n)
	for i := range messages {
		account, line := f.load.Next(at)
		messages[i] = detect.Message{Topic: detect.TopicEvents, Partition: -1, Key: []byte(account), Value: append([]byte(nil), line...)}
	}
	f.sent += int64(n)
	return f.client.Publish(ctx, messages)
}

// sendAt sends at a rate: what is due each millisecond, made and stamped right before it goes.
func (f *feeder) sendAt(ctx context.Context, o feedOrder) error {
	start := time.Now()
	sent := 0
	for elapsed := time.Duration(0); elapsed < o.For; elapsed = time.Since(start) {
		due := int(float64(o.Rate)*elapsed.Seconds()) - sent
		if due > 0 {
			if err := f.send(ctx, due, time.Now()); err != nil {
				return err
			}
			sent += due
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// benchEngineCommand is the process that is measured: the engine on its store, without the web sites and without history.
func benchEngineCommand(t *terminal) *cobra.Command {
	var n int
	var profile string
	c := &cobra.Command{
		Use: "engine", Hidden: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c, os.LookupEnv)
			if err != nil {
				return err
			}
			s, err := openHouse(cfg, slog.New(slog.NewJSONHandler(t.talk, &slog.HandlerOptions{Level: slog.LevelWarn})))
			if err != nil {
				return err
			}
			if s.rules, err = benchRules(n); err != nil {
				return errors.Join(err, s.close())
			}
			s.shards = nil
			if s.shape.Shards > 0 {
				s.makeShards() // again, with these rules
			}
			if profile != "" {
				f, err := os.Create(profile)
				if err != nil {
					return errors.Join(err, s.close())
				}
				defer f.Close()
				if err := pprof.StartCPUProfile(f); err != nil {
					return errors.Join(err, s.close())
				}
				time.AfterFunc(20*time.Second, pprof.StopCPUProfile)
			}
			return errors.Join(s.benchEngine(c.Context(), t), s.close())
		},
	}
	c.Flags().String("store", "", "")
	c.Flags().String("brokers", "", "")
	c.Flags().IntVar(&n, "count", 40, "")
	c.Flags().StringVar(&profile, "profile", "", "")
	return c
}

func (s *house) benchEngine(ctx context.Context, t *terminal) error {
	if err := s.connect(ctx); err != nil {
		return err
	}
	defer s.client.Close()
	if err := s.openMail(nil); err != nil {
		return err
	}
	work := newCrew(ctx)
	work.run("shards", s.runShards)
	work.run("kafka", func(ctx context.Context) error {
		return s.client.Run(ctx, func(ctx context.Context, shard int, src detect.Source) error { return s.shards[shard].Feed(ctx, src) })
	})
	work.run("reports", func(ctx context.Context) error {
		return s.every(ctx, 100*time.Millisecond, "report", func(context.Context) error { return t.line(s.report()) })
	})
	work.run("input", func(context.Context) error { // the parent closes it when the measurement is over
		io.Copy(io.Discard, t.in)
		return errOver
	})
	if err := work.wait(); !errors.Is(err, errOver) {
		return err
	}
	return nil
}

var errOver = errors.New("over")

func (s *house) report() engineLine {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		s.log.Warn("read the CPU time", "problem", err)
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	l := engineLine{At: time.Now().UnixMicro(), CPU: usage.Utime.Nano()/1000 + usage.Stime.Nano()/1000, Mallocs: mem.Mallocs,
		Resident: usage.Maxrss << 10, Disk: s.db.Size(), Shards: len(s.shards)}
	for _, sh := range s.shards {
		st := sh.Status()
		l.Events += int64(st.Counts.Events)
		l.Commits += st.Commits
		if st.Loaded {
			l.Loaded++
		}
	}
	return l
}

// benchStore makes a store without saying its secrets.
func benchStore(ctx context.Context, dir string) error {
	cfg := defaults()
	cfg.Store = dir
	_, err := initialise(ctx, cfg, slog.New(slog.DiscardHandler))
	return err
}
