package event

import "unsafe"

// form is how a field's value is read.
type form uint8

const (
	aText form = iota
	anID
	anAddress
	aCountry
	aCurrency
	aWhole
	aDegree
	anObject
)

var forms = map[FieldKind]form{String: aText, ID: anID, Address: anAddress, Country: aCountry, Code3: aCurrency, Integer: aWhole,
	Place: anObject, Strings: anObject}

// place is a field of the table as the decoder uses it: where its functions would find it, without calling them.
type place struct {
	form  form
	value uintptr // of the string or integer, in Data
	given uintptr // of the bool beside an integer, in Data
	least int64   // of an integer
	most  float64 // of a degree, and its opposite the least
}

var (
	fieldNames = func() *lexicon {
		var all []string
		for i := range fields {
			all = append(all, fields[i].name)
		}
		return newLexicon(all...)
	}()
	fieldOrder = inTurn(fieldNames)
	places     = func() (all [maxNames]place) {
		for i := range fields {
			all[i] = placeOf(&fields[i])
		}
		return all
	}()
)

func placeOf(f *field) place {
	var d Data
	offset := func(at unsafe.Pointer) uintptr { return uintptr(at) - uintptr(unsafe.Pointer(&d)) }
	p := place{form: forms[f.kind], least: f.least}
	switch {
	case f.text != nil:
		p.value = offset(unsafe.Pointer(f.text(&d)))
	case f.whole != nil:
		value, has := f.whole(&d)
		p.value, p.given = offset(unsafe.Pointer(value)), offset(unsafe.Pointer(has))
	}
	return p
}

// The four below are right for a place in the struct at base whose form is of their type: those before aWhole are text.

func textAt(base unsafe.Pointer, at uintptr) *string { return (*string)(unsafe.Add(base, at)) }

func wholeAt(base unsafe.Pointer, at uintptr) *int64 { return (*int64)(unsafe.Add(base, at)) }

func degreeAt(base unsafe.Pointer, at uintptr) *float64 { return (*float64)(unsafe.Add(base, at)) }

func flagAt(base unsafe.Pointer, at uintptr) *bool { return (*bool)(unsafe.Add(base, at)) }
