package rules

import (
	"math"
	"strings"

	"doorward/auth"
	"doorward/rules/event"
	"doorward/rules/window"
)

// reader reads an event's facts into their slots, each once and only when it is asked for, and notes which rules are true. It is used again
// for the next event: a slot counts as read when it has this round's number.
type reader struct {
	memory
	env      any // the memory as the VM takes it
	slots    []slot
	facts    *Facts
	round    uint32
	loaded   []uint32 // by slot: the round in which it was read
	read     []int    // slots of this round
	present  []bool
	readings []window.Reading

	hits    []int           // positions of the rules that are true
	isTrue  []uint32        // by rule: the round in which it was true
	list    []window.Recall // what is remembered of the account's rules
	changes []window.Recall // what is to be remembered instead
}

func newReader(s *Set) *reader {
	n := len(s.slots)
	r := &reader{memory: memory{N: make([]float64, n), S: make([]string, n), B: make([]bool, n)}, slots: s.slots,
		loaded: make([]uint32, n), read: make([]int, 0, n), present: make([]bool, n), readings: make([]window.Reading, n),
		hits: make([]int, 0, 64), isTrue: make([]uint32, len(s.compiled))}
	r.env = r.memory
	for i := range r.N {
		r.N[i] = math.NaN()
	}
	return r
}

func (r *reader) begin(f *Facts) {
	r.round++
	if r.round == 0 { // after four billion events
		clear(r.loaded)
		clear(r.isTrue)
		r.round = 1
	}
	r.facts = f
}

// end lets go of what belongs to the event.
func (r *reader) end() {
	for _, i := range r.read {
		r.S[i] = ""
	}
	r.read, r.hits, r.changes, r.facts = r.read[:0], r.hits[:0], r.changes[:0], nil
}

func (r *reader) load(i int) {
	if r.loaded[i] != r.round {
		r.fill(i)
	}
}

func (r *reader) loadAll(slots []int) {
	for _, i := range slots {
		r.load(i)
	}
}

func (r *reader) fill(i int) {
	r.loaded[i] = r.round
	r.read = append(r.read, i)
	s := &r.slots[i]
	switch {
	case s.word != nil:
		r.S[i] = s.word(r.facts)
		r.present[i] = r.S[i] != ""
	case s.spec != nil:
		r.window(i, s)
	case s.ask:
		r.load(s.of)
		r.B[i], r.present[i] = r.present[s.of], true
	case s.match != nil:
		r.load(s.of)
		r.B[i], r.present[i] = s.match.MatchString(r.S[s.of][:min(len(r.S[s.of]), maxMatched)]), r.present[s.of]
	case s.extra != "":
		r.extra(i, s)
	default:
		r.N[i], r.present[i] = amount(r.facts.Event, s.name)
	}
}

func (r *reader) window(i int, s *slot) {
	v := r.facts.View.Read(s.in)
	r.readings[i], r.present[i] = v, true
	r.B[i], r.N[i] = v.Value != 0, v.Value
	if s.gone && v.Value < 0 {
		r.N[i], r.present[i] = math.NaN(), false
	}
}

func (r *reader) extra(i int, s *slot) {
	r.N[i], r.S[i], r.B[i], r.present[i] = math.NaN(), "", false, false
	switch v := r.facts.Event.Extra[s.extra].(type) {
	case string:
		r.S[i], r.present[i] = v, v != "" && (s.kind == text || s.kind == unsettled)
	case float64:
		r.N[i], r.present[i] = v, s.kind == number || s.kind == unsettled
	case bool:
		r.B[i], r.present[i] = v, s.kind == truth || s.kind == unsettled
	}
}

// amount reads a field that holds an amount; NaN when the event lacks it, so that every comparison with it is false.
func amount(e *event.Event, name string) (float64, bool) {
	v, has := e.Amount, e.HasAmount
	switch name {
	case "balance_before":
		v, has = e.BalanceBefore, e.HasBefore
	case "balance_after":
		v, has = e.BalanceAfter, e.HasAfter
	}
	if !has {
		return math.NaN(), false
	}
	return float64(v), true
}

// wordOf is the reader of a field that holds text; empty: the event lacks it. Those that rules name most are read without a search.
func wordOf(name string) func(*Facts) string {
	if read := words[name]; read != nil {
		return read
	}
	name = strings.TrimPrefix(name, "data.")
	return func(f *Facts) string {
		v, _ := f.Event.Field(name) // an absent field is empty text
		return v
	}
}

var words = map[string]func(*Facts) string{
	"type":              func(f *Facts) string { return string(f.Event.Type) },
	"ip":                func(f *Facts) string { return f.Event.IP },
	"device":            func(f *Facts) string { return f.Event.Device },
	"user_agent":        func(f *Facts) string { return f.Event.UserAgent },
	"session":           func(f *Facts) string { return f.Event.Session },
	"language":          func(f *Facts) string { return f.Event.Language },
	"timezone":          func(f *Facts) string { return f.Event.Timezone },
	"method":            func(f *Facts) string { return f.Event.Method },
	"reason":            func(f *Facts) string { return f.Event.Reason },
	"factor":            func(f *Facts) string { return f.Event.Factor },
	"via":               func(f *Facts) string { return f.Event.Via },
	"counterparty":      func(f *Facts) string { return f.Event.Counterparty },
	"counterparty_kind": func(f *Facts) string { return f.Event.CounterpartyKind },
	"kind":              func(f *Facts) string { return f.Event.Kind },
	"direction":         func(f *Facts) string { return f.Event.Direction },
	"currency":          func(f *Facts) string { return f.Event.Currency },
	"instrument":        func(f *Facts) string { return f.Event.Instrument },
	"channel":           func(f *Facts) string { return f.Event.Channel },
	"category":          func(f *Facts) string { return f.Event.Category },
	"data.country":      func(f *Facts) string { return f.Event.Country },
	"city":              func(f *Facts) string { return f.Place.City },
	"country": func(f *Facts) string {
		if f.Place.Country != "" {
			return f.Place.Country
		}
		return f.Event.Country
	},
	"account.state": func(f *Facts) string {
		if f.Account.State == "" {
			return string(auth.Open)
		}
		return string(f.Account.State)
	},
}
