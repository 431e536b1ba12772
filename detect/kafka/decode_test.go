package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"

	"doorward/detect"
)

// rawBatch is a record batch before it is written down.
type rawBatch struct {
	base     int64
	codec    int
	attr     uint16
	producer int64
	time     int64
	records  []detect.Record // Offset: from base
	count    int             // 0: as many as there are records
	body     []byte          // nil: made of records
	last     int64           // delta of the last offset; 0: of the last record
}

func (b rawBatch) bytes() []byte {
	body := b.body
	if body == nil {
		for _, r := range b.records {
			one := []byte{0}
			one = binary.AppendVarint(one, r.Time.UnixMilli()-b.time)
			one = binary.AppendVarint(one, r.Offset)
			one = varbytes(varbytes(one, r.Key), r.Value)
			one = binary.AppendVarint(one, int64(len(r.Headers)))
			for _, h := range r.Headers {
				one = varbytes(varbytes(one, []byte(h.Key)), h.Value)
			}
			body = append(binary.AppendVarint(body, int64(len(one))), one...)
		}
		if b.codec != codecNone {
			var z bytes.Buffer
			w := kafka.Compression(b.codec).Codec().NewWriter(&z)
			w.Write(body)
			w.Close()
			body = z.Bytes()
		}
	}
	count, last := b.count, b.last
	if count == 0 {
		count = len(b.records)
	}
	if last == 0 && len(b.records) > 0 {
		last = b.records[len(b.records)-1].Offset
	}
	out := be.AppendUint64(nil, uint64(b.base))
	out = be.AppendUint32(out, uint32(batchHead-12+len(body)))
	out = append(be.AppendUint32(out, 0), 2)
	out = be.AppendUint32(out, 0) // checksum
	out = be.AppendUint16(out, b.attr|uint16(b.codec))
	out = be.AppendUint32(out, uint32(last))
	out = be.AppendUint64(be.AppendUint64(out, uint64(b.time)), uint64(b.time+1000))
	out = be.AppendUint64(out, uint64(b.producer))
	out = be.AppendUint32(be.AppendUint16(out, 0), 0)
	out = append(be.AppendUint32(out, uint32(count)), body...)
	be.PutUint32(out[17:], crc32.Checksum(out[21:], castagnoli))
	return out
}

func varbytes(b, v []byte) []byte {
	if v == nil {
		return binary.AppendVarint(b, -1)
	}
	return append(binary.AppendVarint(b, int64(len(v))), v...)
}

// answer is a fetch response around batches.
func answer(code int16, aborts []abort, batches ...[]byte) []byte {
	p := kmsg.NewFetchResponseTopicPartition()
	p.ErrorCode, p.HighWatermark, p.LastStableOffset = code, 1000, 900
	for _, a := range aborts {
		p.AbortedTransactions = append(p.AbortedTransactions, kmsg.FetchResponseTopicPartitionAbortedTransaction{ProducerID: a.producer, FirstOffset: a.first})
	}
	p.RecordBatches = bytes.Join(batches, nil)
	f := kmsg.NewPtrFetchResponse()
	f.Version = fetchVersion
	f.Topics = []kmsg.FetchResponseTopic{{Topic: "t", Partitions: []kmsg.FetchResponseTopicPartition{p}}}
	return f.AppendTo(nil)
}

func recs(from int64, values ...string) (out []detect.Record) {
	for i, v := range values {
		out = append(out, detect.Record{Offset: from + int64(i), Time: time.UnixMilli(5000 + int64(i)).UTC(), Key: []byte("k" + v), Value: []byte(v)})
	}
	return out
}

func values(b *batch) string {
	var s []string
	for _, r := range b.records {
		s = append(s, fmt.Sprintf("%d=%s", r.Offset, r.Value))
	}
	return strings.Join(s, " ")
}

