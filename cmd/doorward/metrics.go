package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"doorward/detect"
)

// metrics serves /metrics, /livez and /readyz.
func (s *house) metrics() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &gauges{s})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("alive\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		reasons := s.notReady(r.Context())
		w.Header().Set("Content-Type", "application/json")
		if len(reasons) > 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		answer := map[string]any{"ready": len(reasons) == 0, "reasons": reasons}
		if s.note != "" {
			answer["note"] = s.note
		}
		json.NewEncoder(w).Encode(answer)
	})
	return mux
}

// notReady says why the service can't do all of its work now; empty when it can.
func (s *house) notReady(ctx context.Context) []string {
	reasons := []string{}
	if s.db.Full() {
		reasons = append(reasons, "too little free disk: nothing is taken in; it goes on by itself when there is room")
	}
	if !s.sure() {
		return append(reasons, problemComparing)
	}
	for _, sh := range s.shards {
		st := sh.Status()
		switch {
		case st.Problem != "":
			reasons = append(reasons, "shard "+strconv.Itoa(st.Shard)+": "+st.Problem)
		case !st.Loaded:
			reasons = append(reasons, "shard "+strconv.Itoa(st.Shard)+": its memory is being loaded")
		case !st.Fed:
			reasons = append(reasons, "shard "+strconv.Itoa(st.Shard)+": no partition of the broker is assigned")
		}
		if st.Unpublished != "" {
			reasons = append(reasons, "shard "+strconv.Itoa(st.Shard)+": what it decides can't be published: "+st.Unpublished)
		}
	}
	away, stopped := s.client.Away(), s.client.Stopped()
	for shard := range s.shards {
		if err := away[shard]; err != nil {
			reasons = append(reasons, "shard "+strconv.Itoa(shard)+": "+err.Error())
		}
		if err := stopped[shard]; err != nil {
			reasons = append(reasons, "shard "+strconv.Itoa(shard)+" stopped: "+err.Error())
		}
	}
	return reasons
}

// gauges reads the shards' counts when somebody asks.
type gauges struct{ s *house }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("doorward_"+name, help, labels, nil)
}

var (
	descEvents   = desc("events_total", "Events taken in, by what became of them.", "kind")
	descFindings = desc("findings_total", "Findings, by rule.", "rule")
	descStates   = desc("transitions_total", "Changes of accounts' states, by the state they led to.", "state")
	descActs     = desc("acts_total", "Acts of people and deadlines taken in, by outcome.", "outcome")
	descFaults   = desc("rule_faults_total", "Rules that could not be evaluated on an event.")
	descPanics   = desc("event_panics_total", "Panics while an event was evaluated; it goes to the dead letters with reason internal.")
	descCommits  = desc("commits_total", "Commits of shards.")
	descEvicted  = desc("windows_evicted_total", "Records of windows that left for want of room since the shard was loaded.", "shard")
	descDelay    = desc("commit_delay_seconds", "From the arrival of the newest record of a shard's last batch to its commit.", "shard")
	descSequence = desc("shard_sequence", "Inputs a shard has taken in since its store was made.", "shard")
	descFed      = desc("shard_fed", "1 when a shard is loaded and its partition can be read.", "shard")
	descFull     = desc("store_full", "1 when the store takes nothing in for want of free disk.")
	descSize     = desc("store_bytes", "Size of the store on disk.")
	descBacklog  = desc("outbox_rows", "Rows of the outbox that wait to be published, up to 1,000 a shard.")
	descInfo     = desc("info", "1, with the version.", "version")
)

func (g *gauges) Describe(c chan<- *prometheus.Desc) { prometheus.DescribeByCollect(g, c) }

func (g *gauges) Collect(c chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	var n detect.Counts
	var commits uint64
	away := g.s.client.Away()
	for _, sh := range g.s.shards {
		st := sh.Status()
		n = n.Add(st.Counts)
		commits += st.Commits
		shard := strconv.Itoa(st.Shard)
		counter(descEvicted, st.Evicted, shard)
		gauge(descDelay, st.Delay.Seconds(), shard)
		gauge(descSequence, float64(st.Sequence), shard)
		gauge(descFed, one(st.Loaded && st.Fed && away[st.Shard] == nil), shard)
	}
	for kind, v := range map[string]uint64{"taken": n.Events, "repeat": n.Repeats, "late": n.Late, "too_late": n.TooLate, "time_flagged": n.Flagged,
		"unknown_type": n.Unknown, "dead": n.Dead} {
		counter(descEvents, v, kind)
	}
	for rule, v := range n.ByRule {
		counter(descFindings, v, rule)
	}
	for state, v := range n.ByState {
		counter(descStates, v, string(state))
	}
	counter(descActs, n.Acts-n.ActsRefused, "applied")
	counter(descActs, n.ActsRefused, "refused")
	counter(descFaults, n.Faults)
	counter(descPanics, n.Panics)
	counter(descCommits, commits)
	gauge(descFull, one(g.s.db.Full()))
	gauge(descSize, float64(g.s.db.Size()))
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if rows, err := g.s.backlog(ctx); err == nil {
		gauge(descBacklog, float64(rows))
	} else {
		g.s.log.Warn("count the outbox", "problem", err)
	}
	gauge(descInfo, 1, version)
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
