package event

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var arrival = time.Date(2026, 3, 1, 8, 0, 2, 345678, time.UTC)

// ceHeaders are the attributes of the first example in binary mode.
func ceHeaders(more ...string) []Header {
	pairs := append([]string{"ce_specversion", "1.0", "ce_id", "l-1", "ce_source", "/wallet/login", "ce_type", "login.failed", "ce_subject",
		"acct-42", "ce_time", "2026-03-01T08:00:00Z"}, more...)
	var all []Header
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, Header{pairs[i], []byte(pairs[i+1])})
	}
	return all
}

const body = `{"ip":"203.0.113.9","device":"dev-7","user_agent":"Mozilla/5.0","method":"password","reason":"bad_password"}`

func TestTheThreeModesGiveTheSameEvent(t *testing.T) {
	line := examples(t)[0]
	want, err := DecodeLine(line)
	if err != nil {
		t.Fatal(err)
	}
	want.Arrival = arrival.Truncate(time.Millisecond)
	for _, c := range []struct {
		name    string
		value   string
		headers []Header
	}{
		{"structured", string(line), []Header{{"content-type", []byte("application/cloudevents+json")}}},
		{"structured, in other words", string(line), []Header{{"Content-Type", []byte("Application/CloudEvents+JSON; charset=utf-8")}}},
		{"structured, with ce_ headers, which are void", string(line), ceHeaders("content-type", "application/cloudevents+json", "ce_id", "x")[6:]},
		{"binary", body, ceHeaders("content-type", "application/json")},
		{"binary without a type", body, ceHeaders()},
		{"binary with other headers", body, ceHeaders("ce_partitionkey", "x", "ce_partitionkey", "y", "other", "\xff", "ce_", "")},
		{"plain", string(line), nil},
		{"plain with a type", string(line), []Header{{"content-type", []byte("application/json")}}},
	} {
		got, err := DecodeRecord([]byte("acct-42"), []byte(c.value), c.headers, arrival)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestBinaryWithoutData(t *testing.T) {
	for _, value := range [][]byte{nil, {}, []byte("null"), []byte("{}")} {
		e, err := DecodeRecord([]byte("acct-42"), value, ceHeaders(), arrival)
		if err != nil || e.ID != "l-1" || e.Device != "" {
			t.Errorf("value %q: %v, %v", value, e, err)
		}
	}
}

func TestRecordsThatAreRefused(t *testing.T) {
	line := string(examples(t)[0])
	structured := []Header{{"content-type", []byte("application/cloudevents+json")}}
	ofType := func(mediaType string) []Header { return []Header{{"content-type", []byte(mediaType)}} }
	for _, c := range []struct {
		name    string
		key     string
		value   string
		headers []Header
		code    Code
		field   string
	}{
		{"batch", "acct-42", "[" + line + "]", ofType("application/cloudevents-batch+json"), BadMode, "content-type"},
		{"another format of CloudEvents", "acct-42", line, ofType("application/cloudevents+avro"), BadMode, "content-type"},
		{"another charset", "acct-42", line, ofType("application/cloudevents+json; charset=utf-16"), BadMode, "content-type"},
		{"binary, but no JSON", "acct-42", body, ceHeaders("content-type", "application/avro"), BadMode, "content-type"},
		{"plain, but no JSON", "acct-42", line, ofType("application/x-protobuf"), BadMode, "content-type"},
		{"two content types", "acct-42", line, append(ofType("application/json"), ofType("application/json")...), BadMode, "content-type"},
		{"no value", "acct-42", "", nil, BadJSON, ""},
		{"structured without value", "acct-42", "", structured, BadJSON, ""},
		{"binary, a header missing", "acct-42", body, ceHeaders()[:5], BadEnvelope, "time"},
		{"binary, a header twice", "acct-42", body, ceHeaders("ce_id", "l-2"), BadEnvelope, "id"},
		{"binary, a header twice in another case", "acct-42", body, ceHeaders("CE_Subject", "acct-43"), BadEnvelope, "subject"},
		{"binary, a header not UTF-8", "acct-42", body, append(ceHeaders(), Header{"ce_traceparent", []byte{0xff}}), BadEnvelope, "traceparent"},
		{"binary, data too deep", "acct-42", `{"x":` + nested(7) + `}`, ceHeaders(), BadJSON, ""},
		{"binary, a list", "acct-42", `[]`, ceHeaders(), BadJSON, ""},
		{"binary, too large with its headers", "acct-42", `{"note":"` + strings.Repeat("x", MaxSize-100) + `"}`, ceHeaders(), TooLarge, ""},
		{"binary, bad data", "acct-42", `{"method":"pigeon"}`, ceHeaders(), BadData, "data.method"},
		{"too large", "acct-42", line + strings.Repeat(" ", MaxSize), nil, TooLarge, ""},
		{"no key", "", line, nil, WrongKey, "key"},
		{"another key", "acct-43", line, nil, WrongKey, "key"},
		{"a key that is no account id", "acct 42", line, nil, WrongKey, "key"},
	} {
		e, err := DecodeRecord([]byte(c.key), []byte(c.value), c.headers, arrival)
		if e != nil || err == nil || err.Code != c.code || err.Field != c.field {
			t.Errorf("%s: %v, %v; want %s at %q", c.name, e, err, c.code, c.field)
		}
	}
	for _, at := range []time.Time{{}, time.UnixMilli(-1), time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if _, err := DecodeRecord([]byte("acct-42"), []byte(line), structured, at); err == nil || err.Code != BadEnvelope {
			t.Errorf("arrival %v: %v, want a refusal", at, err)
		}
	}
}

// S-5: every spelling of an account is the same account, in the key as in the subject.
func TestKeyAndSubjectAreCanonical(t *testing.T) {
	full := strings.ReplaceAll(string(examples(t)[0]), `"acct-42"`, `"ａcct-４２ "`)
	for _, key := range []string{"acct-42", "ａcct-42", " acct-42"} {
		e, err := DecodeRecord([]byte(key), []byte(full), []Header(nil), arrival)
		if err != nil || e.Account != "acct-42" {
			t.Errorf("key %q: %v, %v", key, e, err)
		}
	}
	if _, err := DecodeRecord([]byte("Acct-42"), []byte(full), []Header(nil), arrival); err == nil || err.Code != WrongKey {
		t.Errorf("a key in another case: %v, want wrong_key", err)
	}
}

func TestStatedTimeCountsNearItsArrival(t *testing.T) {
	at := arrival.Truncate(time.Millisecond)
	stamp := func(d time.Duration) string { return at.Add(d).Format("2006-01-02T15:04:05.000Z") }
	for _, c := range []struct {
		stated  string
		flagged bool
	}{
		{stamp(0), false},
		{stamp(-MaxBehind), false},
		{stamp(-MaxBehind - time.Millisecond), true},
		{stamp(MaxAhead), false},
		{stamp(MaxAhead + time.Millisecond), true},
		{"0001-01-01T00:00:00Z", true},
		{"9999-12-31T23:59:59Z", true},
	} {
		line := sample("time", `"`+c.stated+`"`, "recordedtime", `"2020-01-01T00:00:00Z"`) // on Kafka the record's timestamp counts
		e, err := DecodeRecord([]byte("acct-1"), []byte(line), []Header(nil), arrival)
		if err != nil {
			t.Errorf("%s: %v", c.stated, err)
			continue
		}
		stated, perr := time.Parse(time.RFC3339Nano, c.stated)
		if perr != nil {
			t.Fatal(perr)
		}
		want := stated
		if c.flagged {
			want = at
		}
		if e.Flagged != c.flagged || !e.Time.Equal(want) || !e.Stated.Equal(stated) || !e.Arrival.Equal(at) {
			t.Errorf("stated %s: time %v, stated %v, arrival %v, flagged %v", c.stated, e.Time, e.Stated, e.Arrival, e.Flagged)
		}
	}
}

func TestALineHasItsArrivalWithIt(t *testing.T) {
	e, err := DecodeLine([]byte(sample("recordedtime", `"2026-03-03T08:00:00.0009Z"`)))
	if err != nil {
		t.Fatal(err)
	}
	want := time.Date(2026, 3, 3, 8, 0, 0, 0, time.UTC)
	if !e.Flagged || !e.Time.Equal(want) || !e.Arrival.Equal(want) || !e.Stated.Equal(want.AddDate(0, 0, -2)) {
		t.Errorf("time %v, arrival %v, stated %v, flagged %v", e.Time, e.Arrival, e.Stated, e.Flagged)
	}
}

func TestTheEventKeepsNoMemoryOfTheRecord(t *testing.T) {
	value, key := examples(t)[0], []byte("acct-42")
	e, err := DecodeRecord(key, value, []Header(nil), arrival)
	if err != nil {
		t.Fatal(err)
	}
	before := string(Encode(e))
	clear(value)
	clear(key)
	if after := string(Encode(e)); after != before {
		t.Errorf("the record's bytes were used again and the event changed to\n%s", after)
	}
}