func TestDecode(t *testing.T) {
	ab := rawBatch{base: 10, time: 5000, records: recs(0, "a", "b")}
	cd := rawBatch{base: 12, time: 5000, records: recs(0, "c", "d")}
	tx := func(b rawBatch, producer int64) rawBatch { b.attr, b.producer = attrTx, producer; return b }
	end := func(base, producer int64) rawBatch {
		return rawBatch{base: base, producer: producer, attr: attrTx | attrMarker, records: recs(0, "m")}
	}
	flip := func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	lz := rawBatch{base: 10, codec: codecLZ4, time: 5000, records: recs(0, "a", "b")}
	for _, tt := range []struct {
		name   string
		from   int64
		aborts []abort
		set    [][]byte
		want   string
		next   int64
		broken string
	}{
		{name: "nothing", from: 10, next: 10},
		{name: "two batches", from: 10, set: [][]byte{ab.bytes(), cd.bytes()}, want: "10=a 11=b 12=c 13=d", next: 14},
		{name: "from the middle of a batch", from: 11, set: [][]byte{ab.bytes()}, want: "11=b", next: 12},
		{name: "a batch before the offset", from: 12, set: [][]byte{ab.bytes(), cd.bytes()}, want: "12=c 13=d", next: 14},
		{name: "the broker cut the last", from: 10, set: [][]byte{ab.bytes(), cd.bytes()[:70]}, want: "10=a 11=b", next: 12},
		{name: "the broker cut the head of the last", from: 10, set: [][]byte{ab.bytes(), cd.bytes()[:9]}, want: "10=a 11=b", next: 12},
		{name: "holes of a compacted topic", from: 10, next: 30, want: "15=a 16=b",
			set: [][]byte{rawBatch{base: 10, time: 5000, records: recs(5, "a", "b"), last: 19}.bytes()}},
		{name: "a batch that compaction emptied", from: 10, next: 20, set: [][]byte{rawBatch{base: 10, last: 9}.bytes()}},
		{name: "committed", from: 10, set: [][]byte{tx(ab, 7).bytes(), end(12, 7).bytes()}, want: "10=a 11=b", next: 13},
		{name: "aborted", from: 10, aborts: []abort{{7, 10}}, set: [][]byte{tx(ab, 7).bytes(), end(12, 7).bytes()}, next: 13},
		{name: "aborted, then committed by the same producer", from: 10, aborts: []abort{{7, 10}}, next: 16,
			set: [][]byte{tx(ab, 7).bytes(), end(12, 7).bytes(), tx(rawBatch{base: 13, time: 5000, records: recs(0, "x", "y")}, 7).bytes(), end(15, 7).bytes()}, want: "13=x 14=y"},
		{name: "one aborted among others", from: 10, aborts: []abort{{8, 12}}, set: [][]byte{tx(ab, 7).bytes(), tx(cd, 8).bytes(), end(14, 8).bytes(), end(15, 7).bytes()}, want: "10=a 11=b", next: 16},
		{name: "aborted earlier than asked for", from: 12, aborts: []abort{{8, 3}}, set: [][]byte{tx(cd, 8).bytes(), end(14, 8).bytes()}, next: 15},
		{name: "not part of the aborted transaction", from: 10, aborts: []abort{{7, 10}}, set: [][]byte{ab.bytes()}, want: "10=a 11=b", next: 12},
		{name: "checksum of the first", from: 10, set: [][]byte{flip(ab.bytes())}, next: 10, broken: "checksum"},
		{name: "checksum of the second", from: 10, set: [][]byte{ab.bytes(), flip(cd.bytes())}, want: "10=a 11=b", next: 12, broken: "checksum"},
		{name: "a first batch that is cut", from: 10, set: [][]byte{ab.bytes()[:70]}, next: 10, broken: "cut"},
		{name: "length below a head", from: 10, set: [][]byte{make([]byte, 80)}, next: 10, broken: "batch of 0 bytes"},
		{name: "more records said than there are", from: 10, set: [][]byte{rawBatch{base: 10, records: recs(0, "a"), count: 5, last: 9}.bytes()}, next: 10, broken: "length of a record"},
		{name: "fewer records said than there are", from: 10, set: [][]byte{rawBatch{base: 10, records: recs(0, "a", "b"), count: 1}.bytes()}, next: 10, broken: "behind the last record"},
		{name: "more records than offsets", from: 10, set: [][]byte{rawBatch{base: 10, records: recs(0, "a"), count: 1 << 30}.bytes()}, next: 10, broken: "records in offsets"},
		{name: "an offset behind the batch's last", from: 10, set: [][]byte{rawBatch{base: 10, records: recs(5, "a"), last: 2}.bytes()}, next: 10, broken: "offset of a record"},
		{name: "unknown codec", from: 10, set: [][]byte{rawBatch{base: 10, attr: 6, records: recs(0, "a")}.bytes()}, next: 10, broken: "codec 6"},
		{name: "broken lz4", from: 10, set: [][]byte{rawBatch{base: 10, codec: codecLZ4, body: []byte("nonsense"), count: 1}.bytes()}, next: 10, broken: "inflate"},
		{name: "broken zstd", from: 10, set: [][]byte{rawBatch{base: 10, codec: codecZstd, body: []byte("nonsense"), count: 1}.bytes()}, next: 10, broken: "inflate"},
		{name: "broken snappy", from: 10, set: [][]byte{rawBatch{base: 10, codec: codecSnappy, body: append(xerial, 0, 0), count: 1}.bytes()}, next: 10, broken: "inflate"},
		{name: "broken gzip", from: 10, set: [][]byte{rawBatch{base: 10, codec: codecGzip, body: []byte("nonsense"), count: 1}.bytes()}, next: 10, broken: "inflate"},
		{name: "offsets that go back", from: 10, set: [][]byte{cd.bytes(), ab.bytes()}, want: "12=c 13=d", next: 14, broken: "batch at 10"},
		{name: "lz4", from: 10, set: [][]byte{lz.bytes()}, want: "10=a 11=b", next: 12},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := decoder{topic: "t", part: 3}
			b := &batch{raw: answer(0, tt.aborts, tt.set...)}
			if err := d.decode(b, tt.from); err != nil {
				t.Fatalf("decode: %v", err)
			}
			if got := values(b); got != tt.want || b.next != tt.next {
				t.Errorf("got %q, next %d; want %q, %d", got, b.next, tt.want, tt.next)
			}
			if (b.broken == nil) != (tt.broken == "") || b.broken != nil && !strings.Contains(b.broken.Error(), tt.broken) {
				t.Errorf("broken: %v, want %q", b.broken, tt.broken)
			}
		})
	}
}

