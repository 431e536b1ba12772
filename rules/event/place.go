package event

import (
	"math"
	"strconv"
)

// placeNames are the members of geo.
var (
	placeNames = newLexicon("lat", "lon", "city", "country")
	placeOrder = inTurn(placeNames)
)

func (d *Decoder) readGeo(e *Event) *Error {
	s := &d.scanner
	if s.peek() != '{' {
		return s.not(badData("geo", "must be an object {lat, lon, city, country}"))
	}
	var g Geo
	var seen, given uint64 // bit per name
	var others names
	last := beginning
	more, err := s.open()
	for more && err == nil {
		var i int
		var name string
		if i, name, err = s.member(placeNames, &d.place, last); err != nil {
			break
		}
		last = i
		switch {
		case i == unknown && !others.add(name):
			return s.twice(name)
		case i == unknown:
			err = s.pass()
		case seen&(1<<i) != 0:
			return s.twice(placeNames.names[i])
		default:
			seen |= 1 << i
			if !s.null() {
				given |= 1 << i
				err = s.readPlace(&g, i)
			}
		}
		if err == nil {
			more, err = s.next()
		}
	}
	if err != nil {
		return err
	}
	return d.setGeo(e, &g, given)
}

func (d *Decoder) setGeo(e *Event, g *Geo, given uint64) *Error {
	const lat, lon = 1 << 0, 1 << 1
	switch given & (lat | lon) {
	case lat, lon:
		return badData("geo", "must have lat and lon, or neither")
	case lat | lon:
		g.HasPoint = true
	}
	if *g != (Geo{}) {
		e.Geo = d.newGeo()
		*e.Geo = *g
	}
	return nil
}

// readPlace takes the value of the i-th of placeNames.
func (s *scanner) readPlace(g *Geo, i int) (err *Error) {
	switch i {
	case 0:
		g.Lat, err = s.readDegrees("geo.lat", 90)
	case 1:
		g.Lon, err = s.readDegrees("geo.lon", 180)
	case 2:
		g.City, err = s.readText("geo.city", aText)
	case 3:
		g.Country, err = s.readText("geo.country", aCountry)
	}
	return err
}

func (s *scanner) readDegrees(name string, most float64) (float64, *Error) {
	if c := s.peek(); c != '-' && (c < '0' || c > '9') {
		return 0, s.not(badData(name, "must be a number of degrees"))
	}
	start := s.at
	if f, ok := s.decimal(); ok && math.Abs(f) <= most {
		return f, nil
	}
	s.at = start
	text, _, err := s.number()
	if err != nil {
		return 0, err
	}
	f, perr := strconv.ParseFloat(text, 64)
	if perr != nil || math.Abs(f) > most {
		return 0, badData(name, "must lie within -%v and %v degrees, not %s", most, most, cut(text))
	}
	return f, nil
}

func (d *Decoder) readLabels(e *Event) *Error {
	s := &d.scanner
	if s.peek() != '{' {
		return s.not(badData("labels", "must be an object {string: string}"))
	}
	more, err := s.open()
	for more && err == nil {
		var name string
		if name, err = s.name(); err != nil {
			break
		}
		switch _, twice := e.Labels[name]; {
		case twice:
			return s.twice(name)
		case len(e.Labels) == MaxLabels:
			return badData("labels", "must have at most %d entries", MaxLabels)
		case s.peek() != '"':
			return s.not(badData("labels."+cut(name), "must be a string"))
		}
		var v string
		if v, _, err = s.str(); err != nil {
			break
		}
		if e.Labels == nil {
			e.Labels = d.newLabels()
		}
		e.Labels[name] = v
		more, err = s.next()
	}
	return err
}
