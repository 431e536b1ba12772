package event

import (
	"math"
	"math/bits"
	"unsafe"

	"doorward/auth"
)

// run is an object whose members are being read: which may come, which have, and where their values go.
type run struct {
	names  *lexicon
	order  *order
	places *[maxNames]place
	base   unsafe.Pointer // of the struct that the places lie in
	seen   uint64         // bit per name
	last   int            // the name of the member before
}

// take takes members for as long as each is one that was expected and its value the usual one for it: text without an escape or a byte
// beyond ASCII, or a short number. It stops at the first other one. more: there is one; then its name is name and its value is next, or name
// is unknown and the member is next. This loop is what most events spend most of their time in.
func (s *scanner) take(r *run) (name int, more bool, err *Error) {
	t, i, last := s.text, s.at, uint(r.last)
	for {
		if i < len(t) && t[i] == ' ' {
			i++
		}
		guess := &r.order[last%maxNames]
		last = uint(guess[0])
		l := &r.names.leads[last%maxNames]
		if near := len(t)-i < mostLead; near && !l.isBegun(t, i) || !near && !l.begins(t, i) {
			last = uint(guess[1])
			if l = &r.names.leads[last%maxNames]; !l.isBegun(t, i) {
				s.at = i
				return unknown, true, nil
			}
		}
		i += l.size
		s.at, r.last = i, int(last)
		if i < len(t) && t[i] == ' ' {
			i++
		}
		if r.seen>>(last%maxNames)&1 != 0 {
			return int(last), true, nil
		}
		if i = usual(&r.places[last%maxNames], r.base, t, i); i == 0 {
			return int(last), true, nil
		}
		r.seen |= 1 << (last % maxNames)
		if i < len(t) && t[i] == ',' {
			i++
			continue
		}
		s.at = i
		if more, err = s.next(); !more {
			return unknown, false, err
		}
		i = s.at
	}
}

// usual takes the value at i, if it is a usual one, and returns what stands behind it; 0 when it is not.
func usual(p *place, base unsafe.Pointer, t string, i int) int {
	if p.form >= aWhole {
		return usualNumber(p, base, t, i)
	}
	if i >= len(t) || t[i] != '"' {
		return 0
	}
	i++
	start, odd := i, uint64(0)
	rest := t[i:]
	for {
		if len(rest) < 8 {
			return 0
		}
		x := eight(rest, 0)
		if m := notText(x); m != 0 {
			odd |= (x | (x + ones)) & (m&-m - 1) // what stands before the first mark
			i += bits.TrailingZeros64(m) / 8
			break
		}
		odd |= x | (x + ones)
		i += 8
		rest = rest[8:]
	}
	if t[i] != '"' || odd&tops != 0 { // an escape, a control character, DEL or a byte beyond ASCII
		return 0
	}
	text := t[start:i]
	if p.form != aText && !usualText(p.form, text) {
		return 0
	}
	*textAt(base, p.value) = text
	return i + 1
}

// usualText reports whether a text of printable ASCII is what its form asks for, as it stands.
func usualText(f form, text string) bool {
	switch f {
	case anID:
		return len(text) <= auth.MaxID
	case anAddress:
		return isIPv4(text)
	case aCountry:
		return len(text) == 2 && upper(text[0]) && upper(text[1])
	case aCurrency:
		return len(text) == 3 && upper(text[0]) && upper(text[1]) && upper(text[2])
	}
	return false
}

func upper(c byte) bool { return c-'A' < 26 }

func usualNumber(p *place, base unsafe.Pointer, t string, i int) int {
	switch p.form {
	case aWhole:
		n, end := shortWhole(t, i)
		if end == 0 || n < p.least {
			return 0
		}
		*wholeAt(base, p.value), *flagAt(base, p.given) = n, true
		return end
	case aDegree:
		f, end := shortDecimal(t, i)
		if end == 0 || math.Abs(f) > p.most {
			return 0
		}
		*degreeAt(base, p.value) = f
		return end
	}
	return 0 // an object
}
