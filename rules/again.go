package rules

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"time"

	"doorward/rules/window"
)

// What `again:` remembers must turn false when a rule's condition does, though the index has not looked at the rule. So an account's record
// says which rules may be true: in slots of their own, beside the rules' memories and written with them, a bit for every few rules, and a
// bit for every word of those. Each is the memory of no rule, whose "last fired" holds the bits. They are good for one list of rules: under
// another mark all memories are asked once and the bits written anew.

// recall is the memory of `again:` of a set.
type recall struct {
	of    []*compiled // rules that remember, by id
	print int64       // of their ids and their order
	per   int         // rules to a bit
	mark  int         // slots; -1: the rules are few and each is asked
	root  int
	words []int
}

const (
	wordBits   = 62 // of a time in ms that is not negative and can be counted on from
	askedAlone = 32 // so many rules are asked one by one
)

// remembers is the memory that `again:` needs; a renamed rule goes on with that of its earlier ids.
func (c *compiled) remembers() window.Spec {
	return window.Spec{Func: window.Again, Key: window.Account, Field: c.ID, Was: c.Was}
}

// bitsSpec is a slot of bits. No rule has such an id.
func bitsSpec(name string) window.Spec {
	return window.Spec{Func: window.Again, Key: window.Account, Field: "=" + name}
}

func wordName(i int) string { return fmt.Sprintf("word %d", i) }

// plan gathers the rules that remember, and gives the specs of their memory.
func (a *recall) plan(rules []*compiled) (specs []window.Spec) {
	h := sha256.New()
	for _, c := range rules {
		c.ordinal, c.again = -1, -1
		if c.Again.Mode != "always" {
			c.ordinal = len(a.of)
			a.of, specs = append(a.of, c), append(specs, c.remembers())
			fmt.Fprintln(h, c.ID)
		}
	}
	a.print = int64(binary.BigEndian.Uint64(h.Sum(nil)) >> (64 - wordBits))
	a.mark = -1
	if len(a.of) <= askedAlone {
		return specs
	}
	a.per = (len(a.of) + wordBits*wordBits - 1) / (wordBits * wordBits)
	a.words = make([]int, (len(a.of)+a.per*wordBits-1)/(a.per*wordBits))
	specs = append(specs, bitsSpec("mark"), bitsSpec("root"))
	for i := range a.words {
		specs = append(specs, bitsSpec(wordName(i)))
	}
	return specs
}

// place finds the slots.
func (a *recall) place(l *window.Layout) {
	for _, c := range a.of {
		c.again = l.Slot(c.remembers())
	}
	if len(a.words) == 0 {
		return
	}
	a.mark, a.root = l.Slot(bitsSpec("mark")), l.Slot(bitsSpec("root"))
	for i := range a.words {
		a.words[i] = l.Slot(bitsSpec(wordName(i)))
	}
}

// bit is where a rule's bit is.
func (a *recall) bit(ordinal int) (word int, bit int64) {
	i := ordinal / a.per
	return i / wordBits, 1 << (i % wordBits)
}

// rules are those of a bit.
func (a *recall) rules(word, bit int) []*compiled {
	from := min((word*wordBits+bit)*a.per, len(a.of))
	return a.of[from:min(from+a.per, len(a.of))]
}

func bitsIn(v *window.View, slot int) int64 {
	_, last := v.Again(slot)
	if last.IsZero() {
		return 0
	}
	return last.UnixMilli()
}

func setBits(v *window.View, slot int, to int64) { v.SetAgain(slot, true, true, time.UnixMilli(to)) }

// settle makes what `again:` remembers false for the rules of an event's type that were true and are not, and has the bits say which of them
// may be true: those are written after it.
func (r *reader) settle(a *recall, on *listeners) {
	v := r.facts.View
	switch {
	case a.mark < 0:
		for _, c := range on.remember {
			r.lapse(c)
		}
		return
	case bitsIn(v, a.mark) != a.print:
		r.askAll(a, on)
		return
	}
	root := bitsIn(v, a.root)
	after := root
	for rest := root; rest != 0; rest &= rest - 1 {
		w := bits.TrailingZeros64(uint64(rest))
		if r.settleWord(a, on, w) == 0 {
			after &^= 1 << w
		}
	}
	for _, h := range r.hits {
		if c := on.set[h]; c.ordinal >= 0 {
			w, bit := a.bit(c.ordinal)
			if was := bitsIn(v, a.words[w]); was&bit == 0 {
				setBits(v, a.words[w], was|bit)
			}
			after |= 1 << w
		}
	}
	if after != root {
		setBits(v, a.root, after)
	}
}

// settleWord goes through one word's rules and gives what is left of it.
func (r *reader) settleWord(a *recall, on *listeners, w int) int64 {
	v := r.facts.View
	before := bitsIn(v, a.words[w])
	after := before
	for rest := before; rest != 0; rest &= rest - 1 {
		bit, stays := bits.TrailingZeros64(uint64(rest)), false
		for _, c := range a.rules(w, bit) {
			stays = r.stays(c, on) || stays
		}
		if !stays {
			after &^= 1 << bit
		}
	}
	if after != before {
		setBits(v, a.words[w], after)
	}
	return after
}

// stays reports whether a rule's memory is true after this event.
func (r *reader) stays(c *compiled, on *listeners) bool {
	if on.hears(c) {
		return r.lapse(c)
	}
	was, _ := r.facts.View.Again(c.again)
	return was
}

// lapse makes a rule's memory false when the rule is not true any more.
func (r *reader) lapse(c *compiled) (stays bool) {
	v := r.facts.View
	if r.isTrue[c.at] == r.round {
		return true
	}
	if was, _ := v.Again(c.again); was {
		v.SetAgain(c.again, false, false, v.Newest())
	}
	return false
}

// askAll asks every memory and writes the bits. An event that comes too late must leave the record's stamp alone when it turns no rule
// true: the bits are left to the next one.
func (r *reader) askAll(a *recall, on *listeners) {
	v := r.facts.View
	clear(r.bits)
	root, turned := int64(0), r.facts.Timing != window.TooLate
	for _, c := range a.of {
		was, _ := v.Again(c.again)
		if r.stays(c, on) {
			w, bit := a.bit(c.ordinal)
			r.bits[w] |= bit
			root |= 1 << w
			turned = turned || !was
		}
	}
	if !turned {
		return
	}
	for w, to := range r.bits {
		if bitsIn(v, a.words[w]) != to {
			setBits(v, a.words[w], to)
		}
	}
	if bitsIn(v, a.root) != root {
		setBits(v, a.root, root)
	}
	setBits(v, a.mark, a.print)
}
