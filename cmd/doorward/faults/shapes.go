package faults

import (
	"encoding/json"
	"regexp"
)

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
