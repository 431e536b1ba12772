package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sort"
	"sync"
	"time"

	"doorward/auth"
	"doorward/rules/event"
	"doorward/rules/window"
)

// Set is a rule set, checked and compiled. It never changes, and any number of shards may evaluate it at the same time.
type Set struct {
	rules    []*Rule
	compiled []*compiled
	by       map[event.Type]*listeners
	slots    []slot
	again    recall
	layout   *window.Layout
	payee    int // slot of payeeKnown
	print    string
	files    []File
	readers  sync.Pool
}

// compiled is a rule as it is evaluated.
type compiled struct {
	*Rule
	meaning string // its condition in one spelling, for the version
	at      int    // its position in the set
	cond    *logic
	either  [][]atom      // the condition, for the index
	whole   *program      // the condition, for the VM
	facts   []int         // slots it reads
	windows []int         // those of them that are windows
	behind  time.Duration // how far back its windows across accounts look; 0: it has none
	again   int           // slot of its memory in the layout; -1: it needs none
	ordinal int           // among the rules that have one; -1
}

func (l *loader) finish() (*Set, error) {
	sort.Slice(l.compiled, func(i, j int) bool { return l.compiled[i].ID < l.compiled[j].ID })
	s := &Set{compiled: l.compiled, by: map[event.Type]*listeners{}, slots: l.pool.slots, files: l.files}
	var specs []window.Spec
	for i := range s.slots {
		if w := s.slots[i].spec; w != nil {
			specs = append(specs, *w)
		}
	}
	specs = append(specs, s.again.plan(s.compiled)...)
	specs = append(specs, payeeKnown)
	var err error
	if s.layout, err = window.NewLayout(specs); err != nil {
		return nil, fmt.Errorf("lay out windows: %w", err)
	}
	s.payee = s.layout.Slot(payeeKnown)
	for i := range s.slots {
		if w := s.slots[i].spec; w != nil {
			s.slots[i].in = s.layout.Slot(*w)
		}
	}
	s.again.place(s.layout)
	h := sha256.New()
	by := map[event.Type][]*compiled{}
	for i, c := range s.compiled {
		c.at = i
		s.place(c, by)
		c.Version = c.Rule.version(c.meaning)
		s.rules = append(s.rules, c.Rule)
		fmt.Fprintf(h, "%s %s\n", c.ID, c.Version)
	}
	s.print = hex.EncodeToString(h.Sum(nil))
	for t, of := range by {
		s.by[t] = s.listen(of)
	}
	s.readers.New = func() any { return newReader(s) }
	return s, nil
}

// place notes which event types a rule is on and what it needs.
func (s *Set) place(c *compiled, by map[event.Type][]*compiled) {
	for _, pattern := range c.On {
		for _, t := range matching(string(pattern)) {
			if of := by[t]; len(of) == 0 || of[len(of)-1] != c {
				by[t] = append(of, c)
			}
		}
	}
	for _, i := range c.facts {
		w := s.slots[i].spec
		if w == nil {
			continue
		}
		c.windows = append(c.windows, i)
		if w.Key != window.Account {
			c.behind = max(c.behind, behind(*w))
		}
	}
}

// version is the first 12 hex digits of SHA-256 over all that a rule decides and says: not its comments, title, level or references, nor how
// its condition is spaced.
func (r *Rule) version(when string) string {
	b, err := json.Marshal(struct {
		ID       string
		On       []event.Type
		Per      window.Key
		When     string
		Again    Again
		Score    int
		Response string
		Recovery string
		For      time.Duration
		Attack   []string
		Reason   auth.Reason
	}{r.ID, r.On, r.Per, when, r.Again, r.Score, r.Response.String(), r.Recovery, r.For, r.Attack, r.Reason})
	if err != nil {
		panic("rules: a rule is text and numbers, which JSON always takes: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}

// Rules are the rules in the order of their ids. They belong to the set: do not change them.
func (s *Set) Rules() []*Rule { return s.rules }

// Rule is the rule with an id, nil when there is none.
func (s *Set) Rule(id string) *Rule {
	i := sort.Search(len(s.rules), func(i int) bool { return s.rules[i].ID >= id })
	if i < len(s.rules) && s.rules[i].ID == id {
		return s.rules[i]
	}
	return nil
}

// payeeKnown is the window that the engine itself reads, whatever the rules: in probation, money goes out to payees only that the account
// knew before it (EVENTS.md, "What comes back"). The built-in rules read the same one.
var payeeKnown = window.Spec{Func: window.KnownFor, Key: window.Account, Types: []string{"transaction.requested"}, Field: "counterparty", Where: "out"}

// PayeeKnown is the slot of how long an account has known the payee of an event, in seconds.
func (s *Set) PayeeKnown() int { return s.payee }

// Layout is the windows that the set needs, one slot each.
func (s *Set) Layout() *window.Layout { return s.layout }

// Fingerprint is the hash of every rule's id and version, whatever files and order they stand in: two sets with the same fingerprint decide
// alike.
func (s *Set) Fingerprint() string { return s.print }

// File is a file of rules as it was read.
type File struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Files are what the set was made of, in the order they were read: LoadFiles makes the same set of them. Do not change them.
func (s *Set) Files() []File { return s.files }

// LoadFiles compiles what Files gave.
func LoadFiles(files []File) (*Set, error) {
	l := newLoader()
	for _, f := range files {
		l.file(newSource(f.Name, f.Text))
	}
	set, err := l.end()
	switch {
	case err != nil:
		return nil, err
	case len(l.mistakes) > 0:
		return nil, l.mistakes
	}
	return set, nil
}
