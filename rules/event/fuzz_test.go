package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"doorward/auth"
)

// The decoder is held to encoding/json: what it takes, encoding/json takes with the same values; what it refuses as JSON, encoding/json
// refuses too or it is one of the things that RFC 8259 leaves open and this decoder does not: bytes that are not UTF-8, half a surrogate
// pair, a key twice, more than eight levels, a number beyond a double (encoding/json refuses that only when it reads it as a float).
func FuzzDecodeLine(f *testing.F) {
	for _, line := range examples(f) {
		f.Add(line)
	}
	for _, v := range verdicts {
		if len(v.line) < 2000 {
			f.Add([]byte(v.line))
		}
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		given := bytes.Clone(line)
		e, err := DecodeLine(line)
		if !bytes.Equal(given, line) {
			t.Fatal("the input was changed")
		}
		if (e == nil) == (err == nil) {
			t.Fatalf("event %v with error %v", e, err)
		}
		if err != nil {
			checkRefusal(t, line, err)
			return
		}
		checkLimits(t, e)
		checkSame(t, line, e)
		checkRoundTrip(t, e)
	})
}

func FuzzDecodeRecord(f *testing.F) {
	lines := examples(f)
	f.Add([]byte("acct-42"), lines[0], "application/cloudevents+json", "", "", "", "", int64(1772352002345))
	f.Add([]byte("acct-42"), []byte(body), "application/json", "l-1", "login.failed", "acct-42", "2026-03-01T08:00:00Z", int64(1772352002345))
	f.Add([]byte("acct-42"), lines[1], "", "", "", "", "", int64(1772352200000))
	f.Add([]byte(nil), []byte(nil), "text/plain", "l-1", "x", "ａ", "2026-03-01T08:00:60+00:00", int64(-1))
	f.Fuzz(func(t *testing.T, key, value []byte, mediaType, id, typ, subject, stated string, at int64) {
		var headers []Header
		if mediaType != "" {
			headers = append(headers, Header{"content-type", []byte(mediaType)})
		}
		if id != "" {
			for name, v := range map[string]string{"ce_specversion": "1.0", "ce_source": "/t", "ce_id": id, "ce_type": typ,
				"ce_subject": subject, "ce_time": stated} {
				headers = append(headers, Header{name, []byte(v)})
			}
		}
		arrival := time.UnixMilli(at)
		e, err := DecodeRecord(key, value, headers, arrival)
		if (e == nil) == (err == nil) {
			t.Fatalf("event %v with error %v", e, err)
		}
		if err != nil {
			if err.Code == "" || err.Problem == "" {
				t.Fatalf("a refusal without a reason: %+v", err)
			}
			return
		}
		checkLimits(t, e)
		if !e.Arrival.Equal(arrival) {
			t.Fatalf("arrival %v, the record's is %v", e.Arrival, arrival)
		}
		if canonical, err := auth.ParseAccountID(string(key)); err != nil || canonical != e.Account {
			t.Fatalf("key %q for account %q", key, e.Account)
		}
		checkRoundTrip(t, e)
	})
}

func checkLimits(t *testing.T, e *Event) {
	if canonical, err := auth.ParseAccountID(string(e.Account)); err != nil || canonical != e.Account {
		t.Fatalf("account %q is not canonical", e.Account)
	}
	if e.Time.Before(e.Arrival.Add(-MaxBehind)) || e.Time.After(e.Arrival.Add(MaxAhead)) || e.Flagged && !e.Time.Equal(e.Arrival) {
		t.Fatalf("time %v, arrival %v, flagged %v", e.Time, e.Arrival, e.Flagged)
	}
	if e.Amount < 0 || len(e.Labels) > MaxLabels {
		t.Fatalf("amount %d, %d labels", e.Amount, len(e.Labels))
	}
	for _, id := range []string{e.ID, e.Source, string(e.Type), e.Device, e.Session, e.Counterparty, e.Transaction, e.Instrument, e.RefersTo} {
		if len(id) > auth.MaxID {
			t.Fatalf("an id of %d bytes", len(id))
		}
	}
	if e.ID == "" || e.Source == "" || e.Type == "" {
		t.Fatal("no identity")
	}
}

func checkRoundTrip(t *testing.T, e *Event) {
	line := Encode(e)
	again, err := DecodeStored(line)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	if diff := cmp.Diff(e, again); diff != "" {
		t.Fatalf("%s (-was +is):\n%s", line, diff)
	}
}

