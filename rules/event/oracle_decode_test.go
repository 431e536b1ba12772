package event

import (
	"fmt"
	"time"
	"unicode/utf8"
)

// The decoder that this package began with, word for word but for its names: what the one in use now is held to (same_test.go). It is kept
// as it is: where the contract changes, both change.

// oracleLine reads one line of NDJSON: an event in structured mode. Its arrival is `recordedtime`, else `time`.
func oracleLine(line []byte) (*Event, *Error) { return oldDecodeLine(line, MaxSize) }

// oracleStored reads what Encode wrote. It is DecodeLine for a text that may have grown past MaxSize on the way in.
func oracleStored(line []byte) (*Event, *Error) { return oldDecodeLine(line, maxStored) }

func oldDecodeLine(line []byte, most int) (*Event, *Error) {
	e := new(Event)
	var env oldEnvelope
	if err := env.structured(e, line, most); err != nil {
		return nil, err
	}
	if err := env.settle(e, time.Time{}); err != nil {
		return nil, err
	}
	return e, nil
}

// oldOpen checks what can be checked of the whole text and copies it, so that the event does not hold the record's memory.
func oldOpen(text []byte, most int) (*oldScanner, *Error) {
	switch {
	case len(text) > most:
		return nil, oldTooLarge(len(text))
	case !utf8.Valid(text):
		return nil, &Error{Code: BadJSON, Problem: "the event is not UTF-8"}
	}
	s := &oldScanner{text: string(text)}
	if s.peek() != '{' {
		return nil, &Error{Code: BadJSON, Problem: "the event must be one JSON object, starting with {"}
	}
	return s, nil
}

func oldTooLarge(size int) *Error {
	return &Error{Code: TooLarge, Problem: fmt.Sprintf("the event has %d bytes, at most %d are taken", size, MaxSize)}
}
