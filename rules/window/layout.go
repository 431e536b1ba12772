package window

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Layout says which windows of a rule set a record holds, and in what order. It is a function of the set of its specs alone.
type Layout struct {
	readings []reading
	slots    map[string]int
	states   map[string]*cell // by state text
	cells    []*cell
	byKey    [][]*cell // by position in Keys
	sizes    []int     // the most that records can have, by position in Keys
	fields   []string

	reduced    bool  // see Without
	each       bool  // of version 2, see version2.go
	again      *cell // the list of what rules remember; nil: none does
	firstAgain int   // slot of the first of them; the others follow
}

// reading is one slot: what a spec reads of a cell.
type reading struct {
	spec  Spec
	cell  *cell
	known int64 // fixed part of KnownFrom: the span that must pass, ms or slices
}

// cell is the bytes that one window has in the record of its key. Readings of one state (first_seen and known) share it.
type cell struct {
	index   int // among the layout's cells
	key     int // position in Keys
	number  int // among the cells of its key
	least   int // bytes without a thing; all are multiples of 4
	each    int // bytes of one thing more, 0: there is none
	most    int // bytes
	kind    *kind
	spec    Spec
	text    string // the state's canonical text, by which it moves to another layout
	types   matcher
	steps   []matcher // sequence
	field   int       // position in the layout's fields, -1: none
	spanned int64     // span: ms for accounts, seconds across
	width   int64     // of a bucket, the same unit
	buckets int
	rules   int // again: how many remember
}

// fits reports whether c can have so many bytes.
func (c *cell) fits(n int) bool {
	return n > 0 && n <= c.most && (n == c.least || c.each > 0 && n > c.least && (n-c.least)%c.each == 0)
}

// fixed says that c has n bytes or none.
func (c *cell) fixed(n int) { c.least, c.most = n, n }

// list says that c has head bytes and up to n things of each bytes.
func (c *cell) list(head, each, n int) { c.least, c.each, c.most = head, each, head+each*n }

// unknownSpan is how long a window without a span is unknown after it was added (DESIGN, "A changed rule set").
const unknownSpan = 30 * 24 * time.Hour

// NewLayout gives each distinct spec one slot, in the order of their texts. The error names the spec that is wrong and how.
func NewLayout(specs []Spec) (*Layout, error) { return newLayout(specs, false) }

func newLayout(specs []Spec, each bool) (*Layout, error) {
	l := &Layout{each: each, slots: map[string]int{}, states: map[string]*cell{}, byKey: make([][]*cell, len(Keys)), sizes: make([]int, len(Keys))}
	byText := map[string]Spec{}
	for _, s := range specs {
		if err := s.Check(); err != nil {
			return nil, fmt.Errorf("window %s: %w", s.Text(), err)
		}
		s = s.normal()
		t := s.Text()
		s.Was = sorted(append(slices.Clone(s.Was), byText[t].Was...))
		byText[t] = s
	}
	texts := make([]string, 0, len(byText))
	for t := range byText {
		texts = append(texts, t)
	}
	slices.Sort(texts)
	for i := range l.sizes {
		l.sizes[i] = headerSize
	}
	for _, t := range texts {
		s := byText[t]
		state := stateText(s)
		if each && s.Func == Again {
			state = t
		}
		c := l.states[state]
		if c == nil {
			c = l.place(s, state)
			l.states[state] = c
		}
		switch {
		case s.Func != Again:
		case each:
			c.kind = &eachKind
			l.states[stateText(s)] = c // any of them: there is something to continue
		default:
			if c.rules++; c.rules == 1 {
				l.again, l.firstAgain = c, len(l.readings)
			}
		}
		l.slots[t] = len(l.readings)
		l.readings = append(l.readings, reading{s, c, unit(s.Key, cmpOr(s.Span, unknownSpan))})
	}
	if l.again != nil && l.again.rules > maxAgain {
		return nil, fmt.Errorf("%d rules remember when they fired, the limit is %d", l.again.rules, maxAgain)
	}
	for _, c := range l.cells {
		c.kind.size(c)
		l.sizes[c.key] += entrySize + c.most
	}
	return l, nil
}

func cmpOr(d, or time.Duration) time.Duration {
	if d == 0 {
		return or
	}
	return d
}

// unit is d as windows of key count it: milliseconds of event time, or slices of a second.
func unit(key Key, d time.Duration) int64 {
	if key == Account {
		return d.Milliseconds()
	}
	return int64(d / time.Second)
}

// stateText is the canonical text of what s remembers, whichever reading it is. What rules remember is one state.
func stateText(s Spec) string {
	s.Func = kindOf(s).funcs[0]
	if s.Func == Again {
		s.Field = ""
	}
	return s.Text()
}

