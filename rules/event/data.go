package event

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"doorward/auth"
)

// readData takes the data object.
func (d *Decoder) readData(e *Event) *Error {
	s := &d.scanner
	r := run{names: fieldNames, order: &d.fields, places: &places, base: unsafe.Pointer(&e.Data), last: beginning}
	more, err := s.open()
	for more && err == nil {
		var i int
		if i, more, err = s.take(&r); !more || err != nil {
			break
		}
		if err = d.readMember(e, &r, i); err == nil {
			more, err = s.next()
		}
	}
	return err
}

// readMember takes the i-th of the fields, its name or not even that being behind us.
func (d *Decoder) readMember(e *Event, r *run, i int) *Error {
	if i == unknown {
		var name string
		var err *Error
		if i, name, err = d.scanner.member(r); err != nil {
			return err
		}
		if i == unknown {
			return d.readExtra(e, name)
		}
	}
	if r.seen&(1<<i) != 0 {
		return d.scanner.twice(fields[i].name)
	}
	r.seen |= 1 << i
	return d.readField(e, i)
}

func (d *Decoder) readExtra(e *Event, name string) *Error {
	if _, twice := e.Extra[name]; twice {
		return d.scanner.twice(name)
	}
	v, err := d.scanner.value()
	if err != nil {
		return err
	}
	if e.Extra == nil {
		e.Extra = d.newExtra()
	}
	e.Extra[name] = v
	return nil
}

func badData(name, format string, args ...any) *Error {
	return &Error{Code: BadData, Field: "data." + name, Problem: fmt.Sprintf(format, args...)}
}

func (d *Decoder) readField(e *Event, i int) *Error {
	s, p, base := &d.scanner, &places[i], unsafe.Pointer(&e.Data)
	if s.null() { // many platforms write a field they lack as null
		return nil
	}
	switch p.form {
	case aWhole:
		n, err := s.readWhole(&fields[i])
		*wholeAt(base, p.value), *flagAt(base, p.given) = n, err == nil
		return err
	case anObject:
		if fields[i].kind == Place {
			return d.readGeo(e)
		}
		return d.readLabels(e)
	}
	text, err := s.readText(fields[i].name, p.form)
	*textAt(base, p.value) = text
	return err
}

// readWhole takes a whole number written as one: 2500.0 and 1e3 are numbers of a producer that counts in floating point, which is
// where cents get lost.
func (s *scanner) readWhole(f *field) (int64, *Error) {
	if c := s.peek(); c != '-' && (c < '0' || c > '9') {
		return 0, s.not(badData(f.name, "must be an integer of minor units, as 2500"))
	}
	if n, end := shortWhole(s.text, s.at); end > 0 && n >= f.least {
		s.at = end
		return n, nil
	}
	text, whole, err := s.number()
	if err != nil {
		return 0, err
	}
	n, perr := strconv.ParseInt(text, 10, 64)
	switch {
	case !whole:
		return 0, badData(f.name, "must be an integer of minor units, as 2500, without fraction or exponent, not %s", cut(text))
	case perr != nil:
		return 0, badData(f.name, "must lie within 64 bits, not %s", cut(text))
	case n < f.least:
		return 0, badData(f.name, "must be at least %d, not %s; the direction says which way", f.least, cut(text))
	}
	return n, nil
}

// readText takes a string and checks it as its form asks.
func (s *scanner) readText(name string, f form) (string, *Error) {
	if s.peek() != '"' {
		return "", s.not(badData(name, "must be a string"))
	}
	text, err := s.str()
	if err != nil || text == "" { // an empty string is a field that is not there
		return "", err
	}
	switch f {
	case anID:
		switch {
		case len(text) > auth.MaxID:
			return "", &Error{Code: TooLarge, Field: "data." + name,
				Problem: fmt.Sprintf("has %d bytes, at most %d are taken", len(text), auth.MaxID)}
		case hasControl(text):
			return "", badData(name, "must not hold control characters")
		}
	case anAddress:
		return canonicalAddress(name, text)
	case aCountry:
		if !letters(text, 2) {
			return "", badData(name, "must be two letters (ISO 3166-1 alpha-2), as FR, not %q", cut(text))
		}
		return strings.ToUpper(text), nil
	case aCurrency:
		if !letters(text, 3) || strings.ToUpper(text) != text {
			return "", badData(name, "must be three upper-case letters (ISO 4217), as EUR, not %q", cut(text))
		}
	}
	return text, nil
}

func letters(s string, n int) bool {
	if len(s) != n {
		return false
	}
	for i := 0; i < n; i++ {
		if c := s[i] | ' '; c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}

// checkValues holds the enumerations of the event's type to their lists. It runs last, as data may stand before type.
func (e *Event) checkValues() *Error {
	i := typeNames.find(string(e.Type))
	if i < 0 {
		return nil
	}
	for _, c := range choices[i] {
		if v := *textAt(unsafe.Pointer(&e.Data), c.at); v != "" && !slices.Contains(c.list, v) {
			return badData(c.name, "must be one of %s, not %q", strings.Join(c.list, ", "), cut(v))
		}
	}
	return nil
}