func TestDecodeWholeRecord(t *testing.T) {
	want := []detect.Record{
		{Topic: "t", Partition: 3, Offset: 10, Time: time.UnixMilli(5123).UTC(), Key: []byte("k"), Value: []byte("v"),
			Headers: []detect.Header{{Key: "ce_id", Value: []byte("1")}, {Key: "none"}, {Key: "", Value: []byte{}}}},
		{Topic: "t", Partition: 3, Offset: 11, Time: time.UnixMilli(4999).UTC()},
		{Topic: "t", Partition: 3, Offset: 12, Time: time.UnixMilli(5000).UTC(), Key: []byte{}, Value: []byte{}},
	}
	in := append([]detect.Record(nil), want...)
	for i := range in {
		in[i].Offset -= 10
	}
	for codec := codecNone; codec <= codecZstd; codec++ {
		d := decoder{topic: "t", part: 3}
		b := &batch{raw: answer(0, nil, rawBatch{base: 10, time: 5000, codec: codec, records: in}.bytes())}
		if err := d.decode(b, 10); err != nil || b.broken != nil {
			t.Fatalf("codec %d: %v, %v", codec, err, b.broken)
		}
		if !reflect.DeepEqual(b.records, want) {
			t.Errorf("codec %d: got %+v", codec, b.records)
		}
		if b.end != 900 {
			t.Errorf("last stable offset %d", b.end)
		}
	}
	appended := &batch{raw: answer(0, nil, rawBatch{base: 10, time: 5000, attr: attrAppend, records: in}.bytes())}
	d := decoder{topic: "t"}
	if err := d.decode(appended, 10); err != nil || len(appended.records) != 3 || appended.records[0].Time.UnixMilli() != 6000 {
		t.Errorf("log append time: %v, %+v; want the batch's newest time for each record", err, appended.records)
	}
	if err := d.decode(&batch{raw: answer(6, nil)}, 10); !errors.Is(err, kafka.NotLeaderForPartition) {
		t.Errorf("error code 6 came out as %v", err)
	}
}

// A few kilobytes that inflate without end are refused, and memory stays near the limit (security S-24).
func TestDecodeBomb(t *testing.T) {
	zeros := make([]byte, 1<<20)
	for codec := codecGzip; codec <= codecZstd; codec++ {
		t.Run(kafka.Compression(codec).String(), func(t *testing.T) {
			var z bytes.Buffer
			w := kafka.Compression(codec).Codec().NewWriter(&z)
			for range 256 {
				w.Write(zeros)
			}
			w.Close()
			raw := answer(0, nil, rawBatch{base: 10, codec: codec, body: z.Bytes(), count: 1}.bytes())
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			d := decoder{topic: "t"}
			b := &batch{raw: raw}
			if err := d.decode(b, 10); err != nil || !errors.Is(b.broken, errBomb) {
				t.Fatalf("%v, %v; want the bomb refused", err, b.broken)
			}
			runtime.ReadMemStats(&after)
			if grown := after.Sys - before.Sys; after.Sys > before.Sys && grown > 200<<20 {
				t.Errorf("memory grew by %d MiB", grown>>20)
			}
		})
	}
}

