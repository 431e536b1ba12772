package event

import (
	"fmt"
	"strings"
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
)

// envelope holds the attributes as they were given, until all are known.
type envelope struct {
	value   [len(attributes)]string
	seen    uint16 // bit per attribute: it was named
	given   uint16 // bit per attribute: it has a value, be it empty
	plain   uint16 // bit per attribute: its value is known to be of plain characters (words.go) only
	data    bool   // data was named
	foreign names  // extensions that were named
}

func (env *envelope) reset() {
	foreign := env.foreign
	foreign.reset()
	*env = envelope{foreign: foreign}
}

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
	d.take(text)
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
	last := beginning
	more, err := s.open()
	for more && err == nil {
		var i int
		var name string
		if i, name, err = s.member(envelopeNames, &d.attributes, last); err != nil {
			break
		}
		switch {
		case i == unknown:
			err = env.extension(s, name)
		case i == dataAt:
			err = d.body(e)
		default:
			err = env.attribute(s, i)
		}
		last = i
		if err == nil {
			more, err = s.next()
		}
	}
	return err
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
	v, plain, err := s.str()
	env.value[i] = v
	env.given |= 1 << i
	if plain {
		env.plain |= 1 << i
	}
	return err
}

func (env *envelope) has(i int) bool { return env.given&(1<<i) != 0 }

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
func (env *envelope) extension(s *scanner, name string) *Error {
	if name == "data_base64" {
		return &Error{Code: BadEnvelope, Field: "data_base64", Problem: "is not taken: send data as a JSON object"}
	}
	if known := attributeLike(name); known != "" {
		return &Error{Code: BadEnvelope, Field: strings.Clone(cut(name)), Problem: "attribute names are lower case: " + known}
	}
	if !env.foreign.add(name) {
		return s.twice(name)
	}
	return s.pass()
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
