package event

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDecodingMakesNoGarbage(t *testing.T) {
	at := time.UnixMilli(1772352190456)
	for _, r := range sampleRecords() {
		var d Decoder
		var e Event
		allocations := testing.AllocsPerRun(100, func() {
			if err := d.Record(&e, r.key, r.value, r.headers, at); err != nil {
				t.Fatal(err)
			}
		})
		most := 0.0
		if len(e.Extra) > 0 { // its values are boxed
			most = float64(len(e.Extra))
		}
		if allocations > most {
			t.Errorf("%s: %v allocations, at most %v wanted", r.name, allocations, most)
		}
	}
}

const fullLine = `{"specversion":"1.0","id":"e\u002d1","source":"/t","type":"login.failed","subject":"acct-1","time":"2026-03-01T08:00:00Z",` +
	`"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","data":{"ip":"::ffff:203.0.113.9","user_agent":"a\/b",` +
	`"geo":{"lat":1.5,"lon":2.5,"city":"Xiamen","country":"cn"},"labels":{"team":"eu"},"tier":["gold",{"since":"2020"}]}}`

// A clone keeps nothing of the record, nor of the event it was made from: both are written again, as a batch does.
func TestACloneOutlivesItsRecord(t *testing.T) {
	want, refused := oracleLine([]byte(fullLine))
	if refused != nil {
		t.Fatal(refused)
	}
	var d Decoder
	var e Event
	line := []byte(fullLine)
	if err := d.Line(&e, line); err != nil {
		t.Fatal(err)
	}
	clone := e.Clone()
	clear(line)
	other := []byte(data(`"geo":{"city":"Lyon"},"labels":{"team":"us"},"tier":"x"`))
	if err := d.Line(&e, other); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, clone); diff != "" {
		t.Errorf("the clone changed (-was +is):\n%s", diff)
	}
	if e.Geo.City != "Lyon" || e.Geo.HasPoint || len(e.Labels) != 1 || e.Labels["team"] != "us" || len(e.Extra) != 1 {
		t.Errorf("something of the event before is left: %+v, geo %+v", e, e.Geo)
	}
}

// A batch: each event keeps its own place, labels and extra until it is read into again, whatever the decoder reads meanwhile.
func TestEventsOfABatchDoNotShare(t *testing.T) {
	var d Decoder
	var events [8]Event
	read := func(i int, fields string) {
		if err := d.Line(&events[i], []byte(data(fields))); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		for i, city := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			read(i, `"geo":{"city":"`+city+`"},"labels":{"`+city+`":"\u0041`+city+`"},"x":"`+city+`"`)
		}
		for i, city := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			e := &events[i]
			if e.Geo.City != city || len(e.Labels) != 1 || e.Labels[city] != "A"+city || len(e.Extra) != 1 || e.Extra["x"] != city {
				t.Fatalf("event %d: %+v %v %v", i, e.Geo, e.Labels, e.Extra)
			}
		}
		for i := range events[:4] {
			read(i, `"ip":"203.0.113.9"`)
			if events[i].Geo != nil || events[i].Labels != nil || events[i].Extra != nil {
				t.Fatalf("event %d has what it had before: %+v", i, events[i])
			}
		}
	}
}

func TestARefusalOutlivesItsRecord(t *testing.T) {
	for _, v := range verdicts {
		if v.code == "" {
			continue
		}
		var d Decoder
		var e Event
		line := []byte(v.line)
		err := d.Line(&e, line)
		if err == nil {
			t.Fatalf("%s is taken", v.name)
		}
		before := bytes.Clone([]byte(err.Error()))
		for i := range line {
			line[i] = '#'
		}
		if after := err.Error(); after != string(before) {
			t.Errorf("%s: %q became %q", v.name, before, after)
		}
	}
}

func TestNamesAreFound(t *testing.T) {
	for _, l := range []*lexicon{envelopeNames, fieldNames, placeNames, typeNames} {
		for i, name := range l.names {
			if got := l.find(name); got != i {
				t.Errorf("%s is at %d, not %d", name, got, i)
			}
			for _, other := range []string{name + "x", name[1:], name[:len(name)-1], "x" + name[1:], ""} {
				if got := l.find(other); got >= 0 && l.names[got] != other {
					t.Errorf("%q is taken for %s", other, l.names[got])
				}
			}
		}
	}
}
