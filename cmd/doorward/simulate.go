package main

import (
	"bufio"
	"encoding/csv"
	"os"

	"github.com/spf13/cobra"

	"doorward/detect/simulate"
)

func simulateCommand(t *terminal) *cobra.Command {
	var cfg simulate.Config
	var labels string
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Print simulated events: people, their habits, and thieves among them",
		Long: `Prints events as NDJSON, in time order: logins, changes and money of simulated people, with attacks among them. The same flags give the
same bytes. --labels names, per event id, the attack it is part of; nothing of it is in the events.`,
		Example: "  doorward simulate --accounts 1000 --days 7 --attacks 20 --seed 1 --labels labels.csv > events.ndjson",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := simulate.New(cfg)
			if err != nil {
				return fail(exitUsage, "%w", err)
			}
			label, done, err := labelWriter(labels)
			if err != nil {
				return err
			}
			out := bufio.NewWriterSize(t.out, 1<<16)
			for e := range s.Events() {
				if c.Context().Err() != nil {
					return c.Context().Err()
				}
				if _, err := out.Write(append(e.Event, '\n')); err != nil {
					return err
				}
				if e.Label != "" {
					if err := label(e.ID, e.Label); err != nil {
						return err
					}
				}
			}
			if err := done(); err != nil {
				return err
			}
			return out.Flush()
		},
	}
	f := c.Flags()
	f.IntVar(&cfg.Accounts, "accounts", 1000, "how many people")
	f.IntVar(&cfg.Days, "days", 7, "how many days")
	f.IntVar(&cfg.Attacks, "attacks", 20, "how many attacks")
	f.Uint64Var(&cfg.Seed, "seed", 1, "another seed, other people")
	f.StringVar(&labels, "labels", "", "CSV file for the labels: event id, attack")
	return c
}

// labelWriter writes labels to a file, or nowhere.
func labelWriter(path string) (label func(id, attack string) error, done func() error, err error) {
	if path == "" {
		return func(string, string) error { return nil }, func() error { return nil }, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, nil, err
	}
	w := csv.NewWriter(f)
	if err := w.Write([]string{"id", "label", "detail"}); err != nil {
		return nil, nil, err
	}
	return func(id, attack string) error { return w.Write([]string{id, "attack", attack}) }, func() error {
		w.Flush()
		if err := w.Error(); err != nil {
			return err
		}
		return f.Close()
	}, nil
}
