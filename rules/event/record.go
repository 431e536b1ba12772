package event

import (
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"

	"doorward/auth"
)

// Header is one header of a Kafka record.
type Header struct {
	Key   string
	Value []byte
}

// Headers is a record's headers of any type of this shape as Header, without a copy.
func Headers[H ~struct {
	Key   string
	Value []byte
}](headers []H) []Header {
	return unsafe.Slice((*Header)(unsafe.Pointer(unsafe.SliceData(headers))), len(headers)) // one layout, as the constraint says
}

// mode is what the headers of a record say, its attributes apart.
type mode struct {
	binary    bool // there is a ce_ header
	mediaType string
	typed     bool // there is a content-type
	size      int  // bytes of the ce_ headers
}

func (d *Decoder) header(m *mode, name string, value []byte) *Error {
	if name == "content-type" || len(name) == len("content-type") && strings.EqualFold(name, "content-type") {
		if m.typed {
			return &Error{Code: BadMode, Field: "content-type", Problem: "the header stands twice: send one"}
		}
		m.mediaType, m.typed = shared(value), true
		return nil
	}
	if len(name) <= len("ce_") || name[:len("ce_")] != "ce_" && !strings.EqualFold(name[:len("ce_")], "ce_") {
		return nil
	}
	m.binary = true
	m.size += len(name) + len(value)
	i := attributeAt(name[len("ce_"):])
	if i < 0 {
		if i = attributeAt(strings.ToLower(name[len("ce_"):])); i < 0 {
			return nil
		}
	}
	env := &d.envelope
	if env.seen&(1<<i) != 0 {
		return badAttribute(i, "the header %s stands twice: send one", cut(name))
	}
	env.seen |= 1 << i
	env.given |= 1 << i
	if !utf8.Valid(value) {
		return badAttribute(i, "the header is not UTF-8")
	}
	env.value[i] = d.string(value)
	return nil
}

func (d *Decoder) record(e *Event, key, value []byte, headers []Header, arrival time.Time) *Error {
	var m mode
	for i := range headers {
		if err := d.header(&m, headers[i].Key, headers[i].Value); err != nil {
			return err
		}
	}
	if err := d.inMode(&m, e, value); err != nil {
		return err
	}
	if arrival.IsZero() { // the zero time would mean: take the arrival from the event
		arrival = time.Unix(-1, 0)
	}
	if err := d.envelope.settle(e, arrival); err != nil {
		return err
	}
	return checkKey(key, e.Account)
}

// inMode reads the value as the headers say.
func (d *Decoder) inMode(m *mode, e *Event, value []byte) *Error {
	const structured = "application/cloudevents+json"
	switch {
	case m.mediaType == structured || isCloudEvents(m.mediaType):
		if !isMedia(m.mediaType, structured) {
			return &Error{Code: BadMode, Field: "content-type",
				Problem: "must be " + structured + " for structured mode, one event a record, not " + cut(m.mediaType)}
		}
		d.envelope.reset() // structured mode: the value says it all
		return d.structured(e, value, MaxSize)
	case m.mediaType != "" && !isJSON(m.mediaType):
		return &Error{Code: BadMode, Field: "content-type",
			Problem: "must be application/json or " + structured + ", not " + cut(m.mediaType)}
	case m.binary:
		return d.data(m, e, value)
	}
	return d.structured(e, value, MaxSize)
}

func isCloudEvents(mediaType string) bool {
	const prefix = "application/cloudevents"
	mediaType = strings.TrimSpace(mediaType)
	return len(mediaType) >= len(prefix) && strings.EqualFold(mediaType[:len(prefix)], prefix)
}

// data reads the value of binary mode. None at all is fine.
func (d *Decoder) data(m *mode, e *Event, value []byte) *Error {
	if size := m.size + len(value); size > MaxSize {
		return tooLarge(size)
	}
	if len(value) == 0 || string(value) == "null" {
		return nil
	}
	s := &d.scanner
	d.load(value)
	err := s.object()
	if err == nil {
		s.depth = 1 // as deep as it would be in structured mode
		err = d.readData(e)
	}
	if err == nil {
		err = s.end()
	}
	return s.verdict(err)
}

// checkKey refuses a record whose key is not its account: it would lie on another partition than the account's other events.
func checkKey(key []byte, account auth.AccountID) *Error {
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
