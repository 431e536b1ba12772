package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
)

// measured is what `bench` prints (its issue). A figure that was not measured is absent.
type measured struct {
	Machine  string `json:"machine"`
	Events   int64  `json:"events"`
	Accounts int    `json:"accounts"`
	Rules    int    `json:"rules"`
	Rate     int    `json:"rate"`
	History  bool   `json:"history"`

	// While the backlog is read: the engine's process, user + system, from before it opened its store to the last event.
	CPU         *float64           `json:"cpu_us_per_event,omitempty"`
	CPUCold     *float64           `json:"cpu_us_per_event_cold,omitempty"` // the first 2 events per account, at most half of all
	CPUWarm     *float64           `json:"cpu_us_per_event_warm,omitempty"` // the rest
	PerSecond   *float64           `json:"events_per_s,omitempty"`
	WarmSecond  *float64           `json:"events_per_s_warm,omitempty"`
	Stages      map[string]float64 `json:"stages,omitempty"` // microseconds an event
	Allocs      *float64           `json:"allocs_per_event,omitempty"`
	Commits     *float64           `json:"commits_per_s,omitempty"`
	WriteAmp    *float64           `json:"write_amplification,omitempty"` // bytes sent to disks by the live state at the end
	Written     *float64           `json:"written_bytes_per_event,omitempty"`
	FillSeconds float64            `json:"fill_s"`
	FeedCPU     *float64           `json:"producer_cpu_us_per_event,omitempty"`
	BrokerCPU   *float64           `json:"broker_cpu_us_per_event,omitempty"`
	BrokerMB    *float64           `json:"broker_resident_mb,omitempty"`

	// At the end of the backlog.
	BytesPerAccount *float64           `json:"bytes_per_account,omitempty"` // windows of all keys with their index; ids of repeats apart
	Windows         map[string]int64   `json:"windows_bytes,omitempty"`
	Records         map[string]int64   `json:"windows_records,omitempty"`
	RepeatBytes     int64              `json:"repeats_bytes,omitempty"` // 8 for each identity
	ResidentMB      *float64           `json:"resident_mb,omitempty"`
	Resident        *float64           `json:"resident_bytes_per_account,omitempty"`
	Goroutines      int                `json:"goroutines,omitempty"`
	Files           int                `json:"files,omitempty"`
	DiskMB          *float64           `json:"disk_mb,omitempty"` // history and ballast apart
	ApartMB         *float64           `json:"disk_apart_mb,omitempty"`
	HistoryMB       *float64           `json:"disk_history_mb,omitempty"`
	LiveMB          *float64           `json:"live_state_mb,omitempty"`
	DiskRatio       *float64           `json:"disk_ratio,omitempty"`
	ByRule          map[string]float64 `json:"findings_per_million,omitempty"`
	ByState         map[string]int     `json:"accounts_not_open,omitempty"`
	NotOpen         *float64           `json:"share_not_open,omitempty"`

	// With a live producer.
	P50     *float64 `json:"p50_ms,omitempty"` // from the producer's clock to the state's record being read
	P99     *float64 `json:"p99_ms,omitempty"`
	P999    *float64 `json:"p999_ms,omitempty"`
	States  int      `json:"states,omitempty"`                   // how many latencies those are taken from
	LiveCPU *float64 `json:"cpu_us_per_event_at_rate,omitempty"` // the engine's
	LateMs  *float64 `json:"producer_late_ms,omitempty"`         // the most that the producer was behind its own schedule
	FeedAt  *float64 `json:"producer_cpu_us_at_rate,omitempty"`  // an event
	Commit  *float64 `json:"commits_per_s_at_rate,omitempty"`    // of all shards

	RestartFirst *float64 `json:"restart_first_verdict_ms,omitempty"` // of an event after kill -9, from the new process's start
	RestartFull  *float64 `json:"restart_full_ms,omitempty"`

	Soak *soaked `json:"soak,omitempty"`

	Baseline       *float64           `json:"baseline_cpu_us_per_event,omitempty"`
	BaselineStages map[string]float64 `json:"baseline_stages,omitempty"`
	BaselineEvents int64              `json:"baseline_events,omitempty"`
	Ratio          *float64           `json:"ratio,omitempty"`
}

