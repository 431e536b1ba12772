package event

import (
	"strconv"
	"strings"
	"testing"
)

// sample is an event in structured mode whose attributes and data fields a case replaces, adds or ("-") takes away.
func sample(changes ...string) string {
	names := []string{"specversion", "id", "source", "type", "subject", "time", "data"}
	values := map[string]string{"specversion": `"1.0"`, "id": `"e1"`, "source": `"/t"`, "type": `"login.failed"`, "subject": `"acct-1"`,
		"time": `"2026-03-01T08:00:00Z"`}
	for i := 0; i < len(changes); i += 2 {
		if _, known := values[changes[i]]; !known && changes[i] != "data" {
			names = append(names, changes[i])
		}
		values[changes[i]] = changes[i+1]
	}
	var members []string
	for _, name := range names {
		if v := values[name]; v != "" && v != "-" {
			members = append(members, strconv.Quote(name)+":"+v)
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

func data(fields string) string { return sample("data", "{"+fields+"}") }

func typed(t, fields string) string { return sample("type", strconv.Quote(t), "data", "{"+fields+"}") }

// nested is n arrays in one another.
func nested(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

// labels is an object of n labels.
func labels(n int) string {
	members := make([]string, n)
	for i := range members {
		members[i] = `"l` + strconv.Itoa(i) + `":"x"`
	}
	return `"labels":{` + strings.Join(members, ",") + `}`
}

// manyMembers is n further members x0, x1, ...
func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`,"x` + strconv.Itoa(i) + `":` + strconv.Itoa(i))
	}
	return b.String()
}

type verdict struct {
	name  string
	line  string
	code  Code   // "": taken
	field string // of the error
	blind string // why the schemas take what the decoder refuses
}

const (
	blindKeys    = "a parsed object has no duplicate keys"
	blindDepth   = "no keyword for depth"
	blindSize    = "no keyword for bytes"
	blindInteger = "in JSON Schema 2500.0 and 1e3 are integers"
	blindText    = "the text is no JSON, or JSON that parsers disagree on"
	blindYears   = "no keyword for a range of times"
)

var verdicts = []verdict{
	{name: "the smallest event", line: sample()},
	{name: "empty data", line: data("")},
	{name: "null data", line: sample("data", "null")},
	{name: "unknown type, any fields", line: typed("partner.joined", `"kind":"gold","method":"pigeon"`)},
	{name: "extension attribute", line: sample("partitionkey", `"acct-1"`, "sequence", "7", "x", `{"a":[1,{"b":null}]}`)},
	{name: "many extensions", line: sample("x", `1`+manyMembers(40))},
	{name: "unset attributes", line: sample("recordedtime", "null", "datacontenttype", "null", "traceparent", "null")},
	{name: "unset fields", line: data(`"ip":null,"amount":null,"geo":null,"labels":null,"method":null,"x":null`)},
	{name: "empty fields", line: data(`"ip":"","currency":"","country":"","method":"","device":""`)},
	{name: "white space", line: " \t{ \"specversion\" : \"1.0\", \"id\":\"e1\",\"source\":\"/t\",\"type\":\"x\",\"subject\":\"a\"," +
		"\r\n\"time\":\"2026-03-01T08:00:00Z\" } \n"},
	{name: "escapes", line: data(`"user_agent":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"`)},
	{name: "unknown field", line: data(`"shoe_size":43.5,"nested":{"deep":[true,false,null,"x"]}`)},
	{name: "field of another type", line: data(`"amount":5,"kind":"gold"`)},
	{name: "json with charset", line: sample("datacontenttype", `"Application/JSON; charset=UTF-8"`)},
	{name: "a trace that is none is ignored", line: sample("traceparent", `"x"`)},
	{name: "offset", line: sample("time", `"2026-03-01T08:00:00.123456789+05:30"`)},
	{name: "lower-case time", line: sample("time", `"2026-03-01t08:00:00z"`)},
	{name: "leap second", line: sample("time", `"2016-12-31T23:59:60Z"`)},
	{name: "leap day", line: sample("time", `"2024-02-29T23:59:59Z"`)},
	{name: "address v6", line: data(`"ip":"2001:DB8::1"`)},
	{name: "address v4 in v6", line: data(`"ip":"::ffff:203.0.113.9"`)},
	{name: "largest amount", line: data(`"amount":9223372036854775807`)},
	{name: "amount 0", line: data(`"amount":0`)},
	{name: "overdraft", line: data(`"balance_before":-9223372036854775808,"balance_after":-1`)},
	{name: "edge of the world", line: data(`"geo":{"lat":-90,"lon":180}`)},
	{name: "exponent in degrees", line: data(`"geo":{"lat":1.5e1,"lon":-0}`)},
	{name: "country only", line: data(`"geo":{"country":"fr","accuracy":50}`)},
	{name: "32 labels", line: data(labels(32))},
	{name: "id of 256 bytes", line: sample("id", `"`+strings.Repeat("x", 256)+`"`)},
	{name: "depth 8", line: data(`"x":` + nested(6))},
	{name: "failed transaction with a reason of its own", line: typed("transaction.failed", `"reason":"insufficient_funds"`)},
	{name: "login that went well with a reason", line: typed("login.succeeded", `"reason":"known device"`)},
	{name: "account id with outer spaces", line: sample("subject", `" acct-1 "`)},

	{name: "empty", line: "", code: BadJSON},
	{name: "not an object", line: `[1]`, code: BadJSON},
	{name: "null", line: `null`, code: BadJSON},
	{name: "half", line: sample()[:40], code: BadJSON},
	{name: "half a field", line: data(`"amount":tru`), code: BadJSON},
	{name: "more behind it", line: sample() + sample(), code: BadJSON},
	{name: "trailing comma", line: `{"id":"e1",}`, code: BadJSON},
	{name: "comment", line: `{/**/"id":"e1"}`, code: BadJSON},
	{name: "single quotes", line: `{'id':'e1'}`, code: BadJSON},
	{name: "byte order mark", line: "\ufeff" + sample(), code: BadJSON},
	{name: "not UTF-8", line: data("\"note\":\"\xff\""), code: BadJSON},
	{name: "half a surrogate", line: data(`"note":"\ud800"`), code: BadJSON, blind: blindText},
	{name: "surrogates the wrong way round", line: data(`"note":"\ude00\ud83d"`), code: BadJSON, blind: blindText},
	{name: "raw control character", line: data("\"note\":\"a\tb\""), code: BadJSON},
	{name: "unknown escape", line: data(`"note":"\x41"`), code: BadJSON},
	{name: "leading zero", line: data(`"amount":007`), code: BadJSON},
	{name: "plus sign", line: data(`"x":+1`), code: BadJSON},
	{name: "bare point", line: data(`"x":1.`), code: BadJSON},
	{name: "NaN", line: data(`"x":NaN`), code: BadJSON},
	{name: "beyond a double", line: data(`"x":1e999`), code: BadJSON, blind: blindText},
	{name: "attribute twice", line: sample("x", `1,"id":"e2"`), code: BadJSON, blind: blindKeys},
	{name: "attribute twice by an escape", line: sample("x", `1,"\u0069d":"e2"`), code: BadJSON, blind: blindKeys},
	{name: "extension twice", line: sample("x", `1,"x":2`), code: BadJSON, blind: blindKeys},
	{name: "one of many extensions twice", line: sample("x", `1`+manyMembers(40)+`,"x20":1`), code: BadJSON, blind: blindKeys},
	{name: "data twice", line: sample("data", `{},"data":{}`), code: BadJSON, blind: blindKeys},
	{name: "field twice", line: data(`"amount":1,"amount":1`), code: BadJSON, blind: blindKeys},
	{name: "unset field twice", line: data(`"amount":null,"amount":1`), code: BadJSON, blind: blindKeys},
	{name: "unknown field twice", line: data(`"a":1,"A":2,"a":3`), code: BadJSON, blind: blindKeys},
	{name: "key twice, deep inside", line: data(`"x":[{"y":{"z":1,"z":1}}]`), code: BadJSON, blind: blindKeys},
	{name: "key twice in an extension", line: sample("x", `[{"z":1,"z":1}]`), code: BadJSON, blind: blindKeys},
	{name: "key twice in geo", line: data(`"geo":{"lat":1,"lat":1,"lon":1}`), code: BadJSON, blind: blindKeys},
	{name: "key twice in labels", line: data(`"labels":{"a":"x","a":"y"}`), code: BadJSON, blind: blindKeys},
	{name: "depth 9", line: data(`"x":` + nested(7)), code: BadJSON, blind: blindDepth},
	{name: "depth 9 in an extension", line: sample("x", nested(8)), code: BadJSON, blind: blindDepth},
	{name: "64 KiB and a byte", line: sample() + strings.Repeat(" ", MaxSize+1-len(sample())), code: TooLarge, blind: blindSize},

	{name: "no specversion", line: sample("specversion", "-"), code: BadEnvelope, field: "specversion"},
	{name: "another specversion", line: sample("specversion", `"0.3"`), code: BadEnvelope, field: "specversion"},
	{name: "specversion as a number", line: sample("specversion", `1.0`), code: BadEnvelope, field: "specversion"},
	{name: "no id", line: sample("id", "-"), code: BadEnvelope, field: "id"},
	{name: "null id", line: sample("id", "null"), code: BadEnvelope, field: "id"},
	{name: "empty id", line: sample("id", `""`), code: BadEnvelope, field: "id"},
	{name: "id as a number", line: sample("id", `17`), code: BadEnvelope, field: "id"},
	{name: "id of 257 bytes", line: sample("id", `"`+strings.Repeat("x", 257)+`"`), code: TooLarge, field: "id"},
	{name: "id of 258 bytes in 86 characters", line: sample("id", `"`+strings.Repeat("語", 86)+`"`), code: TooLarge, field: "id", blind: blindSize},
	{name: "control character in an id", line: sample("id", `"a\u0000b"`), code: BadEnvelope, field: "id"},
	{name: "no source", line: sample("source", "-"), code: BadEnvelope, field: "source"},
	{name: "space in the source", line: sample("source", `"/a b"`), code: BadEnvelope, field: "source"},
	{name: "no type", line: sample("type", "-"), code: BadEnvelope, field: "type"},
	{name: "no subject", line: sample("subject", "-"), code: BadEnvelope, field: "subject"},
	{name: "blank subject", line: sample("subject", `"  "`), code: BadEnvelope, field: "subject"},
	{name: "space in the subject", line: sample("subject", `"acct 1"`), code: BadEnvelope, field: "subject"},
	{name: "zero-width space in the subject", line: sample("subject", `"acct\u200b1"`), code: BadEnvelope, field: "subject"},
	{name: "no time", line: sample("time", "-"), code: BadEnvelope, field: "time"},
	{name: "time as a number", line: sample("time", "1772352000"), code: BadEnvelope, field: "time"},
	{name: "time without a zone", line: sample("time", `"2026-03-01T08:00:00"`), code: BadEnvelope, field: "time"},
	{name: "time with a space", line: sample("time", `"2026-03-01 08:00:00Z"`), code: BadEnvelope, field: "time"},
	{name: "no such day", line: sample("time", `"2026-02-29T08:00:00Z"`), code: BadEnvelope, field: "time"},
	{name: "no such hour", line: sample("time", `"2026-03-01T24:00:00Z"`), code: BadEnvelope, field: "time"},
	{name: "no leap second then", line: sample("time", `"2026-03-01T08:00:60Z"`), code: BadEnvelope, field: "time"},
	{name: "empty fraction", line: sample("time", `"2026-03-01T08:00:00.Z"`), code: BadEnvelope, field: "time"},
	{name: "before 1970 without an arrival", line: sample("time", `"0001-01-01T00:00:00Z"`), code: BadEnvelope, field: "time", blind: blindYears},
	{name: "year 9999 without an arrival", line: sample("time", `"9999-12-31T23:59:59Z"`), code: BadEnvelope, field: "time", blind: blindYears},
	{name: "arrival that is no time", line: sample("recordedtime", `"yesterday"`), code: BadEnvelope, field: "recordedtime"},
	{name: "empty arrival", line: sample("recordedtime", `""`), code: BadEnvelope, field: "recordedtime"},
	{name: "data of another type", line: sample("datacontenttype", `"text/xml"`), code: BadEnvelope, field: "datacontenttype"},
	{name: "data in another charset", line: sample("datacontenttype", `"application/json;charset=latin1"`), code: BadEnvelope,
		field: "datacontenttype", blind: "no words for a parameter"},
	{name: "binary data", line: sample("data_base64", `"AA=="`), code: BadEnvelope, field: "data_base64"},
	{name: "attribute in another case", line: sample("Subject", `"acct-2"`), code: BadEnvelope, field: "Subject"},

	{name: "data as a list", line: sample("data", "[]"), code: BadData, field: "data"},
	{name: "data as text", line: sample("data", `"{}"`), code: BadData, field: "data"},
	{name: "address as a number", line: data(`"ip":3405803785`), code: BadData, field: "data.ip"},
	{name: "no address", line: data(`"ip":"203.0.113.256"`), code: BadData, field: "data.ip"},
	{name: "address with leading zeros", line: data(`"ip":"203.0.113.009"`), code: BadData, field: "data.ip"},
	{name: "address with a port", line: data(`"ip":"203.0.113.9:443"`), code: BadData, field: "data.ip"},
	{name: "address with a zone", line: data(`"ip":"fe80::1%eth0"`), code: BadData, field: "data.ip"},
	{name: "device of 257 bytes", line: data(`"device":"` + strings.Repeat("x", 257) + `"`), code: TooLarge, field: "data.device"},
	{name: "control character in a device", line: data(`"device":"a\u001fb"`), code: BadData, field: "data.device"},
	{name: "device as a number", line: data(`"device":7`), code: BadData, field: "data.device"},
	{name: "amount with a fraction", line: data(`"amount":2500.0`), code: BadData, field: "data.amount", blind: blindInteger},
	{name: "amount with an exponent", line: data(`"amount":1e3`), code: BadData, field: "data.amount", blind: blindInteger},
	{name: "amount as text", line: data(`"amount":"2500"`), code: BadData, field: "data.amount"},
	{name: "amount below 0", line: data(`"amount":-1`), code: BadData, field: "data.amount"},
	{name: "amount beyond 64 bits", line: data(`"amount":9223372036854775808`), code: BadData, field: "data.amount"},
	{name: "balance beyond 64 bits", line: data(`"balance_after":-9223372036854775809`), code: BadData, field: "data.balance_after"},
	{name: "currency in lower case", line: data(`"currency":"eur"`), code: BadData, field: "data.currency"},
	{name: "currency as a symbol", line: data(`"currency":"€"`), code: BadData, field: "data.currency"},
	{name: "country of three letters", line: data(`"country":"FRA"`), code: BadData, field: "data.country"},
	{name: "geo as text", line: data(`"geo":"48.85,2.35"`), code: BadData, field: "data.geo"},
	{name: "latitude alone", line: data(`"geo":{"lat":48.85}`), code: BadData, field: "data.geo"},
	{name: "longitude unset", line: data(`"geo":{"lat":48.85,"lon":null}`), code: BadData, field: "data.geo"},
	{name: "latitude beyond the pole", line: data(`"geo":{"lat":90.01,"lon":0}`), code: BadData, field: "data.geo.lat"},
	{name: "longitude beyond the date line", line: data(`"geo":{"lat":0,"lon":-181}`), code: BadData, field: "data.geo.lon"},
	{name: "latitude as text", line: data(`"geo":{"lat":"1","lon":1}`), code: BadData, field: "data.geo.lat"},
	{name: "country of geo", line: data(`"geo":{"country":"France"}`), code: BadData, field: "data.geo.country"},
	{name: "33 labels", line: data(labels(33)), code: BadData, field: "data.labels"},
	{name: "label as a number", line: data(`"labels":{"a":1}`), code: BadData, field: "data.labels.a"},
	{name: "labels as a list", line: data(`"labels":["a"]`), code: BadData, field: "data.labels"},
	{name: "unknown method", line: data(`"method":"pigeon"`), code: BadData, field: "data.method"},
	{name: "method in another case", line: data(`"method":"Password"`), code: BadData, field: "data.method"},
	{name: "unknown reason of a failed login", line: data(`"reason":"because"`), code: BadData, field: "data.reason"},
	{name: "unknown factor", line: typed("login.mfa.failed", `"factor":"smell"`), code: BadData, field: "data.factor"},
	{name: "unknown via", line: typed("account.password.reset", `"via":"magic"`), code: BadData, field: "data.via"},
	{name: "unknown kind", line: typed("transaction.requested", `"kind":"gift"`), code: BadData, field: "data.kind"},
	{name: "unknown direction", line: typed("transaction.requested", `"direction":"up"`), code: BadData, field: "data.direction"},
	{name: "unknown counterparty kind", line: typed("account.payee.added", `"counterparty_kind":"dog"`), code: BadData,
		field: "data.counterparty_kind"},
	{name: "unknown channel", line: typed("transaction.completed", `"channel":"pigeon"`), code: BadData, field: "data.channel"},
	{name: "enumeration known only after data", line: `{"data":{"kind":"gift"},"specversion":"1.0","id":"e","source":"/t",` +
		`"type":"transaction.failed","subject":"a","time":"2026-03-01T08:00:00Z"}`, code: BadData, field: "data.kind"},
}

func TestDecodeLineVerdicts(t *testing.T) {
	for _, v := range verdicts {
		t.Run(v.name, func(t *testing.T) {
			e, err := DecodeLine([]byte(v.line))
			switch {
			case v.code == "" && err != nil:
				t.Fatalf("%s: %v", v.line, err)
			case v.code == "" && e == nil, v.code != "" && e != nil:
				t.Fatalf("event %v with error %v", e, err)
			case v.code != "" && (err == nil || err.Code != v.code || err.Field != v.field):
				t.Fatalf("%.200s: %v, want %s at %q", v.line, err, v.code, v.field)
			case err != nil && (err.Problem == "" || len(err.Problem) > 300 || strings.Contains(err.Problem, "\n")):
				t.Fatalf("%q is not one sentence", err.Problem)
			}
		})
	}
}

func TestARefusedValueIsToldWhatWouldBeRight(t *testing.T) {
	for line, want := range map[string]string{
		typed("transaction.requested", `"kind":"gift"`): "payment, transfer, withdrawal, deposit, refund",
		data(`"amount":25.5`):                           "integer of minor units, as 2500",
		data(`"currency":"eur"`):                        "three upper-case letters",
		sample("time", `"yesterday"`):                   "2026-03-01T08:00:00Z",
		sample("specversion", `"0.3"`):                  `must be "1.0"`,
		sample("Subject", `"a"`):                        "lower case: subject",
	} {
		if _, err := DecodeLine([]byte(line)); err == nil || !strings.Contains(err.Problem, want) {
			t.Errorf("%s: %v, want %q in it", line, err, want)
		}
	}
}
