package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"doorward/detect"
	"doorward/store"
)

func dlqCommand(t *terminal) *cobra.Command {
	c := &cobra.Command{Use: "dlq", Short: "List, show and replay records that could not be taken"}
	list := &cobra.Command{
		Use: "list", Short: "List them, newest first", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c, os.LookupEnv)
			if err != nil {
				return err
			}
			var dead []detect.Dead
			if err := call(c.Context(), t, cfg, "dlq.list", struct{}{}, &dead); err != nil {
				return err
			}
			if t.json() {
				for i := range dead {
					if err := t.print(dead[i], nil); err != nil {
						return err
					}
				}
				return nil
			}
			rows := [][]string{{"ID", "AT", "TOPIC", "PARTITION", "OFFSET", "PROBLEM"}}
			for _, d := range dead {
				rows = append(rows, []string{d.ID, d.At.Format(time.RFC3339), d.Topic, strconv.Itoa(d.Partition), strconv.FormatInt(d.Offset, 10), d.Problem})
			}
			table(t.out, rows...)
			return nil
		},
	}
	one := func(use, short, long, name string, done func(io.Writer, *detect.Dead)) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short, Long: long, Args: cobra.ExactArgs(1),
			RunE: func(c *cobra.Command, args []string) error {
				cfg, err := loadConfig(c, os.LookupEnv)
				if err != nil {
					return err
				}
				var d detect.Dead
				if err := call(c.Context(), t, cfg, name, deadRequest{args[0]}, &d); err != nil {
					return err
				}
				return t.print(d, func(w io.Writer) { done(w, &d) })
			},
		}
	}
	c.AddCommand(list, one("show ID", "Show one with its bytes", "", "dlq.show", func(w io.Writer, d *detect.Dead) {
		table(w, []string{"id", d.ID}, []string{"at", d.At.Format(time.RFC3339)}, []string{"from", fmt.Sprintf("%s/%d@%d", d.Topic, d.Partition, d.Offset)},
			[]string{"problem", d.Problem}, []string{"bytes", strconv.Itoa(d.Size)}, []string{"key", string(d.Key)})
		fmt.Fprintln(w, printable(string(d.Value)))
	}), one("replay ID", "Write one to its topic again, at the end of the partition it came from",
		"Writes a record with its key, headers and bytes to its topic again, at the end of the partition it came from. That helps when what was wrong lay\nhere, for instance a limit of an older version. A record that is wrong in itself comes back as another dead letter: mend its producer.", "dlq.replay", func(w io.Writer, d *detect.Dead) {
			fmt.Fprintf(w, "%s was written to %s, partition %d, again\n", d.ID, d.Topic, d.Partition)
		}))
	for _, sub := range c.Commands() {
		storeFlags(sub)
	}
	return c
}

type deadRequest struct {
	ID string `json:"id"`
}

// maxDead is how many dead letters a list shows.
const maxDead = 1000

// dlqList reads the newest dead letters, without their bytes.
func dlqList(ctx context.Context, s *house, _ struct{}) ([]detect.Dead, error) {
	all := []detect.Dead{}
	err := s.scanDead(ctx, func(_ []byte, d *detect.Dead) bool {
		d.Value, d.Headers = nil, nil
		all = append(all, *d)
		return len(all) < maxDead
	})
	return all, err
}

// scanDead calls f for each dead letter, newest first.
func (s *house) scanDead(ctx context.Context, f func(key []byte, d *detect.Dead) bool) error {
	from := store.Key(store.KindDead)
	var bad error
	err := s.db.Scan(ctx, from, store.After(from), true, func(k, v []byte) bool {
		var d detect.Dead
		if bad = json.Unmarshal(v, &d); bad != nil {
			return false
		}
		return f(append([]byte(nil), k...), &d)
	})
	if bad != nil {
		return fmt.Errorf("read a dead letter: %w", bad)
	}
	return err
}

func (s *house) findDead(ctx context.Context, id string) (key []byte, found detect.Dead, err error) {
	err = s.scanDead(ctx, func(k []byte, d *detect.Dead) bool {
		if d.ID == id {
			key, found = k, *d
		}
		return key == nil
	})
	if err == nil && key == nil {
		err = fmt.Errorf("no dead letter %q: `doorward dlq list` shows them", id)
	}
	return key, found, err
}

func dlqShow(ctx context.Context, s *house, in deadRequest) (detect.Dead, error) {
	_, d, err := s.findDead(ctx, in.ID)
	return d, err
}

// dlqReplay writes a dead letter to where it came from, and notes when.
func dlqReplay(ctx context.Context, s *house, in deadRequest) (detect.Dead, error) {
	if err := s.needsBroker(); err != nil {
		return detect.Dead{}, err
	}
	key, d, err := s.findDead(ctx, in.ID)
	if err != nil {
		return d, err
	}
	if len(d.Value) < d.Size {
		return d, fmt.Errorf("of %d bytes only %d were kept: the producer has to send it again", d.Size, len(d.Value))
	}
	m := detect.Message{Topic: d.Topic, Partition: d.Partition, Key: d.Key, Value: d.Value}
	for _, h := range d.Headers {
		m.Headers = append(m.Headers, detect.Header(h))
	}
	if err := s.client.Publish(ctx, []detect.Message{m}); err != nil {
		return d, err
	}
	now := s.now().UTC()
	d.Replayed = &now
	value, err := json.Marshal(d)
	if err != nil {
		return d, err
	}
	_, err = s.db.Commit(ctx, &store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: key, Value: value}}})
	return d, err
}
