package event

import (
	"fmt"
	"time"
	"unicode/utf8"
)

// The contract's limits (EVENTS.md, "Limits").
const (
	MaxSize   = 64 << 10 // bytes of an event: the record's value, in binary mode with its ce_ headers
	MaxDepth  = 8        // levels of objects and arrays, the event itself being the first
	MaxLabels = 32
)

// maxStored bounds what Encode can make of an event of MaxSize: numbers and times may be longer in their canonical form.
const maxStored = 4 * MaxSize

// DecodeLine reads one line of NDJSON: an event in structured mode. Its arrival is `recordedtime`, else `time`.
func DecodeLine(line []byte) (*Event, *Error) { return decodeLine(line, MaxSize) }

// DecodeStored reads what Encode wrote. It is DecodeLine for a text that may have grown past MaxSize on the way in.
func DecodeStored(line []byte) (*Event, *Error) { return decodeLine(line, maxStored) }

func decodeLine(line []byte, most int) (*Event, *Error) {
	e := new(Event)
	var env envelope
	if err := env.structured(e, line, most); err != nil {
		return nil, err
	}
	if err := env.settle(e, time.Time{}); err != nil {
		return nil, err
	}
	return e, nil
}

// open checks what can be checked of the whole text and copies it, so that the event does not hold the record's memory.
func open(text []byte, most int) (*scanner, *Error) {
	switch {
	case len(text) > most:
		return nil, tooLarge(len(text))
	case !utf8.Valid(text):
		return nil, &Error{Code: BadJSON, Problem: "the event is not UTF-8"}
	}
	s := &scanner{text: string(text)}
	if s.peek() != '{' {
		return nil, &Error{Code: BadJSON, Problem: "the event must be one JSON object, starting with {"}
	}
	return s, nil
}

func tooLarge(size int) *Error {
	return &Error{Code: TooLarge, Problem: fmt.Sprintf("the event has %d bytes, at most %d are taken", size, MaxSize)}
}
