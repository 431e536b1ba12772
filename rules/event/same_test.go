package event

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// reader is a Decoder that has read before, and an Event that has been read into: what it reads next must not depend on either.
type reader struct {
	decoder Decoder
	event   Event
}

// same holds the decoder, reused and not, to the one that this package began with (oracle_*_test.go): the same event, bit for bit, or the
// same refusal, word for word.
func (r *reader) same(t interface {
	Helper()
	Fatalf(string, ...any)
}, what string, want *Event, refused *Error, e *Event, err, once *Error) {
	t.Helper()
	for name, got := range map[string]*Error{"reused": err, "once": once} {
		if diff := cmp.Diff(refused, got); diff != "" {
			t.Fatalf("%s, %s: the refusal (-was +is):\n%s", what, name, diff)
		}
	}
	if refused != nil {
		return
	}
	if diff := cmp.Diff(want, &r.event); diff != "" {
		t.Fatalf("%s, reused (-was +is):\n%s", what, diff)
	}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Fatalf("%s, once (-was +is):\n%s", what, diff)
	}
	if r.event.Time != want.Time || r.event.Arrival != want.Arrival || r.event.Stated != want.Stated { // == also sees the location
		t.Fatalf("%s: the same times in other words", what)
	}
	clone := r.event.Clone()
	if diff := cmp.Diff(want, clone); diff != "" {
		t.Fatalf("%s, cloned (-was +is):\n%s", what, diff)
	}
}

func (r *reader) line(t *rapid.T, line []byte) {
	t.Helper()
	want, refused := oracleLine(line)
	once, oncerr := DecodeLine(line)
	r.same(t, string(line), want, refused, once, r.decoder.Line(&r.event, line), oncerr)
}

func (r *reader) record(t interface {
	Helper()
	Fatalf(string, ...any)
}, key, value []byte, headers []Header, at time.Time) {
	t.Helper()
	want, refused := oracleRecord(key, value, headers, at)
	once, oncerr := DecodeRecord(key, value, headers, at)
	r.same(t, string(value), want, refused, once, r.decoder.Record(&r.event, key, value, headers, at), oncerr)
}

func FuzzSameAsOracle(f *testing.F) {
	at := arrival.UnixMilli()
	add := func(line []byte) {
		f.Add([]byte("acct-42"), line, "application/json", "l-1", "login.failed", "acct-42", "2026-03-01T08:00:00Z", at)
	}
	for _, line := range examples(f) {
		add(line)
	}
	for _, v := range verdicts {
		if len(v.line) < 2000 {
			add([]byte(v.line))
		}
	}
	add([]byte(transactionLine))
	add([]byte(data(`"geo":{"lat":24.48,"lon":-118.09,"country":"cn","city":"厦\u95e8"},"ip":"2001:db8::9","labels":{"a":"\/"}`)))
	f.Add([]byte("acct-42"), []byte(body), "application/json", "l-1", "login.failed", "acct-42", "2026-03-01T08:00:00.123+08:00", at)
	f.Add([]byte("ａcct-42"), []byte(body), "application/cloudevents+json;charset=UTF-8", "l\x7f1", "login .failed", " acct-42",
		"2016-12-31T23:59:60Z", at)
	var r reader
	f.Fuzz(func(t *testing.T, key, value []byte, mediaType, id, typ, subject, stated string, ms int64) {
		given := bytes.Clone(value)
		headers := []Header{{"ce_specversion", []byte("1.0")}, {"ce_source", []byte("/t")}, {"ce_id", []byte(id)}, {"Ce_Type", []byte(typ)},
			{"ce_subject", []byte(subject)}, {"ce_time", []byte(stated)}, {"x", []byte(id)}}
		typed := Header{"content-type", []byte(mediaType)}
		when := time.UnixMilli(ms)
		r.record(t, key, value, nil, when)
		r.record(t, key, value, []Header{typed}, when)
		r.record(t, key, value, headers, when)
		r.record(t, key, value, append(headers, typed), when)
		r.record(t, key, value, append(headers, Header{id, []byte(stated)}, Header{"ce_" + subject, []byte(id)}), when)
		want, refused := oracleLine(value)
		once, oncerr := DecodeLine(value)
		r.same(t, string(value), want, refused, once, r.decoder.Line(&r.event, value), oncerr)
		want, refused = oracleStored(value)
		once, oncerr = DecodeStored(value)
		r.same(t, string(value), want, refused, once, r.decoder.Stored(&r.event, value), oncerr)
		if !bytes.Equal(given, value) {
			t.Fatal("the input was changed")
		}
	})
}

// Events as platforms write them, but with their fields in any order, some white space, and now and then a fault.
func TestSameAsOracleInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r reader
		for range rapid.IntRange(1, 6).Draw(t, "events") {
			e := anyEvent(t)
			line := shuffle(t, Encode(e))
			if rapid.IntRange(0, 3).Draw(t, "fault") == 0 {
				i := rapid.IntRange(0, len(line)-1).Draw(t, "at")
				line[i] = rapid.SampledFrom([]byte("\"\\{}[],:0-.e \x00\x7f\xffZz")).Draw(t, "byte")
			}
			r.line(t, line)
			r.record(t, []byte(e.Account), line, nil, e.Arrival)
		}
	})
}

// shuffle writes the members of an event and of its data in another order, in one of two styles.
func shuffle(t *rapid.T, line []byte) []byte {
	spaced := rapid.Bool().Draw(t, "spaced")
	order := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0))
	object := func(m map[string]json.RawMessage) []byte {
		names := slices.Sorted(maps.Keys(m))
		order.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		b := []byte{'{'}
		for i, name := range names {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, name), ':')
			if spaced {
				b = append(b, " \t\r\n"[order.IntN(4)])
			}
			b = append(b, m[name]...)
			if spaced {
				b = append(b, '\n')
			}
		}
		return append(b, '}')
	}
	var whole, inner map[string]json.RawMessage
	if err := json.Unmarshal(line, &whole); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(whole["data"], &inner); err != nil {
		t.Fatal(err)
	}
	whole["data"] = object(inner)
	return object(whole)
}
