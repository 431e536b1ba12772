package event

import (
	"strings"
	"time"
	"unicode/utf8"

	"doorward/auth"
)

// oracleRecord reads one Kafka record in structured, binary or plain mode (EVENTS.md, "Accepted on Kafka"). Any header type of this shape
// will do, so that no caller copies its headers. arrival is the record's timestamp. The event shares no memory with the record.
func oracleRecord[H ~struct {
	Key   string
	Value []byte
}](key, value []byte, headers []H, arrival time.Time) (*Event, *Error) {
	var m oldMode
	for i := range headers {
		h := Header(headers[i])
		if err := m.header(h.Key, h.Value); err != nil {
			return nil, err
		}
	}
	return m.decode(key, value, arrival)
}

// oldMode is what the headers of a record say.
type oldMode struct {
	env       oldEnvelope
	binary    bool // there is a ce_ header
	mediaType string
	typed     bool // there is a content-type
	size      int  // bytes of the ce_ headers
}

func (m *oldMode) header(name string, value []byte) *Error {
	if strings.EqualFold(name, "content-type") {
		if m.typed {
			return &Error{Code: BadMode, Field: "content-type", Problem: "the header stands twice: send one"}
		}
		m.mediaType, m.typed = string(value), true
		return nil
	}
	if len(name) <= len("ce_") || !strings.EqualFold(name[:len("ce_")], "ce_") {
		return nil
	}
	m.binary = true
	m.size += len(name) + len(value)
	i := oldAttributeAt(strings.ToLower(name[len("ce_"):]))
	if i < 0 {
		return nil
	}
	if m.env.seen&(1<<i) != 0 {
		return oldBadAttribute(i, "the header %s stands twice: send one", cut(name))
	}
	m.env.seen |= 1 << i
	m.env.given |= 1 << i
	if !utf8.Valid(value) {
		return oldBadAttribute(i, "the header is not UTF-8")
	}
	m.env.value[i] = string(value)
	return nil
}

func (m *oldMode) decode(key, value []byte, arrival time.Time) (*Event, *Error) {
	e := new(Event)
	var err *Error
	switch {
	case oldIsCloudEvents(m.mediaType):
		if !oldIsMedia(m.mediaType, "application/cloudevents+json") {
			return nil, &Error{Code: BadMode, Field: "content-type",
				Problem: "must be application/cloudevents+json for structured mode, one event a record, not " + cut(m.mediaType)}
		}
		m.env = oldEnvelope{} // structured mode: the value says it all
		err = m.env.structured(e, value, MaxSize)
	case m.mediaType != "" && !oldIsJSON(m.mediaType):
		return nil, &Error{Code: BadMode, Field: "content-type",
			Problem: "must be application/json or application/cloudevents+json, not " + cut(m.mediaType)}
	case m.binary:
		err = m.body(e, value)
	default:
		err = m.env.structured(e, value, MaxSize)
	}
	if err != nil {
		return nil, err
	}
	if arrival.IsZero() { // the zero time would mean: take the arrival from the event
		arrival = time.Unix(-1, 0)
	}
	if err := m.env.settle(e, arrival); err != nil {
		return nil, err
	}
	if err := oldCheckKey(key, e.Account); err != nil {
		return nil, err
	}
	return e, nil
}

func oldIsCloudEvents(mediaType string) bool {
	const prefix = "application/cloudevents"
	mediaType = strings.TrimSpace(mediaType)
	return len(mediaType) >= len(prefix) && strings.EqualFold(mediaType[:len(prefix)], prefix)
}

// body reads the value of binary mode: the data. None at all is fine.
func (m *oldMode) body(e *Event, value []byte) *Error {
	if size := m.size + len(value); size > MaxSize {
		return oldTooLarge(size)
	}
	if len(value) == 0 || string(value) == "null" {
		return nil
	}
	s, err := oldOpen(value, MaxSize)
	if err != nil {
		return err
	}
	s.depth = 1 // as deep as it would be in structured mode
	if err := e.oldReadData(s); err != nil {
		return err
	}
	return s.end()
}

// oldCheckKey refuses a record whose key is not its account: it would lie on another partition than the account's other events.
func oldCheckKey(key []byte, account auth.AccountID) *Error {
	if len(key) == 0 {
		return &Error{Code: WrongKey, Field: "key", Problem: "the record has no key: it must be the subject, the account id"}
	}
	if string(key) == string(account) {
		return nil
	}
	canonical, err := auth.ParseAccountID(string(key))
	if err != nil || canonical != account {
		return &Error{Code: WrongKey, Field: "key", Problem: "the record's key must be the subject, the account id"}
	}
	return nil
}
