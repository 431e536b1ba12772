package faults

import (
	"encoding/json"
	"fmt"
	"regexp"
)

// model is what a history is compared with: maps, and what EVENTS.md says. It shares no code with the engine.
type model struct {
	h        *History
	problems []string

	last     map[string]string         // topic, key -> content of the newest record
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

// Check compares a history with the model and says what is wrong, each in one sentence.
func Check(h *History) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := &model{h: h, last: map[string]string{}, values: map[string]string{}, events: map[string]*Event{}, tallies: map[string]map[string]int{}, findings: map[string]bool{}, causes: map[string]string{},
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

// What the model reads of the records, written down here once more from EVENTS.md and COMMANDS.md.
type (
	finding struct {
		ID, Rule, Account string
		Event             struct{ Source, ID string }
		Sequence          uint64
		Evidence          []struct {
			Fact  string
			Value any
		}
	}
	state struct {
		Account, State string
		Version        uint64
		Previous       uint64 `json:"previous_version"`
	}
	entry struct {
		Position                           uint64
		Kind, Account, By, Cause, From, To string
		Version, Sequence                  uint64
	}
	notice struct{ ID, Account, Kind, Finding string }
)

// counted is a fact of rule faults.tally.
var counted = regexp.MustCompile(`^count\("([a-z.]+)", "30d"\)$`)

// each calls f for the first copy of every record of a topic, decoded. A copy that says anything else is wrong.
func each[T any](m *model, topic string, f func(r *Record, v *T)) {
	for i := range m.h.Records {
		r := &m.h.Records[i]
		if r.Topic != topic {
			continue
		}
		m.last[topic+" "+r.Key] = r.Value
		if was, again := m.values[topic+" "+r.ID]; again {
			if was != r.Value {
				m.wrong("%s %s was published in two forms:\n  %s\n  %s", topic, r.ID, was, r.Value)
			}
			continue
		}
		m.values[topic+" "+r.ID] = r.Value
		v := new(T)
		if err := json.Unmarshal([]byte(r.Value), v); err != nil {
			m.wrong("%s %d/%d can't be read: %v", topic, r.Partition, r.Offset, err)
			continue
		}
		f(r, v)
	}
}

// evidence is what faults.tally counted, by type of event.
func (m *model) evidence(f *finding) map[string]int {
	counts := map[string]int{}
	for _, v := range f.Evidence {
		kind := counted.FindStringSubmatch(v.Fact)
		n, ok := v.Value.(float64)
		if kind == nil || !ok {
			m.wrong("finding %s: %s = %v is none of the rule's", f.ID, v.Fact, v.Value)
			continue
		}
		counts[kind[1]] = int(n)
	}
	if len(counts) != tallied {
		m.wrong("finding %s counts %d types of events, the rule %d", f.ID, len(counts), tallied)
	}
	return counts
}

// tallied is how many types of events faults.tally counts.
const tallied = 6