// checkSame compares what was read with what encoding/json reads.
func checkSame(t *testing.T, line []byte, e *Event) {
	var oracle struct {
		ID      string         `json:"id"`
		Source  string         `json:"source"`
		Type    string         `json:"type"`
		Subject string         `json:"subject"`
		Data    map[string]any `json:"data"`
	}
	if err := json.Unmarshal(line, &oracle); err != nil {
		t.Fatalf("taken, but encoding/json says: %v", err)
	}
	if account, err := auth.ParseAccountID(oracle.Subject); err != nil || account != e.Account {
		t.Fatalf("account %q, subject %q", e.Account, oracle.Subject)
	}
	if e.ID != oracle.ID || e.Source != oracle.Source || string(e.Type) != oracle.Type {
		t.Fatalf("%q %q %q, not %q %q %q", e.ID, e.Source, e.Type, oracle.ID, oracle.Source, oracle.Type)
	}
	extra := make(map[string]any)
	for name, v := range oracle.Data {
		i, known := fieldAt[name]
		if !known {
			extra[name] = v
			continue
		}
		if s, ok := v.(string); ok && fields[i].text != nil && (fields[i].kind == String || fields[i].kind == ID) {
			if got := *fields[i].text(&e.Data); got != s {
				t.Fatalf("%s is %q, not %q", name, got, s)
			}
		}
	}
	if len(extra)+len(e.Extra) > 0 {
		if diff := cmp.Diff(extra, e.Extra); diff != "" {
			t.Fatalf("extra (-encoding/json +here):\n%s", diff)
		}
	}
}

var surrogate = regexp.MustCompile(`\\u[dD][89a-fA-F]`)

func checkRefusal(t *testing.T, line []byte, err *Error) {
	if err.Code == "" || err.Problem == "" || len(err.Problem) > 400 {
		t.Fatalf("a refusal without a reason, or a long one: %+v", err)
	}
	if err.Code == TooLarge && err.Field == "" && len(line) <= MaxSize {
		t.Fatalf("%d bytes are too large", len(line))
	}
	if err.Code != BadJSON || !utf8.Valid(line) || surrogate.Match(line) {
		return
	}
	var object map[string]any
	if json.Unmarshal(line, &object) != nil || object == nil {
		return // also when a number is beyond a double
	}
	if !twiceOrDeep(t, line) {
		t.Fatalf("refused with %v, but encoding/json takes it: %s", err, line)
	}
}

// twiceOrDeep walks valid JSON and reports a key that stands twice in one object, or more levels than MaxDepth.
func twiceOrDeep(t *testing.T, line []byte) bool {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	type level struct {
		keys map[string]bool // nil: an array
		key  bool            // a key comes next
	}
	var levels []level
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return false
		}
		if err != nil {
			t.Fatal(err)
		}
		top := len(levels) - 1
		switch v := token.(type) {
		case json.Delim:
			if v == '}' || v == ']' {
				levels = levels[:top]
				continue
			}
			if top >= 0 && levels[top].keys != nil {
				levels[top].key = true // after this value
			}
			levels = append(levels, level{})
			if v == '{' {
				levels[top+1] = level{keys: make(map[string]bool), key: true}
			}
			if len(levels) > MaxDepth {
				return true
			}
			continue
		case string:
			if top >= 0 && levels[top].key {
				if levels[top].keys[v] {
					return true
				}
				levels[top].keys[v] = true
				levels[top].key = false
				continue
			}
		}
		if top >= 0 && levels[top].keys != nil {
			levels[top].key = true
		}
	}
}

func BenchmarkDecodeLine(b *testing.B) {
	for i, name := range []string{"login", "transaction"} {
		line := examples(b)[i]
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(line)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := DecodeLine(line); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDecodeRecord is an event of the size and shape that reference/performance.md measured with: 459 bytes, two nested objects.
func BenchmarkDecodeRecord(b *testing.B) {
	value := []byte(`{"specversion":"1.0","id":"01JQ8Z3V9W4K7T2M","source":"/wallet/ledger","type":"transaction.requested","subject":"acct-00042",` +
		`"time":"2026-03-01T08:03:10.123Z","data":{"ip":"203.0.113.9","device":"dev-7f3a9c","user_agent":"WalletApp/4.12 (Android 15)",` +
		`"geo":{"lat":24.48,"lon":118.09,"country":"CN"},"transaction":"tx-9","kind":"transfer","direction":"out","amount":250000,` +
		`"currency":"CNY","counterparty":"acct-77","counterparty_kind":"person","balance_before":251000,"balance_after":1000}}`)
	key, at := []byte("acct-00042"), time.UnixMilli(1772352190456)
	b.SetBytes(int64(len(value)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeRecord(key, value, []Header(nil), at); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	e, err := DecodeLine(examples(b)[1])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		Encode(e)
	}
}
