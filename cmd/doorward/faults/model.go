package faults

import (
	"fmt"
	"slices"
	"strings"
)

// model is what a history is compared with: maps, and what EVENTS.md says. It shares no code with the engine.
type model struct {
	h        *History
	problems []string

	values   map[string]string         // topic, record id -> content
	events   map[string]*Event         // by name, first copy
	tallies  map[string]map[string]int // events of faults.tally by name: how many events of each type its account had then
	findings map[string]bool           // ids
	causes   map[string]string         // what must happen once -> what came of it
	lost     map[string]string         // what must be found -> what it is
	forgets  map[string][]uint64       // account -> sequences at which it was let in, and what it did before was forgotten
	counts   []finding                 // of faults.tally, in order
	states   map[string]*state         // "account version"
	entries  map[string]*entry         // "account version" -> the journal's
	acts     map[string]int            // "account kind of act" -> how many were made
}

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

// Check compares a history with the model and says what is wrong, each in one sentence.
func Check(h *History) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := &model{h: h, values: map[string]string{}, events: map[string]*Event{}, tallies: map[string]map[string]int{}, findings: map[string]bool{}, causes: map[string]string{},
		lost: map[string]string{}, forgets: map[string][]uint64{}, states: map[string]*state{}, entries: map[string]*entry{}, acts: map[string]int{}}
	for _, step := range []func(){m.input, m.found, m.journal, m.tally, m.moves, m.notices, m.answers} {
		step()
	}
	return m.problems
}

func (m *model) wrong(format string, args ...any) {
	m.problems = append(m.problems, fmt.Sprintf(format, args...))
}

// once says that a cause has had an effect, and is wrong when it had another one before.
func (m *model) once(cause, effect string) {
	if was, ok := m.causes[cause]; ok && was != effect {
		m.wrong("%s had two effects: %s and %s", cause, was, effect)
	}
	m.causes[cause] = effect
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
	type base struct {
		missing map[string]int
		at      uint64
	}
	bases := map[string]base{}
	for _, f := range m.counts {
		name := f.Event.Source + " " + f.Event.ID
		if m.events[name].Unreliable {
			continue
		}
		was, now := bases[f.Account], base{map[string]int{}, f.Sequence}
		forgot := slices.ContainsFunc(m.forgets[f.Account], func(s uint64) bool { return s > was.at && s <= f.Sequence })
		for _, v := range f.Evidence {
			kind := counted.FindStringSubmatch(v.Fact)
			n, ok := v.Value.(float64)
			if kind == nil || !ok {
				m.wrong("event %s: the evidence %s = %v is none of the rule", name, v.Fact, v.Value)
				continue
			}
			now.missing[kind[1]] = m.tallies[name][kind[1]] - int(n)
			if d := now.missing[kind[1]] - was.missing[kind[1]]; d < 0 || d > 0 && !forgot {
				m.wrong("event %s of %s: %s is %v, the topic has %d, and %d were forgotten", name, f.Account, v.Fact, v.Value, m.tallies[name][kind[1]], was.missing[kind[1]])
			}
		}
		bases[f.Account] = now
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
	last := map[string]string{} // of each account
	for _, r := range m.h.Records {
		if r.Topic == "doorward.account-state.v1" {
			last[r.Key] = r.Value
		}
	}
	for account, s := range before {
		if !strings.Contains(last[account], fmt.Sprintf(`"version":%d,`, s.Version)) {
			m.wrong("%s: the last record on the topic is not version %d: %s", account, s.Version, last[account])
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
	m.once(fmt.Sprintf("%s: %s by %s %s", s.Account, s.State, e.By, e.Cause), fmt.Sprint("version ", s.Version))
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
