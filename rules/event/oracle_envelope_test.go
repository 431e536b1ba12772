package event

import (
	"fmt"
	"strings"
	"time"

	"doorward/auth"
)

// oldEnvelope holds the attributes as they were given, until all are known.
type oldEnvelope struct {
	value   [len(attributes)]string
	seen    uint16   // bit per attribute: it was named
	given   uint16   // bit per attribute: it has a value, be it empty
	data    bool     // data was named
	foreign oldNames // extensions that were named
}

func oldAttributeAt(name string) int {
	switch name {
	case "specversion":
		return specversion
	case "id":
		return id
	case "source":
		return source
	case "type":
		return eventType
	case "subject":
		return subject
	case "time":
		return stated
	case "recordedtime":
		return recorded
	case "datacontenttype":
		return contentType
	case "traceparent":
		return trace
	}
	return -1
}

// structured reads a whole event from one JSON object.
func (env *oldEnvelope) structured(e *Event, text []byte, most int) *Error {
	s, err := oldOpen(text, most)
	if err != nil {
		return err
	}
	err = s.object(func(name string) *Error {
		if i := oldAttributeAt(name); i >= 0 {
			return env.attribute(s, i)
		}
		if name == "data" {
			return env.body(e, s)
		}
		return env.extension(s, name)
	})
	if err != nil {
		return err
	}
	return s.end()
}

func (env *oldEnvelope) attribute(s *oldScanner, i int) *Error {
	if env.seen&(1<<i) != 0 {
		return s.twice(attributes[i])
	}
	env.seen |= 1 << i
	if s.null() { // CloudEvents JSON format 1.0.2, 2.2: a null attribute is an unset one
		return nil
	}
	if s.peek() != '"' {
		return s.not(oldBadAttribute(i, "must be a string"))
	}
	v, err := s.str()
	env.value[i] = v
	env.given |= 1 << i
	return err
}

func (env *oldEnvelope) has(i int) bool { return env.given&(1<<i) != 0 }

func oldBadAttribute(i int, format string, args ...any) *Error {
	return &Error{Code: BadEnvelope, Field: attributes[i], Problem: fmt.Sprintf(format, args...)}
}

func (env *oldEnvelope) body(e *Event, s *oldScanner) *Error {
	if env.data {
		return s.twice("data")
	}
	env.data = true
	if s.null() {
		return nil
	}
	if s.peek() != '{' {
		return s.not(&Error{Code: BadData, Field: "data", Problem: "must be a JSON object"})
	}
	return e.oldReadData(s)
}

// extension passes over an attribute that the contract does not know. One that is a known name but for its case is refused: another
// reader of the topic may take it for the real one.
func (env *oldEnvelope) extension(s *oldScanner, name string) *Error {
	if name == "data_base64" {
		return &Error{Code: BadEnvelope, Field: name, Problem: "is not taken: send data as a JSON object"}
	}
	if known := oldAttributeLike(name); known != "" {
		return &Error{Code: BadEnvelope, Field: cut(name), Problem: "attribute names are lower case: " + known}
	}
	if !env.foreign.add(name) {
		return s.twice(name)
	}
	_, err := s.value()
	return err
}

