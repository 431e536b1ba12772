package rules

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"doorward/auth"
	"doorward/rules/event"
	"doorward/rules/window"
)

// kind is what a value of a condition is.
type kind int

const (
	unsettled kind = iota // extra.NAME, until what it is compared with says what it must be
	number
	text
	truth
	list
)

func (k kind) String() string {
	return [...]string{"a value of unknown kind", "a number", "text", "true or false", "a list"}[k]
}

// Units of numbers, as evidence names them.
const (
	seconds = "s"
	money   = "minor units" // of the event's currency
	km      = "km"
	kmh     = "km/h"
)

// fact is one thing that a condition can see of an event by name.
type fact struct {
	name   string
	kind   kind
	unit   string
	least  bool     // a number that is never below 0
	values []string // the only values it can have; nil: any
	masked bool     // names another person's account: evidence shows its end only
}

// names are the facts of the event itself, in the contract's order, then those that are computed. extra.NAME and labels.NAME come on top.
var names = func() []fact {
	var all []fact
	for _, f := range event.Fields() {
		switch f.Kind {
		case event.Integer:
			all = append(all, fact{name: f.Name, kind: number, unit: money, least: f.Name == "amount"})
		case event.Number, event.Strings:
		default:
			if !strings.Contains(f.Name, ".") && f.Name != "country" {
				values := f.Values
				if f.Name == "reason" {
					values = nil // a failed transaction's is the platform's own word
				}
				all = append(all, fact{name: f.Name, kind: text, values: values, masked: f.Name == "counterparty"})
			}
		}
	}
	return append(all,
		fact{name: "type", kind: text, values: typeNames},
		fact{name: "country", kind: text}, // where the event came from
		fact{name: "data.country", kind: text},
		fact{name: "city", kind: text},
		fact{name: "account.state", kind: text, values: []string{string(auth.Open), string(auth.Challenged), string(auth.Limited),
			string(auth.Locked), string(auth.Recovering), string(auth.Probation)}})
}()

// loginReasons are the values of `reason` where a rule is about failed logins alone.
var loginReasons = func() []string {
	all := event.Fields()
	return all[slices.IndexFunc(all, func(f event.FieldSpec) bool { return f.Name == "reason" })].Values
}()

var typeNames = func() []string {
	var all []string
	for _, t := range event.Types() {
		all = append(all, string(t))
	}
	return all
}()

// typeWords are what may stand for types, for suggestions.
var typeWords = append(slices.Clone(typeNames), "login.*", "login.mfa.*", "session.*", "account.*", "account.password.*", "account.payee.*",
	"transaction.*", "report.*")

func factNamed(name string) (fact, bool) {
	i := slices.IndexFunc(names, func(f fact) bool { return f.name == name })
	if i < 0 {
		return fact{}, false
	}
	return names[i], true
}

// wordsFor are all names a condition may use, for suggestions.
func wordsFor(more ...string) []string {
	all := append([]string(nil), more...)
	for _, f := range names {
		all = append(all, f.name)
	}
	return append(all, "extra", "labels")
}

// types reads an event type, a "login.*" or several with "|" between; unknown is the first that the contract does not have.
func types(s string) (all []string, unknown string) {
	for part := range strings.SplitSeq(s, "|") {
		part = strings.TrimSpace(part)
		if len(matching(part)) == 0 {
			return nil, part
		}
		all = append(all, part)
	}
	sort.Strings(all)
	return slices.Compact(all), ""
}

// matching are the types that a name or a "login.*" stands for; none when the contract has no such type.
func matching(pattern string) []event.Type {
	prefix, wild := strings.CutSuffix(pattern, "*")
	if wild && !strings.HasSuffix(prefix, ".") {
		return nil
	}
	var all []event.Type
	for _, t := range event.Types() {
		if string(t) == pattern || wild && strings.HasPrefix(string(t), prefix) {
			all = append(all, t)
		}
	}
	return all
}

// maxSpan is the longest time a rule can ask for: as long as findings are kept (EVENTS.md, "Repeats": 400 days).
const maxSpan = 400 * 24 * time.Hour

// duration reads "90s", "10m", "1h30m", "7d", "2w".
func duration(s string) (time.Duration, error) {
	var sum time.Duration
	rest := s
	for rest != "" {
		n := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if n <= 0 || n > 9 {
			return 0, fmt.Errorf("%q is not a duration", s)
		}
		v, err := strconv.Atoi(rest[:n])
		if err != nil {
			return 0, fmt.Errorf("%q is not a duration: %w", s, err)
		}
		unit := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}[rest[n]]
		if unit == 0 {
			return 0, fmt.Errorf("%q is not a duration", s)
		}
		if time.Duration(v) > maxSpan/unit || sum+time.Duration(v)*unit > maxSpan {
			return 0, fmt.Errorf("%q is longer than 400 days", s)
		}
		sum += time.Duration(v) * unit
		rest = rest[n+1:]
	}
	if sum <= 0 {
		return 0, fmt.Errorf("%q is not a duration", s)
	}
	return sum, nil
}

// keyNames are the names of window.Keys, as `per:` and the last words of a window function name them.
var keyNames = func() []string {
	var all []string
	for _, k := range window.Keys {
		all = append(all, string(k))
	}
	return all
}()
