package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"doorward/cmd/doorward/baseline"
	"doorward/detect"
)

// baselineLine is what the baseline's process says when it is done.
type baselineLine struct {
	Events int64              `json:"events"`
	Hits   int64              `json:"hits"`
	CPU    int64              `json:"cpu"` // microseconds, from the first event on
	Stages map[string]float64 `json:"stages"`
}

// baselineStages are where the obvious stack's time goes.
var baselineStages = []stage{
	{"store", nil, []string{"github.com/dgraph-io/"}},
	{"fetch", nil, []string{"github.com/segmentio/kafka-go"}},
	{"decode", nil, []string{"encoding/json"}},
	{"place", nil, []string{"github.com/oschwald/"}},
	{"rules", nil, []string{"github.com/expr-lang/"}},
	{"record", nil, []string{"doorward/cmd/doorward/baseline"}},
	{"collector", nil, []string{"runtime.gcBgMarkWorker", "runtime.bgsweep", "runtime.bgscavenge"}},
}

// benchBaselineCommand is the process with the obvious stack.
func benchBaselineCommand(t *terminal) *cobra.Command {
	var cfg baseline.Config
	var brokers string
	c := &cobra.Command{
		Use: "baseline", Hidden: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg.Brokers = strings.Split(brokers, ",")
			var samples bytes.Buffer
			var began time.Duration
			var profiling error
			cfg.Began = func() { began, profiling = cpuTime(), pprof.StartCPUProfile(&samples) }
			r, err := baseline.Run(c.Context(), cfg)
			used := cpuTime() - began
			pprof.StopCPUProfile()
			if err != nil {
				return err
			}
			if profiling != nil {
				return profiling
			}
			shares, err := stagesOf(samples.Bytes(), baselineStages)
			if err != nil {
				return err
			}
			return t.line(baselineLine{r.Events, r.Hits, used.Microseconds(), shares})
		},
	}
	c.Flags().StringVar(&brokers, "brokers", "", "")
	c.Flags().StringVar(&cfg.Topic, "topic", "", "")
	c.Flags().StringVar(&cfg.Group, "group", "", "")
	c.Flags().StringVar(&cfg.Dir, "dir", "", "")
	c.Flags().IntVar(&cfg.Accounts, "accounts", 1, "")
	c.Flags().Int64Var(&cfg.Events, "events", 1, "")
	return c
}

// compare runs the obvious stack over the first events of the backlog. The engine has ended.
func (b *bench) compare(ctx context.Context) error {
	events := min(b.baselineEvents, b.events)
	b.t.say("now the obvious stack: a store of %d accounts, then %d events", b.accounts, events)
	c, err := startChild(ctx, b.t, "baseline", "--brokers", b.brokers, "--topic", b.prefix+detect.TopicEvents, "--group", b.prefix+"baseline",
		"--dir", filepath.Join(b.dir, "baseline"), "--accounts", fmt.Sprint(b.accounts), "--events", fmt.Sprint(events))
	if err != nil {
		return err
	}
	defer c.end()
	var l baselineLine
	if err := c.read(&l); err != nil {
		return err
	}
	b.m.compared(l)
	return nil
}

// compared takes what the obvious stack used.
func (m *measured) compared(l baselineLine) {
	m.Baseline, m.BaselineEvents = figure(float64(l.CPU)/float64(l.Events)), l.Events
	m.Ratio = figure(*m.Baseline / *m.CPU)
	m.BaselineStages = map[string]float64{}
	for name, share := range l.Stages {
		m.BaselineStages[name] = share * *m.Baseline
	}
}
