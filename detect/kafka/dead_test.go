package kafka

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"doorward/detect"
)

func header(m detect.Message, name string) (values []string) {
	for _, h := range m.Headers {
		if h.Key == name {
			values = append(values, string(h.Value))
		}
	}
	return values
}

func TestDeadLetter(t *testing.T) {
	rec := detect.Record{Topic: "doorward.events.v1", Partition: 3, Offset: 41, Time: time.UnixMilli(1772352000123).UTC(), Key: []byte("acct-42"), Value: []byte(`{"id":`),
		Headers: []detect.Header{{Key: "content-type", Value: []byte("application/cloudevents+json")}, {Key: "trace", Value: []byte("t")}, {Key: "ce_id", Value: []byte("l-1")},
			{Key: "__connect.errors.topic", Value: []byte("forged")}, {Key: "doorward.reason", Value: []byte("forged")}}}
	m := DeadLetter(rec, "bad_json", "not JSON at byte 6", 1<<20)
	if m.Topic != "doorward.dlq.v1" || !bytes.Equal(m.Key, rec.Key) || !bytes.Equal(m.Value, rec.Value) {
		t.Errorf("topic, key or value: %+v", m)
	}
	for name, want := range map[string]string{
		"__connect.errors.topic": "doorward.events.v1", "__connect.errors.partition": "3", "__connect.errors.offset": "41",
		"__connect.errors.exception.message": "not JSON at byte 6", "doorward.reason": "bad_json", "doorward.timestamp": "2026-03-01T08:00:00.123Z",
		"trace": "t", "doorward.original.ce_id": "l-1", "doorward.original.content-type": "application/cloudevents+json",
		"doorward.original.doorward.reason": "forged", "ce_id": "doorward.events.v1/3/41", "ce_specversion": "1.0",
	} {
		if got := header(m, name); !reflect.DeepEqual(got, []string{want}) {
			t.Errorf("header %s: %q, want %q", name, got, want)
		}
	}
	d, err := ReadDead(m)
	want := Dead{Topic: rec.Topic, Partition: 3, Offset: 41, Arrival: rec.Time, Reason: "bad_json", Problem: "not JSON at byte 6"}
	if err != nil || d != want {
		t.Errorf("read back: %+v, %v", d, err)
	}
	if again := DeadLetter(rec, "bad_json", "not JSON at byte 6", 1<<20); !reflect.DeepEqual(again, m) {
		t.Error("the same record gives another dead letter")
	}
}

// Whatever fits is sent again exactly as it was; what does not fit is never sent again, and its dead letter is within the limit.
func TestDeadLetterOriginal(t *testing.T) {
	t.Parallel()
	name := rapid.OneOf(rapid.SampledFrom([]string{"ce_id", "content-type", "doorward.original.x", "doorward.value.length", "__connect.errors.offset", "x", ""}), rapid.String())
	bytesOrNil := rapid.OneOf(rapid.Just([]byte(nil)), rapid.SliceOfN(rapid.Byte(), 0, 3000))
	rapid.Check(t, func(t *rapid.T) {
		rec := detect.Record{Topic: "in", Partition: rapid.IntRange(0, 9).Draw(t, "partition"), Offset: rapid.Int64Range(0, 1<<40).Draw(t, "offset"),
			Time: time.UnixMilli(rapid.Int64Range(0, 1<<41).Draw(t, "time")).UTC(), Key: bytesOrNil.Draw(t, "key"), Value: bytesOrNil.Draw(t, "value")}
		for range rapid.IntRange(0, 5).Draw(t, "headers") {
			rec.Headers = append(rec.Headers, detect.Header{Key: name.Draw(t, "name"), Value: bytesOrNil.Draw(t, "header")})
		}
		limit := rapid.SampledFrom([]int{2500, 4000, 1 << 20}).Draw(t, "limit")
		m := DeadLetter(rec, "code", "problem", limit)
		if size := len(m.Key) + len(m.Value) + headersSize(m.Headers); size > limit {
			t.Fatalf("%d bytes, the limit is %d", size, limit)
		}
		whole := len(rec.Key)+len(rec.Value)+headersSize(rec.Headers) < limit-2200
		out, err := Original(m)
		if err != nil {
			if whole {
				t.Fatalf("it fits, but: %v", err)
			}
			return
		}
		want := detect.Message{Topic: "in", Partition: rec.Partition, Key: rec.Key, Value: rec.Value, Headers: rec.Headers}
		if !reflect.DeepEqual(out, want) {
			t.Fatalf("got %+v, want %+v", out, want)
		}
	})
}

func TestDeadLetterCut(t *testing.T) {
	rec := detect.Record{Topic: "in", Key: []byte("k"), Value: bytes.Repeat([]byte("v"), 100000)}
	m := DeadLetter(rec, "too_large", strings.Repeat("é", 3000), 10000)
	if got := header(m, "doorward.value.length"); !reflect.DeepEqual(got, []string{"100000"}) {
		t.Errorf("length %q", got)
	}
	// sha256 of 100,000 times "v", by sha256sum
	if got := header(m, "doorward.value.sha256"); len(got) != 1 || len(got[0]) != 64 {
		t.Errorf("sha256 %q", got)
	}
	if len(m.Value) < 7000 {
		t.Errorf("only %d bytes of the value are kept", len(m.Value))
	}
	if _, err := Original(m); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("a cut record is sent again: %v", err)
	}
	if _, err := Original(detect.Message{}); err == nil {
		t.Error("a message without headers passes for a dead letter")
	}
}
