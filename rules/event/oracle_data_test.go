package event

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"doorward/auth"
)

// oldReadData takes the data object.
func (e *Event) oldReadData(s *oldScanner) *Error {
	var seen uint64 // bit per field of the table
	return s.object(func(name string) *Error {
		i, known := fieldAt[name]
		if !known {
			return e.oldReadExtra(s, name)
		}
		if seen&(1<<i) != 0 {
			return s.twice(name)
		}
		seen |= 1 << i
		if s.null() { // many platforms write a field they lack as null
			return nil
		}
		return e.oldReadField(s, &fields[i])
	})
}

func (e *Event) oldReadExtra(s *oldScanner, name string) *Error {
	if _, twice := e.Extra[name]; twice {
		return s.twice(name)
	}
	v, err := s.value()
	if err != nil {
		return err
	}
	if e.Extra == nil {
		e.Extra = make(map[string]any)
	}
	e.Extra[name] = v
	return nil
}

func oldBadData(name, format string, args ...any) *Error {
	return &Error{Code: BadData, Field: "data." + name, Problem: fmt.Sprintf(format, args...)}
}

func (e *Event) oldReadField(s *oldScanner, f *field) *Error {
	switch f.kind {
	case Integer:
		value, has := f.whole(&e.Data)
		n, err := oldReadInteger(s, f)
		*value, *has = n, err == nil
		return err
	case Place:
		return e.oldReadGeo(s)
	case Strings:
		return e.oldReadLabels(s)
	}
	text, err := oldReadText(s, f.name, f.kind)
	*f.text(&e.Data) = text
	return err
}

// oldReadInteger takes a whole number written as one: 2500.0 and 1e3 are numbers of a producer that counts in floating point, which is
// where cents get lost.
func oldReadInteger(s *oldScanner, f *field) (int64, *Error) {
	if c := s.peek(); c != '-' && (c < '0' || c > '9') {
		return 0, s.not(oldBadData(f.name, "must be an integer of minor units, as 2500"))
	}
	text, whole, err := s.number()
	if err != nil {
		return 0, err
	}
	n, perr := strconv.ParseInt(text, 10, 64)
	switch {
	case !whole:
		return 0, oldBadData(f.name, "must be an integer of minor units, as 2500, without fraction or exponent, not %s", cut(text))
	case perr != nil:
		return 0, oldBadData(f.name, "must lie within 64 bits, not %s", cut(text))
	case n < f.least:
		return 0, oldBadData(f.name, "must be at least %d, not %s; the direction says which way", f.least, cut(text))
	}
	return n, nil
}

// oldReadText takes a string and checks it as its kind asks.
func oldReadText(s *oldScanner, name string, kind FieldKind) (string, *Error) {
	if s.peek() != '"' {
		return "", s.not(oldBadData(name, "must be a string"))
	}
	text, err := s.str()
	if err != nil || text == "" { // an empty string is a field that is not there
		return "", err
	}
	switch kind {
	case ID:
		switch {
		case len(text) > auth.MaxID:
			return "", &Error{Code: TooLarge, Field: "data." + name,
				Problem: fmt.Sprintf("has %d bytes, at most %d are taken", len(text), auth.MaxID)}
		case oldHasControl(text):
			return "", oldBadData(name, "must not hold control characters")
		}
	case Address:
		return oldCanonicalAddress(name, text)
	case Country:
		if !oldLetters(text, 2) {
			return "", oldBadData(name, "must be two letters (ISO 3166-1 alpha-2), as FR, not %q", cut(text))
		}
		return strings.ToUpper(text), nil
	case Code3:
		if !oldLetters(text, 3) || strings.ToUpper(text) != text {
			return "", oldBadData(name, "must be three upper-case letters (ISO 4217), as EUR, not %q", cut(text))
		}
	}
	return text, nil
}

func oldLetters(s string, n int) bool {
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

// oldCanonicalAddress gives one spelling to an address: IPv4 in IPv6 is IPv4, IPv6 as RFC 5952 writes it.
func oldCanonicalAddress(name, text string) (string, *Error) {
	addr, perr := netip.ParseAddr(text)
	if perr != nil || addr.Zone() != "" {
		return "", oldBadData(name, "must be an IPv4 or IPv6 address without zone or port, as 203.0.113.9 or 2001:db8::9, not %q", cut(text))
	}
	if addr.Is4() { // has one spelling only
		return text, nil
	}
	return addr.Unmap().String(), nil
}

func (e *Event) oldReadGeo(s *oldScanner) *Error {
	if s.peek() != '{' {
		return s.not(oldBadData("geo", "must be an object {lat, lon, city, country}"))
	}
	var g Geo
	var seen oldNames
	var lat, lon bool
	err := s.object(func(name string) *Error {
		if !seen.add(name) {
			return s.twice(name)
		}
		if s.null() {
			return nil
		}
		var err *Error
		switch name {
		case "lat":
			g.Lat, err = oldReadDegrees(s, "geo.lat", 90)
			lat = true
		case "lon":
			g.Lon, err = oldReadDegrees(s, "geo.lon", 180)
			lon = true
		case "city":
			g.City, err = oldReadText(s, "geo.city", String)
		case "country":
			g.Country, err = oldReadText(s, "geo.country", Country)
		default:
			_, err = s.value()
		}
		return err
	})
	if err != nil {
		return err
	}
	if lat != lon {
		return oldBadData("geo", "must have lat and lon, or neither")
	}
	g.HasPoint = lat
	if g != (Geo{}) {
		e.Geo = &g
	}
	return nil
}

func oldReadDegrees(s *oldScanner, name string, most float64) (float64, *Error) {
	if c := s.peek(); c != '-' && (c < '0' || c > '9') {
		return 0, s.not(oldBadData(name, "must be a number of degrees"))
	}
	text, _, err := s.number()
	if err != nil {
		return 0, err
	}
	f, perr := strconv.ParseFloat(text, 64)
	if perr != nil || math.Abs(f) > most {
		return 0, oldBadData(name, "must lie within -%v and %v degrees, not %s", most, most, cut(text))
	}
	return f, nil
}

func (e *Event) oldReadLabels(s *oldScanner) *Error {
	if s.peek() != '{' {
		return s.not(oldBadData("labels", "must be an object {string: string}"))
	}
	return s.object(func(name string) *Error {
		if _, twice := e.Labels[name]; twice {
			return s.twice(name)
		}
		if len(e.Labels) == MaxLabels {
			return oldBadData("labels", "must have at most %d entries", MaxLabels)
		}
		if s.peek() != '"' {
			return s.not(oldBadData("labels."+cut(name), "must be a string"))
		}
		v, err := s.str()
		if err != nil {
			return err
		}
		if e.Labels == nil {
			e.Labels = make(map[string]string)
		}
		e.Labels[name] = v
		return nil
	})
}

// oldCheckValues holds the enumerations of the event's type to their lists. It runs last, as data may stand before type.
func (e *Event) oldCheckValues() *Error {
	g := groupOf(e.Type)
	if g == nil {
		return nil
	}
	for _, name := range g.own {
		list := allowed(e.Type, name)
		if list == nil {
			continue
		}
		if v := *fields[fieldAt[name]].text(&e.Data); v != "" && !slices.Contains(list, v) {
			return oldBadData(name, "must be one of %s, not %q", strings.Join(list, ", "), cut(v))
		}
	}
	return nil
}
