package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"doorward/auth"
	"doorward/detect"
	"doorward/rules"
	"doorward/rules/event"
	"doorward/rules/geo"
)

// replayFlags are what a replay depends on, and what it must not depend on (batch, workers).
type replayFlags struct {
	batch, workers, shards int
	rules, states          string
}

func replayCommand(t *terminal) *cobra.Command {
	var f replayFlags
	c := &cobra.Command{
		Use:   "replay FILE... | --store DIR",
		Short: "Run events of NDJSON files, or what a store took in, through the rules and print what they find",
		Long: `Reads events, one JSON object a line (gzip too, - is standard input), and prints a finding a line, in the order of the input. Needs no
broker, no store and no network. The same events give the same bytes for any --batch and --workers; a repeat of an event among the last
million of its shard adds nothing. Accounts are spread over --shards by murmur2 of their id, as Java producers would.

With --store it follows the logs of a store that no service has open (a backup, or a copy): the records they name are read from the broker
again, acts, rule sets and what shards saw of one another are in the log. Everything is evaluated anew, in memory, and every finding and every
account's record is compared with what the store holds; a difference is named, and the exit code is 5. The store is not touched: it is copied to
the temporary directory first. It needs the whole log: where lines were swept (setting findings), topics were cut, or history was put in by
backfill, nobody can say any more what came of it, and it says so and ends with 1.`,
		Example: "  doorward replay events.ndjson.gz\n  doorward replay -o json --states states.ndjson monday.ndjson tuesday.ndjson\n  doorward replay --store copy-of-store --brokers localhost:9092",
		Args: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("store") {
				return cobra.NoArgs(c, args)
			}
			return cobra.MinimumNArgs(1)(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadConfig(c, os.LookupEnv)
			if err != nil {
				return err
			}
			if !c.Flags().Changed("store") {
				return replay(c.Context(), t, cfg, f, args)
			}
			for _, flag := range []string{"batch", "workers", "shards", "rules"} {
				if c.Flags().Changed(flag) {
					return fail(exitUsage, "--%s is for files: with --store the log says how it was", flag)
				}
			}
			return replayStore(c.Context(), t, cfg, f)
		},
	}
	fl := c.Flags()
	fl.IntVar(&f.batch, "batch", 1000, "events decoded at a time")
	fl.IntVar(&f.workers, "workers", runtime.GOMAXPROCS(0), "how many decode at once")
	fl.IntVar(&f.shards, "shards", 8, "how many shards the accounts are spread over")
	fl.String("store", "", "directory of a store to replay by its own log, instead of files")
	fl.String("brokers", "", "HOST:PORT, several with commas; where that store's topics are")
	fl.String("rules", "", "directory of rules (default: the built-in ones)")
	fl.StringVar(&f.states, "states", "", "file for the final state of every account that ever had another than open")
	return c
}

func replay(ctx context.Context, t *terminal, cfg *Config, f replayFlags, files []string) error {
	if f.batch < 1 || f.workers < 1 || f.shards < 1 || f.shards > 1024 {
		return fail(exitUsage, "--batch and --workers are at least 1, --shards is 1 to 1024")
	}
	set, err := loadRules(cfg.Rules)
	if err != nil {
		return err
	}
	place, _, err := places(cfg.Geo)
	if err != nil {
		return err
	}
	r := detect.NewReplay(detect.ReplayConfig{Rules: set, Shards: f.shards, Place: place})
	out := bufio.NewWriterSize(t.out, 1<<16)
	encode := json.NewEncoder(out)
	encode.SetEscapeHTML(false)
	var events, findings, bad uint64
	start := time.Now()
	err = readEvents(ctx, t, files, f.batch, f.workers, "replay", func(l *line) error {
		if l.poison != nil {
			bad++
			t.say("%s:%d: %v", l.file, l.number, l.poison)
			return nil
		}
		events++
		found, err := r.Take(l.event)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", l.file, l.number, err)
		}
		for i := range found {
			findings++
			if t.json() {
				if err := encode.Encode(newFindingLine(&found[i])); err != nil {
					return err
				}
			} else {
				printFinding(out, &found[i])
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if f.states != "" {
		if err := writeStates(f.states, r.Accounts); err != nil {
			return err
		}
	}
	took := time.Since(start)
	t.say("%d events, %d findings in %.1f s (%.0f events/s)", events, findings, took.Seconds(), float64(events)/took.Seconds())
	printByRule(t, r.Counts().ByRule)
	if bad > 0 {
		return fail(exitFailure, "%s could not be read as events; each is named above", several(int(bad), "line"))
	}
	return nil
}

// findingLine is a finding as replay prints it (COMMANDS.md).
type findingLine struct {
	ID          string           `json:"id"`
	At          time.Time        `json:"at"`
	Event       detect.EventRef  `json:"event"`
	Account     auth.AccountID   `json:"account"`
	Rule        string           `json:"rule"`
	RuleVersion string           `json:"rule_version"`
	Score       int              `json:"score"`
	Response    string           `json:"response"`
	Capped      string           `json:"capped,omitempty"`
	Evidence    []rules.Evidence `json:"evidence"`
}

func newFindingLine(f *detect.Finding) findingLine {
	return findingLine{f.ID, f.At, f.Event, f.Account, f.Rule, f.RuleVersion, f.Score, f.Response, f.Capped, f.Evidence}
}

func printFinding(w *bufio.Writer, f *detect.Finding) {
	fmt.Fprintf(w, "%s  %-9s %-28s %s", f.At.Format(time.RFC3339), f.Response, f.Rule, printable(string(f.Account)))
	for _, e := range f.Evidence {
		fmt.Fprintf(w, "  %s", printable(evidenceText(e)))
	}
	fmt.Fprintln(w)
}

func evidenceText(e rules.Evidence) string {
	s := fmt.Sprintf("%s = %v", e.Fact, number(e.Value))
	if e.Op != "" {
		s += fmt.Sprintf(" (%s %v)", e.Op, number(e.Threshold))
	}
	return s
}

// number prints a float without an exponent.
func number(v any) any {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return v
}

func printByRule(t *terminal, by map[string]uint64) {
	ids := make([]string, 0, len(by))
	for id := range by {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	for _, id := range ids {
		t.say("%10d  %s", by[id], id)
	}
}

// writeStates writes the record of every account that ever had another state than open, by id.
func writeStates(path string, accounts func(func(auth.Account))) error {
	var records []auth.Record
	accounts(func(a auth.Account) { records = append(records, a.Record()) })
	sort.Slice(records, func(i, j int) bool { return records[i].Account < records[j].Account })
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	for i := range records {
		b, err := json.Marshal(records[i])
		if err != nil {
			return fmt.Errorf("encode a state: %w", err)
		}
		w.Write(append(b, '\n'))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// places says where events come from: as the platform says, completed by the operator's databases, and which those are.
func places(paths []string) (place func(*event.Event) geo.Place, names []string, err error) {
	if len(paths) == 0 {
		return nil, nil, nil
	}
	db, err := geo.Open(paths)
	if err != nil {
		return nil, nil, err
	}
	return func(e *event.Event) geo.Place { return detect.PlaceOf(e, db) }, db.Versions(), nil
}
