package event

import (
	"fmt"
	"strings"
	"time"
)

// The contract's limits (EVENTS.md, "Limits").
const (
	MaxSize   = 64 << 10 // bytes of an event: the record's value, in binary mode with its ce_ headers
	MaxDepth  = 8        // levels of objects and arrays, the event itself being the first
	MaxLabels = 32
)

// maxStored bounds what Encode can make of an event of MaxSize: numbers and times may be longer in their canonical form.
const maxStored = 4 * MaxSize

// Decoder reads events without making garbage. The zero value is ready. It serves one goroutine, and gets faster as it learns in what order
// a stream's producers write their fields; what it has read before never changes what it reads.
//
// What it fills is borrowed, in two ways.
//
//   - The strings of the Event lie in the bytes it was read from: the record's value and, in binary mode, its ce_ headers. They are good until
//     those bytes are written again. So the rule for a batch is: fetch into a buffer, decode, evaluate, and let go of every Event before
//     the buffer takes the next fetch.
//   - Geo, Labels and Extra belong to the Event, and with it go back to a Decoder: reading into an Event again voids what its three fields
//     pointed to. So keep one slice of Events per shard, as long as its largest batch, and read into the same ones batch after batch, with
//     the same Decoder. Never copy such an Event by assignment and then read into both.
//
// Whatever outlives the batch (a window's string, a finding's evidence, a key of a map) is copied: strings.Clone for one string,
// Event.Clone for all of it. An *Error holds no memory of the record.
//
//	var (
//		decoder event.Decoder
//		events  [256]event.Event
//	)
//	for i, r := range batch { // r.Value stays as it is until the batch is done
//		poison[i] = decoder.Record(&events[i], r.Key, r.Value, event.Headers(r.Headers), r.Time)
//	}
type Decoder struct {
	scanner  scanner
	envelope envelope
	foreign  names // extensions that were named
	copies   bool  // the record's bytes are copied before they are read

	attributes, fields, place order // what has been learned of the order of names

	geos   []*Geo // from Events that were read into again
	labels []map[string]string
	extras []map[string]any
}

// Record reads one Kafka record in structured, binary or plain mode (EVENTS.md, "Accepted on Kafka") into e. arrival is the record's
// timestamp. After an error e holds nothing of use.
func (d *Decoder) Record(e *Event, key, value []byte, headers []Header, arrival time.Time) *Error {
	d.start(e)
	return d.record(e, key, value, headers, arrival)
}

// Line reads one line of NDJSON, an event in structured mode, into e. Its arrival is `recordedtime`, else `time`. After an error e holds
// nothing of use.
func (d *Decoder) Line(e *Event, line []byte) *Error { return d.line(e, line, MaxSize) }

// Stored reads what Encode wrote into e. It is Line for a text that may have grown past MaxSize on the way in.
func (d *Decoder) Stored(e *Event, line []byte) *Error { return d.line(e, line, maxStored) }

func (d *Decoder) line(e *Event, line []byte, most int) *Error {
	d.start(e)
	if err := d.structured(e, line, most); err != nil {
		return err
	}
	return d.envelope.settle(e, time.Time{})
}

// start makes an empty event of e.
func (d *Decoder) start(e *Event) {
	d.reclaim(e)
	*e = Event{}
	d.envelope.reset()
	d.foreign.reset()
}

// load sets the scanner on a text.
func (d *Decoder) load(text []byte) { d.scanner.start(d.string(text)) }

func (d *Decoder) string(b []byte) string {
	if d.copies {
		return strings.Clone(shared(b))
	}
	return shared(b)
}

// once is a decoder for one event that shares no memory with what it is read from.
func once() Decoder {
	return Decoder{copies: true, attributes: envelopeOrder, fields: fieldOrder, place: placeOrder}
}

// DecodeRecord is Decoder.Record for one event, which shares no memory with the record. Any header type of this shape will do.
func DecodeRecord[H ~struct {
	Key   string
	Value []byte
}](key, value []byte, headers []H, arrival time.Time) (*Event, *Error) {
	return decodeRecord(key, value, Headers(headers), arrival)
}

func decodeRecord(key, value []byte, headers []Header, arrival time.Time) (*Event, *Error) {
	d, e := once(), new(Event)
	if err := d.record(e, key, value, headers, arrival); err != nil {
		return nil, err
	}
	return e, nil
}

// DecodeLine is Decoder.Line for one event, which shares no memory with the line.
func DecodeLine(line []byte) (*Event, *Error) { return decodeLine(line, MaxSize) }

// DecodeStored is Decoder.Stored for one event, which shares no memory with the line.
func DecodeStored(line []byte) (*Event, *Error) { return decodeLine(line, maxStored) }

func decodeLine(line []byte, most int) (*Event, *Error) {
	d, e := once(), new(Event)
	if err := d.line(e, line, most); err != nil {
		return nil, err
	}
	return e, nil
}

func tooLarge(size int) *Error {
	return &Error{Code: TooLarge, Problem: fmt.Sprintf("the event has %d bytes, at most %d are taken", size, MaxSize)}
}
