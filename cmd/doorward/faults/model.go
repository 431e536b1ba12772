package faults

import (
	"fmt"
	"slices"
	"strings"
)

// rank orders what findings may only tighten.
var rank = map[string]int{"open": 0, "challenged": 1, "limited": 2, "locked": 3}

// edges are the ways between states (EVENTS.md, "What comes back"); an account that was never told of is open.
var edges = map[string][]string{
	"open":       {"challenged", "limited", "locked"},
	"challenged": {"open", "limited", "locked"},
	"limited":    {"open", "challenged", "locked", "recovering", "probation"},
	"locked":     {"open", "recovering", "probation"},
	"recovering": {"open", "challenged", "limited", "locked", "probation"},
	"probation":  {"open", "challenged", "limited", "locked"},
}

// input: what was acknowledged is there, and no good record is a dead letter; each event counts once, in the order of its partition.
func (m *model) input() {
	counts, dead := map[string]map[string]int{}, map[string]bool{}
	for _, r := range m.h.Records {
		dead[r.From[strings.Index(r.From, "/")+1:]] = true
	}
	for i := range m.h.Events {
		e := &m.h.Events[i]
		if dead[fmt.Sprintf("%d/%d", e.Partition, e.Offset)] {
			m.wrong("event %s is a dead letter", e.Name)
		}
		if m.events[e.Name] != nil {
			continue
		}
		m.events[e.Name] = e
		if counts[e.Account] == nil {
			counts[e.Account] = map[string]int{}
		}
		counts[e.Account][e.Type]++
		if e.Drain {
			m.lost["faults.drain "+e.Name] = "the event that drained " + e.Account
		}
		if e.Type == "session.ended" {
			m.lost["faults.tally "+e.Name], m.tallies[e.Name] = "an event of "+e.Account, map[string]int{}
			for kind, n := range counts[e.Account] {
				m.tallies[e.Name][kind] = n
			}
		}
	}
	for name, acknowledged := range m.h.Sent {
		if acknowledged && m.events[name] == nil {
			m.wrong("event %s was acknowledged by the broker and is not in the topic", name)
		}
	}
}

// found: a finding has an event behind it, and a rule finds an event once; every tally and every drain is found.
func (m *model) found() {
	each(m, "doorward.findings.v1", func(r *Record, f *finding) {
		name := f.Event.Source + " " + f.Event.ID
		m.findings[f.ID] = true
		m.once("finding "+f.Rule+" "+name, f.ID)
		delete(m.lost, f.Rule+" "+name)
		if e := m.events[name]; e == nil || e.Account != f.Account || r.Key != f.Account {
			m.wrong("finding %s of %s is about event %s, which that account has not", f.ID, f.Account, name)
		} else if f.Rule == "faults.tally" {
			m.counts = append(m.counts, *f)
		}
	})
	for cause, what := range m.lost {
		m.wrong("lost: %s (%s) was not found", cause, what)
	}
}

// journal: the audit topic has every position, and each version of an account once.
func (m *model) journal() {
	last := uint64(0)
	each(m, "doorward.audit.v1", func(_ *Record, e *entry) {
		if e.Position != last+1 {
			m.wrong("the journal's entry %d follows %d", e.Position, last)
		}
		last = e.Position
		if e.Kind != "state.changed" {
			return
		}
		key := fmt.Sprint(e.Account, " ", e.Version)
		m.once("version "+key, fmt.Sprint("entry ", e.Position))
		m.entries[key] = e
		if e.By != "rule" && e.By != "deadline" && (e.To == "open" || e.To == "probation") {
			m.forgets[e.Account] = append(m.forgets[e.Account], e.Sequence)
		}
	})
}

// tally: the numbers in the evidence grow as those of the topic. Only a person who lets somebody in has earlier events forgotten: then,
// and never else, the difference between the two grows.
func (m *model) tally() {
	missing, at := map[string]map[string]int{}, map[string]uint64{} // by account: of each type, and when that was said
	for _, f := range m.counts {
		name := f.Event.Source + " " + f.Event.ID
		if m.events[name].Unreliable {
			continue
		}
		was, now := missing[f.Account], map[string]int{}
		forgot := slices.ContainsFunc(m.forgets[f.Account], func(s uint64) bool { return s > at[f.Account] && s <= f.Sequence })
		for kind, n := range m.evidence(&f) {
			now[kind] = m.tallies[name][kind] - n
			if d := now[kind] - was[kind]; d < 0 || d > 0 && !forgot {
				m.wrong("event %s of %s: %d %s, the topic has %d, and %d were forgotten", name, f.Account, n, kind, m.tallies[name][kind], was[kind])
			}
		}
		missing[f.Account], at[f.Account] = now, f.Sequence
	}
}

