package event

import "strings"

// lexicon finds the names of a closed set: the envelope's attributes, the data fields, the types. It is built once and then only read.
type lexicon struct {
	names []string
	leads [maxNames]lead
	slots [256]uint8 // position of a name + 1, by its hash
	seed  uint64     // makes the hash perfect for these names
}

// maxNames bounds a lexicon so that a set of its names fits a uint64. The last two positions are no names: what stands before the first
// member of an object, and a name that the lexicon does not have.
const (
	maxNames  = 64
	beginning = maxNames - 2
	unknown   = maxNames - 1
)

func newLexicon(names ...string) *lexicon {
	l := &lexicon{names: names}
	if len(names) > beginning {
		panic("event: a lexicon has room for 62 names, which the contract does not reach")
	}
	for i := range l.leads {
		l.leads[i] = newLead("")
	}
	for i, name := range names {
		l.leads[i] = newLead(name)
	}
	for range 100_000 {
		l.seed = l.seed*6364136223846793005 + 1442695040888963407 // Knuth's MMIX generator
		if l.perfect() {
			return l
		}
	}
	panic("event: two names agree in all that hash looks at, which no test would pass")
}

// mostLead is the longest lead, in bytes: that of a name of 21.
const mostLead = 24

// lead is how a member begins in a compact text, `"name":`, as words to compare with.
type lead struct {
	words, masks [mostLead / 8]uint64
	size         int
	text         string
}

// newLead makes the lead of a name. That of a longer name, which is a type and no member's, stands nowhere, as does that of no name.
func newLead(name string) (l lead) {
	text := `"` + name + `":`
	if name == "" || len(text) > mostLead {
		l.words[0], l.masks[0] = 0, 1<<64-1 // eight bytes of zero, which no member begins with
		return l
	}
	l.size, l.text = len(text), text
	mask := strings.Repeat("\xff", len(text)) + strings.Repeat("\x00", mostLead-len(text))
	text += strings.Repeat("\x00", mostLead-len(text))
	for i := range l.words {
		l.words[i], l.masks[i] = word(text, 8*i), word(mask, 8*i)
	}
	return l
}

// begins reports whether the lead stands in text at i, behind which text must have mostLead bytes.
func (l *lead) begins(text string, i int) bool {
	return (word(text, i)^l.words[0])&l.masks[0]|(word(text, i+8)^l.words[1])&l.masks[1]|(word(text, i+16)^l.words[2])&l.masks[2] == 0
}

// isBegun is begins anywhere in text.
func (l *lead) isBegun(text string, i int) bool {
	return l.size > 0 && strings.HasPrefix(text[i:], l.text)
}

// perfect fills the slots and reports whether each name has one of its own. For 35 names in 256 slots about one seed in ten does that.
func (l *lexicon) perfect() bool {
	clear(l.slots[:])
	for i, name := range l.names {
		slot := &l.slots[l.hash(name)]
		if *slot != 0 {
			return false
		}
		*slot = uint8(i + 1)
	}
	return true
}

// hash looks at a name's length and five of its bytes; the name must not be empty.
func (l *lexicon) hash(name string) uint8 {
	n := len(name)
	k := uint64(name[0]) | uint64(name[n/2])<<8 | uint64(name[max(n-4, 0)])<<16 | uint64(name[max(n-6, 0)])<<24 | uint64(name[n-1])<<32 |
		uint64(n)<<40
	return uint8(k * l.seed >> 56)
}

// find returns the position of a name, -1 when it is none of the set.
func (l *lexicon) find(name string) int {
	if name == "" {
		return -1
	}
	i := int(l.slots[l.hash(name)]) - 1
	if i < 0 || l.names[i] != name {
		return -1
	}
	return i
}

// order is what a Decoder has learned about the order of an object's members: behind each name the two that last came next. A producer
// writes the same type the same way each time, and most streams have two types in turn where they differ. It only saves time: a name that
// is not the one expected is looked up.
type order [maxNames][2]uint8

// inTurn is the order of the contract, for a reader that has seen nothing yet.
func inTurn(l *lexicon) (o order) {
	for i := range l.names[1:] {
		o[i] = [2]uint8{uint8(i + 1), uint8(i + 1)}
	}
	return o
}

func (o *order) learn(last, found int) {
	if n := uint8(found); o[last][0] != n && o[last][1] != n {
		o[last] = [2]uint8{n, o[last][0]}
	}
}

// member takes the name of the next member, which take did not expect, and the colon: its position among the names, or unknown and the
// name itself.
func (s *scanner) member(r *run) (int, string, *Error) {
	name, err := s.name()
	if err != nil {
		return unknown, "", err
	}
	i := r.names.find(name)
	if i < 0 {
		r.last = unknown
		return unknown, name, nil
	}
	r.order.learn(r.last, i)
	r.last = i
	return i, "", nil
}