// Many batches that are fine each, but inflate to more than the limit together, are taken one answer after the other.
func TestDecodePileOfBombs(t *testing.T) {
	var set [][]byte
	for i := range int64(3) {
		big := []detect.Record{{Offset: 0, Time: time.UnixMilli(0), Value: make([]byte, 3<<20)}}
		set = append(set, rawBatch{base: i, codec: codecZstd, records: big}.bytes())
	}
	d := decoder{topic: "t"}
	b := &batch{raw: answer(0, nil, set...)}
	if err := d.decode(b, 0); err != nil || b.broken != nil || len(b.records) != 2 || b.next != 2 {
		t.Fatalf("first answer: %v, %v, %d records, next %d; want 2 records", err, b.broken, len(b.records), b.next)
	}
	b.raw = answer(0, nil, set[2:]...)
	if err := d.decode(b, b.next); err != nil || b.broken != nil || len(b.records) != 1 || b.next != 3 {
		t.Fatalf("second answer: %v, %v, %d records, next %d; want 1 record", err, b.broken, len(b.records), b.next)
	}
}

// A batch of very many tiny records is handed out in parts.
func TestDecodeManyTiny(t *testing.T) {
	many := make([]detect.Record, 2*maxRecords+5)
	for i := range many {
		many[i].Offset, many[i].Time = int64(i), time.UnixMilli(0)
	}
	raw := answer(0, nil, rawBatch{base: 0, codec: codecSnappy, records: many}.bytes())
	d := decoder{topic: "t"}
	b := &batch{}
	var next int64
	for part := range 3 {
		b.raw = raw
		if err := d.decode(b, next); err != nil || b.broken != nil {
			t.Fatalf("part %d: %v, %v", part, err, b.broken)
		}
		if b.records[0].Offset != next || len(b.records) > maxRecords {
			t.Fatalf("part %d: %d records from %d, want them from %d", part, len(b.records), b.records[0].Offset, next)
		}
		next = b.next
	}
	if next != int64(len(many)) {
		t.Errorf("ended at %d of %d", next, len(many))
	}
}

// BenchmarkDecode reads an answer of 2,000 events of 460 bytes, as a producer batches them.
func BenchmarkDecode(b *testing.B) {
	for _, codec := range []int{codecNone, codecLZ4, codecZstd} {
		b.Run(kafka.Compression(codec).String(), func(b *testing.B) {
			var set [][]byte
			for i := range 20 {
				var rs []detect.Record
				for j := range 100 {
					rs = append(rs, detect.Record{Offset: int64(j), Time: time.UnixMilli(5000), Key: fmt.Appendf(nil, "acct-%07d", j), Value: noise(j/10, 430),
						Headers: []detect.Header{{Key: "content-type", Value: []byte("application/cloudevents+json")}}})
				}
				set = append(set, rawBatch{base: int64(100 * i), time: 5000, codec: codec, records: rs}.bytes())
			}
			raw := answer(0, nil, set...)
			d, x := decoder{topic: "t"}, &batch{}
			b.ReportAllocs()
			for b.Loop() {
				x.raw = raw
				if err := d.decode(x, 0); err != nil || len(x.records) != 2000 {
					b.Fatal(err, x.broken, len(x.records))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2000, "ns/record")
		})
	}
}

// FuzzDecode: whatever a broker sends, decoding ends, stays in bounds and never moves back.
func FuzzDecode(f *testing.F) {
	f.Add(answer(0, nil), int64(0))
	for codec := codecNone; codec <= codecZstd; codec++ {
		f.Add(answer(0, []abort{{7, 10}}, rawBatch{base: 10, codec: codec, time: 5000, attr: attrTx, producer: 7, records: recs(0, "a", "b")}.bytes(),
			rawBatch{base: 12, attr: attrTx | attrMarker, producer: 7, records: recs(0, "m")}.bytes(),
			rawBatch{base: 13, codec: codec, records: []detect.Record{{Headers: []detect.Header{{Key: "h", Value: []byte("v")}}}}}.bytes()), int64(10))
	}
	f.Fuzz(func(t *testing.T, raw []byte, from int64) {
		mend(raw)
		d := decoder{topic: "t"}
		b := &batch{raw: raw}
		if err := d.decode(b, from); err != nil {
			return
		}
		if b.next < from {
			t.Fatalf("next %d before %d", b.next, from)
		}
		last := from - 1
		for _, r := range b.records {
			if r.Offset <= last || r.Offset >= b.next {
				t.Fatalf("record %d after %d, next %d", r.Offset, last, b.next)
			}
			last = r.Offset
			_ = r.Fingerprint()
		}
	})
}

// mend sets the checksum of the first batch right, so that the fuzzer gets behind it.
func mend(raw []byte) {
	at := bytes.Index(raw, []byte{0, 1, 't'})
	for i := max(at, 0); i+batchHead < len(raw) && i < at+200; i++ {
		if raw[i+16] != 2 {
			continue
		}
		if n := int(be.Uint32(raw[i+8:])); n > batchHead-12 && n <= len(raw)-i-12 {
			be.PutUint32(raw[i+17:], crc32.Checksum(raw[i+21:i+12+n], castagnoli))
			return
		}
	}
}
