package rules

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// The index of the rules for one event type is a tree. What stands at a node is true of every rule below it or looser than each of theirs
// ("at least 5 failures" above rules that ask for 5, 6 and 50), so that where it is false no rule below can be true, and none is looked at.
// Rules are first gathered by their rarest atom, then by the next, then split by the size of their constants: what an ordinary event costs
// grows with the number of different kinds of rules, hardly with the number of rules.

// entry is one alternative of a rule's condition, with the atoms that are not known to be true yet.
type entry struct {
	rule  *compiled
	atoms []atom
}

// node holds what must be true for anything below it.
type node struct {
	guards []test
	leaves []leafRule
	below  []*node
	gated  bool // below is sorted: where one's first guard is false, those of all after it are
	words  map[string]*node
	slot   int // of words
}

// leafRule is true when all of its tests are.
type leafRule struct {
	rule  int // its position in the set
	tests []test
}

const (
	fewRules = 4 // are tried one by one
	fan      = 8 // parts into which more are split
)

// listeners are the rules of one event type.
type listeners struct {
	rules []*compiled // by id
	tree  *node
	heard []uint64 // ordinals of those that remember, a bit each
}

func (l *listeners) hears(c *compiled) bool { return l.heard[c.ordinal/64]&(1<<(c.ordinal%64)) != 0 }

// listen builds the index of one type.
func (s *Set) listen(rules []*compiled) *listeners {
	l := &listeners{rules: rules, heard: make([]uint64, len(s.again.of)/64+1)}
	var entries []entry
	for _, c := range rules {
		for _, atoms := range c.either {
			entries = append(entries, entry{c, atoms})
		}
		if c.ordinal >= 0 {
			l.heard[c.ordinal/64] |= 1 << (c.ordinal % 64)
		}
	}
	l.tree = &node{} // of rules that are never true
	if len(entries) > 0 {
		l.tree = grow(entries, map[string]float64{}, "")
	}
	return l
}

// climb notes every rule below n that is true.
func (r *reader) climb(n *node) (open bool) {
	for i, g := range n.guards {
		if !g(r) {
			return i > 0
		}
	}
	for i := range n.leaves {
		if l := &n.leaves[i]; r.all(l.tests) {
			r.hit(l.rule)
		}
	}
	for _, b := range n.below {
		if !r.climb(b) && n.gated {
			break
		}
	}
	if n.words != nil {
		r.load(n.slot)
		if b := n.words[r.S[n.slot]]; b != nil {
			r.climb(b)
		}
	}
	return true
}

func (r *reader) hit(rule int) {
	if r.isTrue[rule] != r.round {
		r.isTrue[rule] = r.round
		r.hits = append(r.hits, rule)
	}
}

func (r *reader) all(tests []test) bool {
	for _, t := range tests {
		if !t(r) {
			return false
		}
	}
	return true
}

// grow builds the tree of some rules. Above are the bounds that are known to hold, by key; the guard of gate comes first.
func grow(entries []entry, above map[string]float64, gate string) *node {
	n, shared, known := &node{}, sharedBy(entries), maps.Clone(above)
	for _, s := range shared {
		if s.distinct() && s.form == worded {
			continue
		}
		b, ok := known[s.key]
		switch {
		case s.key == gate:
			n.guards = slices.Insert(n.guards, 0, s.guard())
		case !ok || b != s.loosest() || s.form == ranged:
			n.guards = append(n.guards, s.guard())
		}
		known[s.key] = s.loosest()
		if !s.distinct() {
			entries = without(entries, s.key)
		}
	}
	if len(entries) <= fewRules {
		n.add(entries)
	} else {
		n.part(entries, shared, known)
	}
	return n
}

func (n *node) add(entries []entry) {
	for _, e := range entries {
		l := leafRule{rule: e.rule.at}
		for _, a := range e.atoms {
			l.tests = append(l.tests, a.test)
		}
		n.leaves = append(n.leaves, l)
	}
}

// part puts the rules into smaller trees: by an atom that only some have, else by a word, else by a bound.
func (n *node) part(entries []entry, shared []span, known map[string]float64) {
	if groups := gather(entries, shared); len(groups) > 1 {
		for _, g := range groups {
			n.below = append(n.below, grow(g, known, ""))
		}
		return
	}
	by := splitter(shared, entries)
	switch {
	case by.rare > often: // all ask for the same
		n.add(entries)
	case by.form == worded:
		n.slot, n.words = by.slot, map[string]*node{}
		for word, of := range byWord(entries, by.key) {
			n.words[word] = grow(without(of, by.key), known, "")
		}
	default:
		n.gated = by.form != ranged
		for part := range slices.Chunk(sorted(entries, by), (len(entries)+fan-1)/fan) {
			n.below = append(n.below, grow(part, known, by.key))
		}
	}
}

