package event

import (
	"fmt"
	"strings"
	"unsafe"
)

// The attributes of the envelope that are text.
const (
	specversion = iota
	id
	source
	eventType
	subject
	stated
	recorded
	contentType
	trace
)

var attributes = [...]string{"specversion", "id", "source", "type", "subject", "time", "recordedtime", "datacontenttype", "traceparent"}

// The names of an envelope: its attributes, and data.
var (
	envelopeNames = newLexicon(append(attributes[:], "data")...)
	envelopeOrder = inTurn(envelopeNames)
	dataAt        = envelopeNames.find("data")
	// attributePlaces are where attributes lie in envelope.value.
	attributePlaces = func() (all [maxNames]place) {
		for i := range attributes {
			all[i] = place{form: aText, value: unsafe.Sizeof("") * uintptr(i)}
		}
		all[dataAt].form = anObject
		return all
	}()
)

// envelope holds the attributes as they were given, until all are known.
type envelope struct {
	value [len(attributes)]string // of those that are given; the others may hold what they held before
	seen  uint16                  // bit per attribute: it was named
	given uint16                  // bit per attribute: it has a value, be it empty
	data  bool                    // data was named
}

func (env *envelope) reset() { env.seen, env.given, env.data = 0, 0, false }

func attributeAt(name string) int {
	if i := envelopeNames.find(name); i < len(attributes) {
		return i
	}
	return -1
}

// structured reads a whole event from one JSON object.
func (d *Decoder) structured(e *Event, text []byte, most int) *Error {
	if len(text) > most {
		return tooLarge(len(text))
	}
	s := &d.scanner
	d.load(text)
	err := s.object()
	if err == nil {
		err = d.members(e)
	}
	if err == nil {
		err = s.end()
	}
	return s.verdict(err)
}

func (d *Decoder) members(e *Event) *Error {
	s, env := &d.scanner, &d.envelope
	r := run{names: envelopeNames, order: &d.attributes, places: &attributePlaces, base: unsafe.Pointer(&env.value), last: beginning}
	more, err := s.open()
	for more && err == nil {
		var i int
		before := r.seen
		i, more, err = s.take(&r)
		env.given |= uint16(r.seen &^ before)
		env.seen |= uint16(r.seen)
		if !more || err != nil {
			break
		}
		if err = d.readAttribute(e, &r, i); err == nil {
			more, err = s.next()
		}
	}
	return err
}

// readAttribute takes the i-th of the envelope's names, the name or not even that being behind us.
func (d *Decoder) readAttribute(e *Event, r *run, i int) *Error {
	if i == unknown {
		var name string
		var err *Error
		if i, name, err = d.scanner.member(r); err != nil {
			return err
		}
		if i == unknown {
			return d.extension(name)
		}
	}
	if i == dataAt {
		return d.body(e)
	}
	r.seen |= 1 << i
	return d.envelope.attribute(&d.scanner, i)
}

func (env *envelope) attribute(s *scanner, i int) *Error {
	if env.seen&(1<<i) != 0 {
		return s.twice(attributes[i])
	}
	env.seen |= 1 << i
	if s.peek() != '"' {
		if s.null() { // CloudEvents JSON format 1.0.2, 2.2: a null attribute is an unset one
			return nil
		}
		return s.not(badAttribute(i, "must be a string"))
	}
	v, err := s.str()
	env.value[i] = v
	env.given |= 1 << i
	return err
}

func (env *envelope) has(i int) bool { return env.given&(1<<i) != 0 }

// get returns an attribute's value, empty when it has none.
func (env *envelope) get(i int) string {
	if !env.has(i) {
		return ""
	}
	return env.value[i]
}

func badAttribute(i int, format string, args ...any) *Error {
	return &Error{Code: BadEnvelope, Field: attributes[i], Problem: fmt.Sprintf(format, args...)}
}

func (d *Decoder) body(e *Event) *Error {
	s := &d.scanner
	if d.envelope.data {
		return s.twice("data")
	}
	d.envelope.data = true
	if s.peek() != '{' {
		if s.null() {
			return nil
		}
		return s.not(&Error{Code: BadData, Field: "data", Problem: "must be a JSON object"})
	}
	return d.readData(e)
}

// extension passes over an attribute that the contract does not know. One that is a known name but for its case is refused: another
// reader of the topic may take it for the real one.
func (d *Decoder) extension(name string) *Error {
	if name == "data_base64" {
		return &Error{Code: BadEnvelope, Field: "data_base64", Problem: "is not taken: send data as a JSON object"}
	}
	if known := attributeLike(name); known != "" {
		return &Error{Code: BadEnvelope, Field: strings.Clone(cut(name)), Problem: "attribute names are lower case: " + known}
	}
	if !d.foreign.add(name) {
		return d.scanner.twice(name)
	}
	return d.scanner.pass()
}

func attributeLike(name string) string {
	for _, a := range attributes {
		if strings.EqualFold(a, name) {
			return a
		}
	}
	if strings.EqualFold(name, "data") {
		return "data"
	}
	return ""
}

// names is a set of names that is mostly tiny.
type names struct {
	few  []string
	many map[string]struct{}
}

// reset empties the set; the room for a few names stays.
func (n *names) reset() {
	if len(n.few) == 0 {
		return
	}
	clear(n.few)
	n.few, n.many = n.few[:0], nil
}

// add reports whether the name is new.
func (n *names) add(name string) bool {
	if n.many == nil {
		for _, have := range n.few {
			if have == name {
				return false
			}
		}
		if n.few = append(n.few, name); len(n.few) > 16 {
			n.many = make(map[string]struct{}, 2*len(n.few))
			for _, have := range n.few {
				n.many[have] = struct{}{}
			}
		}
		return true
	}
	if _, twice := n.many[name]; twice {
		return false
	}
	n.many[name] = struct{}{}
	return true
}