// moves: versions grow by one, along the edges, each with its cause; the last record is the newest; nothing is let in that nobody let in.
func (m *model) moves() {
	for _, a := range m.h.Acts {
		m.acts[a.Account+" "+a.Kind]++
	}
	before := map[string]*state{}
	each(m, "doorward.account-state.v1", func(_ *Record, s *state) {
		was := before[s.Account]
		if was == nil {
			was = &state{State: "open"}
		}
		before[s.Account], m.states[fmt.Sprint(s.Account, " ", s.Version)] = s, s
		if s.Version != was.Version+1 || s.Previous != was.Version {
			m.wrong("%s: version %d (before it %d) follows %d", s.Account, s.Version, s.Previous, was.Version)
		}
		if s.State != was.State && !slices.Contains(edges[was.State], s.State) {
			m.wrong("%s: version %d goes from %s to %s", s.Account, s.Version, was.State, s.State)
		}
		m.named(was, s)
	})
	for account, s := range before {
		if last := m.last["doorward.account-state.v1 "+account]; !strings.Contains(last, fmt.Sprintf(`"version":%d,`, s.Version)) {
			m.wrong("%s: the last record on the topic is not version %d: %s", account, s.Version, last)
		}
	}
}

// named: the journal names what moved an account, each cause moved it once, and findings only tighten.
func (m *model) named(was, s *state) {
	e := m.entries[fmt.Sprint(s.Account, " ", s.Version)]
	if e == nil || e.To != s.State || e.From != was.State && e.From != "" {
		m.wrong("%s: version %d goes from %s to %s, in the journal it is %+v", s.Account, s.Version, was.State, s.State, e)
		return
	}
	if e.By != "deadline" {
		m.once(fmt.Sprintf("%s: %s by %s %s", s.Account, s.State, e.By, e.Cause), fmt.Sprint("version ", s.Version))
	}
	from, knownFrom := rank[was.State]
	to, knownTo := rank[s.State]
	looser := knownFrom && knownTo && to < from || was.State != s.State && (s.State == "probation" || was.State == "recovering" && to < rank["locked"])
	if !looser || e.By == "deadline" && was.State != "locked" {
		return
	}
	for _, kind := range map[string][]string{"operator": {"unlock"}, "owner": {"recover", "verify"}, "platform": {"verify"}}[e.By] {
		if m.acts[s.Account+" "+kind]--; m.acts[s.Account+" "+kind] >= 0 {
			return
		}
	}
	m.wrong("%s: version %d: %s let it from %s to %s, and nobody did that", s.Account, s.Version, e.By, was.State, s.State)
}

// notices: of one cause there is one.
func (m *model) notices() {
	each(m, "doorward.notices.v1", func(_ *Record, n *notice) {
		if n.Finding != "" {
			m.once("notice "+n.Account+" "+n.Kind+" "+n.Finding, n.ID)
		}
	})
}

// answers: what acts and decisions were answered with is what was published, and the API never says less than that.
func (m *model) answers() {
	for _, a := range m.h.Acts {
		if s := m.states[fmt.Sprint(a.Account, " ", a.Version)]; a.Done && a.Version > 0 && (s == nil || s.State != a.State) {
			m.wrong("%s of %s was answered with version %d %s, and that was never published", a.Kind, a.Account, a.Version, a.State)
		}
	}
	for _, a := range m.h.Answers {
		if !a.Late {
			m.once("the answer to "+a.Event, a.Raw)
		}
		for _, id := range a.Findings {
			if !m.findings[id] {
				m.wrong("the answer to %s names finding %s, which was never published", a.Event, id)
			}
		}
	}
	for _, l := range m.h.Looks {
		if !l.Unknown && l.Version < l.Known {
			m.wrong("the API said that %s is %s, version %d, when %d was published", l.Account, l.State, l.Version, l.Known)
		}
	}
}