func newMeasured(f benchFlags) *measured {
	return &measured{Machine: machine(), Events: f.events, Accounts: f.accounts, Rules: f.rules, Rate: f.rate, History: f.history}
}

func figure(v float64) *float64 { return &v }

// drained takes what the ticks say of the backlog.
func (m *measured) drained(first, cold, last engineLine, shares map[string]float64) {
	seconds := func(a, b engineLine) float64 { return float64(b.At-a.At) / 1e6 }
	n := float64(last.Events)
	m.CPU = figure(float64(last.CPU) / n)
	m.PerSecond = figure(n / seconds(first, last))
	m.Allocs = figure(float64(last.Mallocs-first.Mallocs) / n)
	m.Commits = figure(float64(last.Commits-first.Commits) / seconds(first, last))
	m.Written = figure(float64(last.Written-first.Written) / n)
	if rest := float64(last.Events - cold.Events); cold.Events > 0 && rest > 0 {
		m.CPUCold = figure(float64(cold.CPU) / float64(cold.Events))
		m.CPUWarm = figure(float64(last.CPU-cold.CPU) / rest)
		m.WarmSecond = figure(rest / seconds(cold, last))
	}
	m.Stages = map[string]float64{}
	for name, share := range shares {
		m.Stages[name] = share * *m.CPU
	}
}

// sized takes what memory and disk hold.
func (m *measured) sized(l engineLine) {
	s := l.Size
	m.Windows, m.Records, m.RepeatBytes = s.Windows, s.Records, 8*s.Repeats
	windows := s.live() - 8*s.Repeats
	if accounts := float64(s.Records["account"]); accounts > 0 {
		m.BytesPerAccount = figure(float64(windows) / accounts)
		m.Resident = figure(float64(l.Resident) / accounts)
		notOpen := 0
		for _, n := range s.ByState {
			notOpen += n
		}
		m.NotOpen = figure(float64(notOpen) / accounts)
	}
	m.ResidentMB, m.Goroutines, m.Files = figure(float64(l.Resident)/1e6), s.Goroutines, s.Files
	m.DiskMB, m.ApartMB, m.LiveMB = figure(float64(s.Disk)/1e6), figure(float64(s.Apart)/1e6), figure(float64(s.live())/1e6)
	if s.History > 0 {
		m.HistoryMB = figure(float64(s.History) / 1e6)
	}
	m.DiskRatio = figure(float64(max(s.Disk-s.Apart, 0)) / float64(s.live()))
	m.WriteAmp = figure(float64(l.Written) / float64(s.live()))
	m.ByState, m.ByRule = s.ByState, map[string]float64{}
	for rule, n := range s.ByRule {
		m.ByRule[rule] = float64(n) / float64(l.Events) * 1e6
	}
}

