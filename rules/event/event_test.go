package event

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"doorward/auth"
)

func TestValuesAreCanonical(t *testing.T) {
	for line, want := range map[string][2]string{
		data(`"ip":"2001:DB8:0:0::1"`):                  {"ip", "2001:db8::1"},
		data(`"ip":"::ffff:203.0.113.9"`):               {"ip", "203.0.113.9"},
		data(`"country":"fr"`):                          {"country", "FR"},
		data(`"geo":{"country":"cn","city":"Xiamen"}`):  {"geo.country", "CN"},
		data(`"geo":{"country":"cn","city":"厦门"}`):      {"geo.city", "厦门"},
		data(`"amount":2500`):                           {"amount", "2500"},
		data(`"balance_after":-7`):                      {"balance_after", "-7"},
		data(`"tier":"gold"`):                           {"extra.tier", "gold"},
		data(`"tier":43.5`):                             {"extra.tier", "43.5"},
		data(`"tier":1000000`):                          {"extra.tier", "1000000"},
		data(`"tier":true`):                             {"extra.tier", "true"},
		data(`"labels":{"team":"eu"}`):                  {"labels.team", "eu"},
		sample("subject", `"ａcct"`):                     {"account", "acct"},
		sample():                                        {"type", "login.failed"},
		sample("id", `"e\u002d9"`):                      {"id", "e-9"},
		sample("source", `"/wallet"`):                   {"source", "/wallet"},
		data(`"user_agent":"\ud83d\ude00\u0041\/\"\\"`): {"user_agent", `😀A/"\`},
	} {
		e, err := DecodeLine([]byte(line))
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if got, ok := e.Field(want[0]); !ok || got != want[1] {
			t.Errorf("%s: %s is %q, %v; want %q", line, want[0], got, ok, want[1])
		}
	}
}

func TestFieldsThatAreNotThere(t *testing.T) {
	e, err := DecodeLine([]byte(data(`"nested":{"a":1},"nothing":null`)))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ip", "amount", "geo.city", "labels.x", "extra.x", "extra.nested", "extra.nothing", "geo", "labels", "", "shoe"} {
		if v, ok := e.Field(name); ok {
			t.Errorf("%q is there: %q", name, v)
		}
	}
	if _, there := e.Extra["nothing"]; !there || e.Geo != nil || e.Labels != nil || e.HasAmount {
		t.Errorf("%+v", e)
	}
}

func TestTypes(t *testing.T) {
	if n := len(Types()); n != 35 {
		t.Errorf("%d types, EVENTS.md has 35", n)
	}
	for _, typ := range Types() {
		if !Known(typ) {
			t.Errorf("%s is listed and not known", typ)
		}
		if IsReport(typ) != strings.HasPrefix(string(typ), "report.") {
			t.Errorf("%s: report %v", typ, IsReport(typ))
		}
	}
	for _, typ := range []Type{"", "login", "Login.Failed", "report.other"} {
		if Known(typ) || IsReport(typ) {
			t.Errorf("%q is known", typ)
		}
	}
	names := make(map[string]bool)
	for _, f := range Fields() {
		if f.Name == "" || f.Kind == "" || f.Kind == Place || names[f.Name] {
			t.Errorf("field %+v", f)
		}
		names[f.Name] = true
	}
	if len(names) != 36 { // 33 of the contract, geo as its four
		t.Errorf("%d fields", len(names))
	}
}

func TestParseTime(t *testing.T) {
	for text, want := range map[string]string{
		"2026-03-01T08:00:00Z":         "2026-03-01T08:00:00Z",
		"2026-03-01t08:00:00z":         "2026-03-01T08:00:00Z",
		"2026-03-01T08:00:00.1Z":       "2026-03-01T08:00:00.1Z",
		"2026-03-01T08:00:00.1239999Z": "2026-03-01T08:00:00.123Z",
		"2026-03-01T08:00:00.0009Z":    "2026-03-01T08:00:00Z",
		"2026-03-01T08:00:00+05:30":    "2026-03-01T02:30:00Z",
		"2026-03-01T08:00:00-23:59":    "2026-03-02T07:59:00Z",
		"2026-03-01T08:00:00-00:00":    "2026-03-01T08:00:00Z",
		"2016-12-31T23:59:60Z":         "2017-01-01T00:00:00Z",
		"2016-12-31T15:59:60.5-08:00":  "2017-01-01T00:00:00.5Z",
		"0000-02-29T00:00:00Z":         "0000-02-29T00:00:00Z",
		"2000-02-29T00:00:00." + "123456789012345678901234567890" + "Z": "2000-02-29T00:00:00.123Z",
	} {
		got, ok := parseTime(text)
		if !ok || got.Format(time.RFC3339Nano) != want || got.Location() != time.UTC {
			t.Errorf("%s: %v, %v; want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "2026", "2026-03-01", "2026-03-01T08:00Z", "2026-03-01T08:00:00", "2026-03-01T08:00:00,5Z",
		"2026-03-01T08:00:00+0530", "2026-03-01T08:00:00+24:00", "2026-03-01T08:00:00+05:60", "2026-03-01T08:00:00ZZ", " 2026-03-01T08:00:00Z",
		"2026-13-01T08:00:00Z", "2026-00-01T08:00:00Z", "2026-04-31T08:00:00Z", "2026-03-00T08:00:00Z", "1900-02-29T08:00:00Z",
		"2026-03-01T08:60:00Z", "2026-03-01T08:00:61Z", "2026-03-01T23:59:60+01:00", "+026-03-01T08:00:00Z", "2026-3-001T08:00:00Z",
		"0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "2026-03-01T08:00:00.+05:00"} {
		if got, ok := parseTime(text); ok {
			t.Errorf("%q is taken as %v", text, got)
		}
	}
}

// anyEvent draws an event as Decode may return it.
func anyEvent(t *rapid.T) *Event {
	text := rapid.OneOf(rapid.Just(""), rapid.StringN(0, 20, 80), rapid.StringMatching(`[a-z"\\/<>\x00-\x1f\x7f ]{0,10}`))
	token := rapid.StringMatching(`[!-~]{1,20}`)
	at := time.UnixMilli(rapid.Int64Range(0, 4102444800000).Draw(t, "at")).UTC()
	e := &Event{ID: token.Draw(t, "id"), Source: token.Draw(t, "source"), Type: Type(token.Draw(t, "type"))}
	if rapid.Bool().Draw(t, "known") {
		e.Type = rapid.SampledFrom(Types()).Draw(t, "known type")
	}
	e.setTime(at.Add(time.Duration(rapid.Int64Range(-30*3600*1000, 3600*1000).Draw(t, "delay"))*time.Millisecond), at)
	account := rapid.StringMatching(`[0-9A-Za-z_.@+:-]{1,40}`).Draw(t, "account")
	for i := range fields {
		f := &fields[i]
		list := allowed(e.Type, f.name)
		switch {
		case f.whole != nil && rapid.Bool().Draw(t, f.name):
			n, has := f.whole(&e.Data)
			*n, *has = rapid.Int64Min(f.least).Draw(t, f.name), true
		case list != nil:
			*f.text(&e.Data) = rapid.SampledFrom(append([]string{""}, list...)).Draw(t, f.name)
		case f.kind == String:
			*f.text(&e.Data) = text.Draw(t, f.name)
		case f.kind == ID:
			*f.text(&e.Data) = rapid.StringMatching(`[ -~äß厦]{0,20}`).Draw(t, f.name)
		}
	}
	e.Account = accountOf(t, account)
	e.IP = rapid.SampledFrom([]string{"", "203.0.113.9", "2001:db8::1"}).Draw(t, "ip")
	e.Currency = rapid.SampledFrom([]string{"", "EUR"}).Draw(t, "currency")
	e.Country = rapid.SampledFrom([]string{"", "FR"}).Draw(t, "country")
	if rapid.Bool().Draw(t, "geo") {
		e.Geo = &Geo{Lat: rapid.Float64Range(-90, 90).Draw(t, "lat"), Lon: rapid.Float64Range(-180, 180).Draw(t, "lon"), HasPoint: true,
			City: text.Draw(t, "city")}
	}
	e.Labels = rapid.MapOfN(text, text, 0, MaxLabels).Draw(t, "labels")
	if len(e.Labels) == 0 {
		e.Labels = nil
	}
	e.Extra = rapid.MapOf(rapid.StringMatching(`x_[a-z"]{0,9}`), anyValue(text)).Draw(t, "extra")
	if len(e.Extra) == 0 {
		e.Extra = nil
	}
	return e
}

func anyValue(text *rapid.Generator[string]) *rapid.Generator[any] {
	scalar := rapid.OneOf(rapid.Map(text, func(s string) any { return s }), rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Map(rapid.Float64(), func(f float64) any { return f }), rapid.Just[any](nil))
	list := rapid.Map(rapid.SliceOfN(scalar, 0, 3), func(l []any) any { return append([]any{}, l...) })
	object := rapid.Map(rapid.MapOfN(text, rapid.OneOf(scalar, list), 0, 3), func(m map[string]any) any { return m })
	return rapid.OneOf(scalar, list, object)
}

// What is written is read back the same, as a line and in all three modes of a record.
func TestEncodeAndDecodeAreInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyEvent(t)
		line := Encode(want)
		got, err := DecodeStored(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", line, diff)
		}
		record, err := DecodeRecord([]byte(want.Account), line, []Header(nil), want.Arrival)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if diff := cmp.Diff(want, record); diff != "" {
			t.Fatalf("as a record: %s (-want +got):\n%s", line, diff)
		}
		if again := Encode(got); string(again) != string(line) {
			t.Fatalf("written again it is\n%s\nnot\n%s", again, line)
		}
	})
}

func accountOf(t *rapid.T, s string) auth.AccountID {
	id, err := auth.ParseAccountID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
