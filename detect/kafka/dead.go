package kafka

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"doorward/detect"
)

// Headers of a dead letter: the names that Kafka Connect's dead-letter queues use, so that tools know them, and ours.
const (
	headTopic     = "__connect.errors.topic"
	headPartition = "__connect.errors.partition"
	headOffset    = "__connect.errors.offset"
	headMessage   = "__connect.errors.exception.message"

	headReason    = "doorward.reason"
	headTimestamp = "doorward.timestamp"      // arrival, RFC 3339
	headTombstone = "doorward.value.none"     // "true": the record had no value
	headLength    = "doorward.value.length"   // bytes before it was cut
	headSum       = "doorward.value.sha256"   // of the whole value, hex
	headKeyLength = "doorward.key.length"     // likewise for the key
	headKeySum    = "doorward.key.sha256"     //
	headDropped   = "doorward.headers.cut"    // how many headers did not fit
	original      = "doorward.original."      // before the name of a header of the record whose name is used here
	ceType        = "doorward.dead-letter.v1" // CloudEvents type
)

// ours reports whether a header name has a meaning in a dead letter.
func ours(name string) bool {
	return strings.HasPrefix(name, "ce_") || strings.HasPrefix(name, "doorward.") || strings.HasPrefix(name, "__connect.errors.") ||
		strings.EqualFold(name, "content-type")
}

// DeadLetter is the message for doorward.dlq.v1 about a record that could not be taken: its key and value, its headers (those whose names
// have a meaning here under "doorward.original."), and why, as headers. It is at most limit bytes long (the topic's max.message.bytes);
// what does not fit is cut, and length and SHA-256 of the whole are told. It depends on nothing but its arguments.
func DeadLetter(rec detect.Record, code, problem string, limit int) detect.Message {
	if len(problem) > 1000 {
		problem = strings.ToValidUTF8(problem[:1000], "")
	}
	place := rec.Topic + "/" + strconv.Itoa(rec.Partition) + "/" + strconv.FormatInt(rec.Offset, 10)
	why := []detect.Header{
		{Key: "ce_specversion", Value: []byte("1.0")},
		{Key: "ce_id", Value: []byte(place)},
		{Key: "ce_source", Value: []byte("/doorward")},
		{Key: "ce_type", Value: []byte(ceType)},
		{Key: "ce_time", Value: []byte(rec.Time.UTC().Format(time.RFC3339Nano))},
		{Key: "content-type", Value: []byte("application/octet-stream")},
		{Key: headReason, Value: []byte(code)},
		{Key: headMessage, Value: []byte(problem)},
		{Key: headTopic, Value: []byte(rec.Topic)},
		{Key: headPartition, Value: []byte(strconv.Itoa(rec.Partition))},
		{Key: headOffset, Value: []byte(strconv.FormatInt(rec.Offset, 10))},
		{Key: headTimestamp, Value: []byte(rec.Time.UTC().Format(time.RFC3339Nano))},
	}
	if rec.Value == nil {
		why = append(why, detect.Header{Key: headTombstone, Value: []byte("true")})
	}
	const spare = 512 // the headers about cuts, and the frame of a batch
	room := max(limit-spare-headersSize(why), 0)
	m := detect.Message{Topic: detect.TopicDead, Partition: -1}
	m.Key, why, room = cut(rec.Key, room, why, headKeyLength, headKeySum)
	dropped := 0
	for _, h := range rec.Headers {
		if ours(h.Key) {
			h.Key = original + h.Key
		}
		if n := headersSize([]detect.Header{h}); dropped == 0 && n <= room {
			m.Headers = append(m.Headers, h)
			room -= n
		} else {
			dropped++
		}
	}
	if dropped > 0 {
		why = append(why, detect.Header{Key: headDropped, Value: []byte(strconv.Itoa(dropped))})
	}
	m.Value, why, _ = cut(rec.Value, room, why, headLength, headSum)
	m.Headers = append(m.Headers, why...)
	return m
}

// cut is b, or as much of it as there is room for with the headers that say so.
func cut(b []byte, room int, why []detect.Header, length, sum string) ([]byte, []detect.Header, int) {
	if len(b) <= room {
		return b, why, room - len(b)
	}
	whole := sha256.Sum256(b)
	why = append(why, detect.Header{Key: length, Value: []byte(strconv.Itoa(len(b)))},
		detect.Header{Key: sum, Value: []byte(hex.EncodeToString(whole[:]))})
	return b[:room:room], why, 0
}

// headersSize is what headers take in a batch, with the lengths before them.
func headersSize(headers []detect.Header) (n int) {
	for _, h := range headers {
		n += len(h.Key) + len(h.Value) + 8
	}
	return n
}

// Dead is what a dead letter says about its record.
type Dead struct {
	Topic     string
	Partition int
	Offset    int64
	Arrival   time.Time
	Reason    string // the code
	Problem   string
	Cut       bool // not whole: it can't be sent again
}

// ReadDead reads a dead letter's headers.
func ReadDead(m detect.Message) (Dead, error) {
	var d Dead
	var problem error
	number := func(h detect.Header) int64 {
		n, err := strconv.ParseInt(string(h.Value), 10, 64)
		if err != nil {
			problem = fmt.Errorf("dead letter: header %s: %w", h.Key, err)
		}
		return n
	}
	for _, h := range m.Headers {
		switch h.Key {
		case headTopic:
			d.Topic = string(h.Value)
		case headPartition:
			d.Partition = int(number(h))
		case headOffset:
			d.Offset = number(h)
		case headReason:
			d.Reason = string(h.Value)
		case headMessage:
			d.Problem = string(h.Value)
		case headTimestamp:
			t, err := time.Parse(time.RFC3339Nano, string(h.Value))
			if err != nil {
				problem = fmt.Errorf("dead letter: header %s: %w", h.Key, err)
			}
			d.Arrival = t
		case headLength, headKeyLength, headDropped:
			d.Cut = true
		}
	}
	if problem == nil && d.Topic == "" {
		problem = errors.New("dead letter: no header says which topic it is from")
	}
	return d, problem
}

// Original is the record that a dead letter is about, to be sent again to the partition it came from.
func Original(m detect.Message) (detect.Message, error) {
	d, err := ReadDead(m)
	if err != nil {
		return detect.Message{}, err
	}
	if d.Cut {
		return detect.Message{}, fmt.Errorf("dead letter of %s, partition %d, offset %d: it was too long to be kept whole and can't be sent again", d.Topic, d.Partition, d.Offset)
	}
	out := detect.Message{Topic: d.Topic, Partition: d.Partition, Key: m.Key, Value: m.Value}
	for _, h := range m.Headers {
		switch name, wrapped := strings.CutPrefix(h.Key, original); {
		case wrapped:
			out.Headers = append(out.Headers, detect.Header{Key: name, Value: h.Value})
		case h.Key == headTombstone:
			out.Value = nil
		case !ours(h.Key):
			out.Headers = append(out.Headers, h)
		}
	}
	return out, nil
}