func oldAttributeLike(name string) string {
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

// oldNames is a set of names that is mostly tiny.
type oldNames struct {
	few  []string
	many map[string]struct{}
}

// add reports whether the name is new.
func (n *oldNames) add(name string) bool {
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

// settle checks the attributes and fills the event from them; data must be in it already. A zero arrival: it is in the event.
func (env *oldEnvelope) settle(e *Event, arrival time.Time) *Error {
	if v := env.value[specversion]; v != "1.0" {
		return oldBadAttribute(specversion, `must be "1.0" (CloudEvents), not %q`, cut(v))
	}
	if t := env.value[contentType]; env.has(contentType) && !oldIsJSON(t) {
		return oldBadAttribute(contentType, "must be application/json, not %q", cut(t))
	}
	if err := env.identity(e); err != nil {
		return err
	}
	if err := env.times(e, arrival); err != nil {
		return err
	}
	if oldTraceparent(env.value[trace]) {
		e.Trace = env.value[trace]
	}
	return e.oldCheckValues()
}

func (env *oldEnvelope) identity(e *Event) *Error {
	for _, i := range [...]int{id, source, eventType} {
		switch v := env.value[i]; {
		case v == "":
			return oldBadAttribute(i, "is required: a string of 1 to %d bytes", auth.MaxID)
		case len(v) > auth.MaxID:
			return &Error{Code: TooLarge, Field: attributes[i], Problem: fmt.Sprintf("has %d bytes, at most %d are taken", len(v), auth.MaxID)}
		case oldHasControl(v):
			return oldBadAttribute(i, "must not hold control characters")
		case i != id && strings.IndexByte(v, ' ') >= 0: // so that Identity, "source id", can't be split in two ways
			return oldBadAttribute(i, "must not hold a space")
		}
	}
	e.ID, e.Source, e.Type = env.value[id], env.value[source], Type(env.value[eventType])
	account, err := auth.ParseAccountID(env.value[subject])
	if err != nil {
		return oldBadAttribute(subject, "must be the account id: %v", err)
	}
	e.Account = account
	return nil
}

func (env *oldEnvelope) times(e *Event, arrival time.Time) *Error {
	if !env.has(stated) {
		return oldBadAttribute(stated, "is required: RFC 3339, as 2026-03-01T08:00:00Z")
	}
	at, err := env.moment(stated)
	if err != nil {
		return err
	}
	recordedAt, err := env.moment(recorded)
	if err != nil {
		return err
	}
	from := "the record's timestamp"
	if arrival.IsZero() {
		arrival, from = at, "time, which counts as the arrival here,"
		if env.has(recorded) {
			arrival, from = recordedAt, "recordedtime"
		}
	}
	arrival = time.UnixMilli(arrival.UnixMilli()).UTC()
	if !oldSaneArrival(arrival) {
		return oldBadAttribute(stated, "%s must lie in the years %d to %d", from, firstYear, lastYear)
	}
	e.oldSetTime(at, arrival)
	return nil
}

func (env *oldEnvelope) moment(i int) (time.Time, *Error) {
	if !env.has(i) {
		return time.Time{}, nil
	}
	v := env.value[i]
	t, ok := oldParseTime(v)
	if !ok {
		return t, oldBadAttribute(i, "must be RFC 3339, as 2026-03-01T08:00:00Z, not %q", cut(v))
	}
	return t, nil
}

// oldHasControl finds C0 controls and DEL.
func oldHasControl(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] == 0x7f {
			return true
		}
	}
	return false
}

// oldIsJSON reports whether a media type is application/json, in UTF-8 if it says so.
func oldIsJSON(mediaType string) bool { return oldIsMedia(mediaType, "application/json") }

func oldIsMedia(mediaType, want string) bool {
	name, parameters, _ := strings.Cut(mediaType, ";")
	if !strings.EqualFold(strings.TrimSpace(name), want) {
		return false
	}
	for _, p := range strings.Split(parameters, ";") {
		key, value, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(key), "charset") && !strings.EqualFold(strings.Trim(value, `" `), "utf-8") {
			return false
		}
	}
	return true
}

// oldTraceparent reports whether v is a W3C trace context; another one is ignored, as its specification asks (3.2.2).
func oldTraceparent(v string) bool {
	if len(v) != 55 || v[2] != '-' || v[35] != '-' || v[52] != '-' {
		return false
	}
	for i := 0; i < len(v); i++ {
		hex := v[i] >= '0' && v[i] <= '9' || v[i] >= 'a' && v[i] <= 'f'
		if !hex && i != 2 && i != 35 && i != 52 {
			return false
		}
	}
	return true
}