func (l *Layout) place(s Spec, state string) *cell {
	c := &cell{index: len(l.cells), key: slices.Index(Keys, s.Key), kind: kindOf(s), spec: s, text: state, types: newMatcher(s.Types), field: -1,
		spanned: unit(s.Key, s.Span)}
	if c.kind.field && s.Func != Again {
		if c.field = slices.Index(l.fields, s.Field); c.field < 0 {
			c.field = len(l.fields)
			l.fields = append(l.fields, s.Field)
		}
	}
	c.number = len(l.byKey[c.key])
	l.cells = append(l.cells, c)
	l.byKey[c.key] = append(l.byKey[c.key], c)
	return c
}

// Slot is the position of s among l's readings, -1 when it has none.
func (l *Layout) Slot(s Spec) int {
	if i, ok := l.slots[s.Text()]; ok {
		return i
	}
	return -1
}

// Len is how many slots l has.
func (l *Layout) Len() int { return len(l.readings) }

// Spec is what a slot reads, in its normal form.
func (l *Layout) Spec(slot int) Spec { return l.readings[slot].spec }

// Equal reports whether records of l and o are the same bytes.
func (l *Layout) Equal(o *Layout) bool {
	return l == o || !l.reduced && !o.reduced && l.each == o.each && slices.EqualFunc(l.cells, o.cells, func(a, b *cell) bool {
		return a.text == b.text && a.most == b.most
	}) && slices.EqualFunc(l.remembering(), o.remembering(), func(a, b reading) bool { return a.spec.Field == b.spec.Field })
}

// remembering are the rules that remember, in the order of their numbers.
func (l *Layout) remembering() []reading {
	if l.again == nil {
		return nil
	}
	return l.readings[l.firstAgain : l.firstAgain+l.again.rules]
}

// RecordSize is the most bytes that a record of key can have.
func (l *Layout) RecordSize(key Key) int { return l.sizes[slices.Index(Keys, key)] }

// BytesPerAccount is the most that an account can cost in memory, without the records of its addresses and devices: its record when every
// window is full, and about 16 bytes of index. What accounts do cost is for [Memory.Bytes] to say.
func (l *Layout) BytesPerAccount() int { return l.RecordSize(Account) + indexSize }

// layoutVersion is the encoding of records. It changes when any kind's bytes, or the header's, change their meaning.
const layoutVersion = 3

// storedLayout is a layout as it is stored beside pages and deltas. Names never change meaning.
type storedLayout struct {
	Version int          `json:"version"`
	Windows []storedSpec `json:"windows"`
}

type storedSpec struct {
	Func  Func     `json:"func"`
	Key   Key      `json:"key"`
	Types []string `json:"types,omitempty"`
	Field string   `json:"field,omitempty"`
	Span  int64    `json:"span_s,omitempty"`
	Where string   `json:"where,omitempty"`
	Was   []string `json:"was,omitempty"`
}

// Marshal is l as it is stored beside pages and deltas; the same layout always gives the same bytes.
func (l *Layout) Marshal() []byte {
	stored := storedLayout{Version: layoutVersion, Windows: []storedSpec{}}
	for _, r := range l.readings {
		s := r.spec
		stored.Windows = append(stored.Windows, storedSpec{s.Func, s.Key, s.Types, s.Field, int64(s.Span / time.Second), s.Where, s.Was})
	}
	b, err := json.Marshal(stored)
	if err != nil {
		panic("window: a layout is text and numbers, which JSON always takes: " + err.Error())
	}
	return b
}

// UnmarshalLayout reads what Marshal wrote, for Restore. A version other than this one and the one before is refused.
func UnmarshalLayout(b []byte) (*Layout, error) {
	var stored storedLayout
	if err := json.Unmarshal(b, &stored); err != nil {
		return nil, fmt.Errorf("read window layout: %w", err)
	}
	if stored.Version != layoutVersion && stored.Version != layoutEach {
		return nil, fmt.Errorf("read window layout: version %d, this doorward reads version %d", stored.Version, layoutVersion)
	}
	specs := make([]Spec, len(stored.Windows))
	for i, s := range stored.Windows {
		if s.Span < 0 || s.Span > int64(MaxSpan/time.Second) {
			return nil, fmt.Errorf("read window layout: a span of %d seconds", s.Span)
		}
		specs[i] = Spec{s.Func, s.Key, s.Types, s.Field, time.Duration(s.Span) * time.Second, s.Where, s.Was}
	}
	l, err := newLayout(specs, stored.Version == layoutEach)
	if err != nil {
		return nil, fmt.Errorf("read window layout: %w", err)
	}
	return l, nil
}