// live takes what a run at the rate says.
func (m *measured) live(before, after engineLine, fed feedLine, delays []float64) {
	m.P50, m.P99, m.P999, m.States = figure(quantile(delays, .5)), figure(quantile(delays, .99)), figure(quantile(delays, .999)), len(delays)
	m.LateMs = figure(float64(fed.Late) / 1000)
	if n := float64(after.Events - before.Events); n > 0 {
		m.LiveCPU = figure(float64(after.CPU-before.CPU) / n)
		m.FeedAt = figure(float64(fed.CPU-int64(*m.FeedCPU*float64(m.Events))) / n)
		m.Commit = figure(float64(after.Commits-before.Commits) / (float64(after.At-before.At) / 1e6))
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

// figureText prints a figure with a unit; nothing when it was not measured.
func figureText(v *float64, format string) string {
	if v == nil {
		return ""
	}
	return fmt.Sprintf(format, *v)
}

func (m *measured) throughput() string {
	return figureText(m.PerSecond, "%.0f events/s, ") + figureText(m.CPU, "%.2f us CPU an event") + figureText(m.CPUCold, " (%.2f while accounts are new,") +
		figureText(m.CPUWarm, " %.2f afterwards)") + figureText(m.Allocs, ", %.2f allocations an event") + figureText(m.Commits, ", %.0f commits/s")
}

func (m *measured) latencyText() string {
	return figureText(m.P50, "p50 %.1f ms") + figureText(m.P99, ", p99 %.1f ms") + figureText(m.P999, ", p99.9 %.1f ms") +
		fmt.Sprintf(" at %d events/s, of %d states", m.Rate, m.States) + figureText(m.LiveCPU, "; %.2f us CPU an event") + figureText(m.Commit, ", %.0f commits/s") +
		figureText(m.LateMs, "; the producer at most %.1f ms late")
}

// mostRules is how many rules are printed for people, those that fire most; JSON has all.
const mostRules = 12

// print is for people.
func (m *measured) print(w io.Writer) {
	history := "off"
	if m.History {
		history = "on"
	}
	rows := [][]string{{"machine", m.Machine},
		{"load", fmt.Sprintf("%d events, %d accounts, %d rules, synced store, history %s", m.Events, m.Accounts, m.Rules, history)},
		{"throughput", m.throughput()}}
	for _, s := range append(stageNames(), otherStage) {
		if us, ok := m.Stages[s]; ok {
			rows = append(rows, []string{"  " + s, fmt.Sprintf("%.3f us", us)})
		}
	}
	rows = append(rows, []string{"beside it", figureText(m.FeedCPU, "producer %.2f us CPU an event") + figureText(m.BrokerCPU, ", broker %.2f us") + figureText(m.BrokerMB, " and %.0f MB")})
	if m.States > 0 {
		rows = append(rows, []string{"latency", m.latencyText()})
	}
	rows = append(rows, []string{"memory", figureText(m.BytesPerAccount, "%.0f bytes an account in windows") + figureText(m.ResidentMB, ", %.0f MB resident") +
		figureText(m.Resident, " (%.0f bytes an account)") + fmt.Sprintf(", %d MB of identities, %d goroutines, %d files", m.RepeatBytes/1e6, m.Goroutines, m.Files)})
	for _, k := range slices.Sorted(maps.Keys(m.Windows)) {
		rows = append(rows, []string{"  " + k, fmt.Sprintf("%d records, %.0f MB", m.Records[k], float64(m.Windows[k])/1e6)})
	}
	rows = append(rows, []string{"disk", figureText(m.DiskMB, "%.0f MB") + figureText(m.ApartMB, ", of them %.0f MB journal, findings, cases, logs") +
		figureText(m.HistoryMB, "; history %.0f MB") + figureText(m.LiveMB, "; live state %.0f MB") + figureText(m.DiskRatio, ", ratio %.2f") +
		figureText(m.Written, "; %.0f bytes written an event") + figureText(m.WriteAmp, ", %.1f times the live state")})
	rows = append(rows, []string{"restart", figureText(m.RestartFirst, "%.0f ms to the first verdict after kill -9") + figureText(m.RestartFull, ", %.0f ms to all state")})
	rows = append(rows, []string{"findings", m.findingsText()})
	often := slices.SortedFunc(maps.Keys(m.ByRule), func(a, b string) int { return cmp.Or(cmp.Compare(m.ByRule[b], m.ByRule[a]), cmp.Compare(a, b)) })
	for _, rule := range often[:min(len(often), mostRules)] {
		rows = append(rows, []string{"  " + rule, fmt.Sprintf("%.1f", m.ByRule[rule])})
	}
	rows = append(rows, []string{"baseline", figureText(m.Baseline, "%.1f us CPU an event") + figureText(m.Ratio, ", ratio %.1f")})
	for _, s := range slices.Sorted(maps.Keys(m.BaselineStages)) {
		rows = append(rows, []string{"  " + s, fmt.Sprintf("%.1f us", m.BaselineStages[s])})
	}
	printRows(w, rows)
	if m.Soak != nil {
		m.Soak.print(w)
	}
}

// findingsText is how often the load makes rules fire: a rule that fires on many who are not attacked is no measure.
func (m *measured) findingsText() string {
	total := 0.0
	for _, n := range m.ByRule {
		total += n
	}
	text := fmt.Sprintf("%.0f in a million events", total) + figureText(m.NotOpen, ", %.4f of the accounts not open")
	for _, s := range slices.Sorted(maps.Keys(m.ByState)) {
		text += fmt.Sprintf(", %d %s", m.ByState[s], s)
	}
	return text
}

func stageNames() (names []string) {
	for _, s := range engineStages {
		names = append(names, s.name)
	}
	return names
}
