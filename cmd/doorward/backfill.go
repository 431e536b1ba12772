package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"doorward/detect/kafka"
)

// backfilled is what `backfill` prints (COMMANDS.md).
type backfilled struct {
	Events   uint64    `json:"events"`
	Accounts int       `json:"accounts"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
}

func backfillCommand(t *terminal) *cobra.Command {
	c := &cobra.Command{
		Use: "backfill FILE...", Short: "Fill the windows of a new store from history; decides nothing",
		Long: `Reads events as NDJSON (gzip too), oldest first, into the windows of a store that has not served yet, so that rules know from the first live
event which devices, countries and payees an account is used to. No finding, no state and no notice comes of it. The store learns the
number of partitions of its topics from the broker, so brokers must be set.`,
		Example: "  doorward backfill --brokers localhost:9092 last-90-days.ndjson.gz", Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadConfig(c, os.LookupEnv)
			if err != nil {
				return err
			}
			log := slog.New(slog.NewJSONHandler(t.talk, &slog.HandlerOptions{Level: slog.LevelWarn}))
			b, err := backfill(c.Context(), t, cfg, log, args)
			if err != nil {
				return err
			}
			return t.print(b, func(w io.Writer) {
				fmt.Fprintf(w, "%d events of %d accounts, %s to %s\n", b.Events, b.Accounts, b.From.Format(time.RFC3339), b.To.Format(time.RFC3339))
			})
		},
	}
	storeFlags(c)
	c.Flags().String("brokers", "", "HOST:PORT, several with commas")
	return c
}

func backfill(ctx context.Context, t *terminal, cfg *Config, log *slog.Logger, files []string) (b backfilled, err error) {
	s, err := openHouse(cfg, log)
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if s.shape.Shards == 0 {
		if err := s.connect(ctx); err != nil {
			return b, err
		}
		defer s.client.Close()
	}
	for _, sh := range s.shards {
		if err := sh.BeginBackfill(ctx); err != nil {
			return b, &exit{exitFailure, err}
		}
	}
	accounts := map[string]bool{}
	err = readEvents(ctx, t, files, 1000, runtime.GOMAXPROCS(0), "backfill", func(l *line) error {
		if l.poison != nil {
			return fail(exitFailure, "%s:%d: %v: the events before it are in; mend the line and run the same again, repeats are skipped", l.file, l.number, l.poison)
		}
		b.Events++
		accounts[string(l.event.Account)] = true
		if b.From.IsZero() || l.event.Time.Before(b.From) {
			b.From = l.event.Time
		}
		if l.event.Time.After(b.To) {
			b.To = l.event.Time
		}
		home := kafka.PartitionOf(s.shape.Partitioner, []byte(l.event.Account), s.shape.Shards)
		return s.shards[home].Backfill(ctx, l.event)
	})
	b.Accounts = len(accounts)
	for _, sh := range s.shards {
		if err == nil {
			err = sh.EndBackfill(ctx)
		}
	}
	return b, err
}