// splitter is the atom by whose constants rules are best split: a word, a band of something when few rules' bands hold any one value, else
// the rarest.
func splitter(shared []span, entries []entry) span {
	by, band := span{atom: atom{rare: often + 1}}, crowded
	for i := range shared {
		s := &shared[i]
		if !s.distinct() || by.form == worded {
			continue
		}
		if s.form == least {
			if share := held(s, shared, entries); share < band {
				by, band = *s, share
			}
		}
		if s.form == worded || band == crowded && s.rare < by.rare {
			by = *s
		}
	}
	return by
}

// crowded is the share of rules that hold a value, from which on their bands tell them apart no better than a bound does.
const crowded = 0.25

// held is what share of rules hold a value between the least and the greatest bound, when each rule has an upper bound of the same thing.
func held(low *span, shared []span, entries []entry) float64 {
	i := slices.IndexFunc(shared, func(s span) bool { return s.form == most && s.of == low.of })
	if i < 0 {
		return 1
	}
	high, width := &shared[i], 0.0
	for _, e := range entries {
		width += max(0, atomOf(e, high.key).bound-atomOf(e, low.key).bound)
	}
	return width / (max(high.high-low.low, math.SmallestNonzeroFloat64) * float64(len(entries)))
}

// gather groups rules by the rarest atom that not all of them have.
func gather(entries []entry, shared []span) [][]entry {
	at, groups := map[string]int{}, [][]entry(nil)
	for _, e := range entries {
		key, rarity := "", often+1
		for _, a := range e.atoms {
			if a.rare < rarity && !slices.ContainsFunc(shared, func(s span) bool { return s.key == a.key }) {
				key, rarity = a.key, a.rare
			}
		}
		i, ok := at[key]
		if !ok {
			i = len(groups)
			at[key], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], e)
	}
	return groups
}

// span is an atom that all rules of a node have, from its lowest to its highest bound.
type span struct {
	atom
	low, high float64
	words     bool // there is more than one
}

func (s *span) distinct() bool { return s.low != s.high || s.words }

func (s *span) loosest() float64 {
	if s.form == most {
		return s.high
	}
	return s.low
}

// guard is true where the atom of any of the rules is.
func (s *span) guard() test {
	switch {
	case !s.distinct():
		return s.test
	case s.form == least, s.form == most:
		return s.at(s.loosest())
	}
	low, high := s.at(s.low), s.at(s.high)
	return func(r *reader) bool { return low(r) || high(r) }
}

// sharedBy are the atoms that all rules have, cheap and rare first.
func sharedBy(entries []entry) []span {
	count := map[string]int{}
	for _, e := range entries {
		for _, a := range e.atoms {
			count[a.key]++
		}
	}
	var all []span
	for _, a := range entries[0].atoms {
		if count[a.key] != len(entries) {
			continue
		}
		s := span{atom: a, low: a.bound, high: a.bound}
		for _, e := range entries[1:] {
			o := atomOf(e, a.key)
			s.low, s.high, s.words = min(s.low, o.bound), max(s.high, o.bound), s.words || o.word != a.word
		}
		all = append(all, s)
	}
	return all
}

func atomOf(e entry, key string) atom {
	return e.atoms[slices.IndexFunc(e.atoms, func(a atom) bool { return a.key == key })]
}

// without takes an atom that is known to be true off all rules.
func without(entries []entry, key string) []entry {
	all := make([]entry, len(entries))
	for i, e := range entries {
		all[i] = entry{e.rule, slices.DeleteFunc(slices.Clone(e.atoms), func(a atom) bool { return a.key == key })}
	}
	return all
}

func byWord(entries []entry, key string) map[string][]entry {
	all := map[string][]entry{}
	for _, e := range entries {
		word := atomOf(e, key).word
		all[word] = append(all[word], e)
	}
	return all
}

// sorted puts the rules that are true most often first.
func sorted(entries []entry, by span) []entry {
	return slices.SortedStableFunc(slices.Values(entries), func(a, b entry) int {
		c := cmp.Compare(atomOf(a, by.key).bound, atomOf(b, by.key).bound)
		if by.form == most {
			return -c
		}
		return c
	})
}
