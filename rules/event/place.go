package event

import (
	"math"
	"strconv"
	"unsafe"
)

// placeNames are the members of geo.
var (
	placeNames = newLexicon("lat", "lon", "city", "country")
	placeOrder = inTurn(placeNames)
	geoPlaces  = [maxNames]place{
		{form: aDegree, value: unsafe.Offsetof(Geo{}.Lat), most: 90},
		{form: aDegree, value: unsafe.Offsetof(Geo{}.Lon), most: 180},
		{form: aText, value: unsafe.Offsetof(Geo{}.City)},
		{form: aCountry, value: unsafe.Offsetof(Geo{}.Country)},
	}
)

func (d *Decoder) readGeo(e *Event) *Error {
	s := &d.scanner
	if s.peek() != '{' {
		return s.not(badData("geo", "must be an object {lat, lon, city, country}"))
	}
	var g Geo
	var given uint64 // bit per name
	var others names
	r := run{names: placeNames, order: &d.place, places: &geoPlaces, base: unsafe.Pointer(&g), last: beginning}
	more, err := s.open()
	for more && err == nil {
		var i int
		before := r.seen
		i, more, err = s.take(&r)
		given |= r.seen &^ before
		if !more || err != nil {
			break
		}
		if given, err = s.readGeoMember(&g, &r, i, given, &others); err == nil {
			more, err = s.next()
		}
	}
	if err != nil {
		return err
	}
	return d.setGeo(e, &g, given)
}

// readGeoMember takes the i-th of placeNames, the name or not even that being behind us.
func (s *scanner) readGeoMember(g *Geo, r *run, i int, given uint64, others *names) (uint64, *Error) {
	if i == unknown {
		var name string
		var err *Error
		if i, name, err = s.member(r); err != nil {
			return given, err
		}
		if i == unknown {
			if !others.add(name) {
				return given, s.twice(name)
			}
			return given, s.pass()
		}
	}
	if r.seen&(1<<i) != 0 {
		return given, s.twice(placeNames.names[i])
	}
	r.seen |= 1 << i
	if s.null() {
		return given, nil
	}
	return given | 1<<i, s.readPlace(g, i)
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
	if f, end := shortDecimal(s.text, s.at); end > 0 && math.Abs(f) <= most {
		s.at = end
		return f, nil
	}
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
		if v, err = s.str(); err != nil {
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
