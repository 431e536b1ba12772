package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"

	"doorward/detect"
)

// batch is what one fetch brought. Records are slices of raw and inflated, and good until the batch is filled again.
type batch struct {
	raw      []byte
	inflated []byte
	records  []detect.Record
	headers  []detect.Header
	next     int64 // the offset to ask for next
	logStart int64
	end      int64 // last stable offset: where committed records end
	broken   error // why decoding stopped at next, if it did
}

// limits of a record batch (Kafka's message format, version 2).
const (
	batchHead  = 61
	attrCodec  = 7
	attrAppend = 1 << 3
	attrTx     = 1 << 4
	attrMarker = 1 << 5
	maxNames   = 256 // header names remembered per partition

	// What one answer is decoded to at most; the rest is asked for again. A batch of 64 MiB may hold 9 million records of 7 bytes.
	maxRecords = 100_000
	maxHeaders = 1_000_000
	// The most headers of one record: Kafka knows no limit, but nobody means more.
	maxHeadersEach = 1 << 16
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// decoder reads fetch responses of one partition.
type decoder struct {
	topic string
	part  int
	names map[string]string // header names seen, so that each is made once
	inflater
}

type abort struct{ producer, first int64 }

// decode reads b.raw, a fetch response (version 11) to a request at offset from. A kafka.Error is what the broker says. When a batch is
// broken, the records before it stand in b, b.next is its first offset and b.broken says why.
func (d *decoder) decode(b *batch, from int64) error {
	b.records, b.headers, b.inflated = b.records[:0], b.headers[:0], b.inflated[:0]
	b.next, b.broken = from, nil
	r := cursor{b: b.raw}
	r.skip(4) // throttle
	if code := r.i16(); code != 0 {
		return kafka.Error(code)
	}
	r.skip(4) // session
	if r.i32() != 1 {
		return fmt.Errorf("topics of a fetch: %w", errMalformed)
	}
	r.skip(int(r.i16())) // topic
	if r.i32() != 1 || r.bad {
		return fmt.Errorf("partitions of a fetch: %w", errMalformed)
	}
	r.skip(4) // partition
	if code := r.i16(); code != 0 {
		return kafka.Error(code)
	}
	r.skip(8) // high watermark
	b.end, b.logStart = r.i64(), r.i64()
	var aborts []abort
	for n := r.i32(); n > 0 && !r.bad; n-- {
		aborts = append(aborts, abort{r.i64(), r.i64()})
	}
	r.skip(4) // preferred replica
	size := int(r.i32())
	if r.bad || size > len(r.b)-r.at {
		return fmt.Errorf("head of a fetch: %w", errMalformed)
	}
	b.broken = d.set(b, r.b[r.at:r.at+max(size, 0)], aborts, from)
	return nil
}

// set reads a set of record batches, of which the broker may have cut the last.
func (d *decoder) set(b *batch, set []byte, aborts []abort, from int64) error {
	slices.SortFunc(aborts, func(x, y abort) int { return int(min(max(x.first-y.first, -1), 1)) })
	dropped := map[int64]bool{}
	after := int64(0)
	for whole := 0; len(set) >= 12; whole++ {
		length := int(int32(be.Uint32(set[8:])))
		if length < batchHead-12 {
			return fmt.Errorf("batch of %d bytes: %w", length, errMalformed)
		}
		if length > len(set)-12 {
			if whole == 0 {
				return fmt.Errorf("batch of %d bytes cut after %d: %w", length, len(set)-12, errMalformed)
			}
			return nil
		}
		one := set[:12+length]
		set = set[12+length:]
		if base := int64(be.Uint64(one)); base < after {
			return fmt.Errorf("batch at %d behind one that ends at %d: %w", base, after-1, errMalformed)
		}
		after = int64(be.Uint64(one)) + int64(int32(be.Uint32(one[23:]))) + 1
		full, err := d.batch(b, one, &aborts, dropped, from)
		if err != nil {
			return err
		}
		if full {
			return nil // the rest is asked for again, so that a pile of bombs is no larger than one
		}
	}
	return nil
}

var errOld = errors.New("written in a message format before Kafka 0.11, which is not supported")

// batch reads one record batch. full says that it was left alone because the answer has inflated to its limit.
func (d *decoder) batch(b *batch, one []byte, aborts *[]abort, dropped map[int64]bool, from int64) (full bool, err error) {
	base := int64(be.Uint64(one))
	if one[16] != 2 {
		return false, errOld
	}
	if crc32.Checksum(one[21:], castagnoli) != be.Uint32(one[17:]) {
		return false, fmt.Errorf("checksum: %w", errMalformed)
	}
	attr := be.Uint16(one[21:])
	delta := int64(int32(be.Uint32(one[23:])))
	last := base + delta
	if base < 0 || delta < 0 || last < 0 {
		return false, fmt.Errorf("offsets %d to %d: %w", base, last, errMalformed)
	}
	producer := int64(be.Uint64(one[43:]))
	for len(*aborts) > 0 && (*aborts)[0].first <= last {
		dropped[(*aborts)[0].producer] = true
		*aborts = (*aborts)[1:]
	}
	switch {
	case attr&attrMarker != 0: // the end of a transaction
		delete(dropped, producer)
	case last < from, attr&attrTx != 0 && dropped[producer]:
	default:
		body, err := d.inflate(b, int(attr&attrCodec), one[batchHead:])
		if errors.Is(err, errFull) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		kept, heads := len(b.records), len(b.headers)
		whole, err := d.records(b, one, body, base, last, from)
		if err != nil {
			b.records, b.headers = b.records[:kept], b.headers[:heads]
			return false, err
		}
		if !whole {
			b.next = b.records[len(b.records)-1].Offset + 1
			return true, nil
		}
	}
	b.next = max(b.next, last+1)
	return false, nil
}

// records reads the records of a batch whose head stands in one; whole is false when it stopped because b holds enough.
func (d *decoder) records(b *batch, one, body []byte, base, last, from int64) (whole bool, err error) {
	stamp, appended := int64(be.Uint64(one[27:])), be.Uint16(one[21:])&attrAppend != 0
	if appended {
		stamp = int64(be.Uint64(one[35:])) // the broker's clock, for the whole batch
	}
	count := int64(int32(be.Uint32(one[57:])))
	if count < 0 || count > last-base+1 {
		return false, fmt.Errorf("%d records in offsets %d to %d: %w", count, base, last, errMalformed)
	}
	r := cursor{b: body}
	for before := base - 1; count > 0; count-- {
		length := r.varint()
		if r.bad || length < 0 || length > int64(len(body)-r.at) {
			return false, fmt.Errorf("length of a record: %w", errMalformed)
		}
		one := cursor{b: body[r.at : r.at+int(length)]}
		r.at += int(length)
		one.skip(1) // attributes, unused
		ahead, offset := one.varint(), base+one.varint()
		if one.bad || offset <= before || offset > last {
			return false, fmt.Errorf("offset of a record: %w", errMalformed)
		}
		before = offset
		rec := detect.Record{Topic: d.topic, Partition: d.part, Offset: offset, Time: time.UnixMilli(stamp).UTC()}
		if !appended {
			rec.Time = time.UnixMilli(stamp + ahead).UTC()
		}
		rec.Key, rec.Value = one.bytes(), one.bytes()
		if err := d.recordHeaders(b, &one, &rec); err != nil {
			return false, fmt.Errorf("record %d: %w", offset, err)
		}
		if offset >= from {
			if len(b.records) >= maxRecords || len(b.headers) > maxHeaders && len(b.records) > 0 {
				return false, nil
			}
			b.records = append(b.records, rec)
		}
	}
	if r.at != len(body) {
		return false, fmt.Errorf("%d bytes behind the last record: %w", len(body)-r.at, errMalformed)
	}
	return true, nil
}

func (d *decoder) recordHeaders(b *batch, r *cursor, rec *detect.Record) error {
	n := r.varint()
	if r.bad || n < 0 || n > min(maxHeadersEach, int64(len(r.b)-r.at)) {
		return fmt.Errorf("number of headers: %w", errMalformed)
	}
	at := len(b.headers)
	for ; n > 0; n-- {
		name := r.bytes()
		if name == nil || r.bad {
			return fmt.Errorf("name of a header: %w", errMalformed)
		}
		b.headers = append(b.headers, detect.Header{Key: d.name(name), Value: r.bytes()})
	}
	if r.bad || r.at != len(r.b) {
		return fmt.Errorf("headers: %w", errMalformed)
	}
	if len(b.headers) > at {
		rec.Headers = b.headers[at:len(b.headers):len(b.headers)]
	}
	return nil
}

// name is a header's name as a string that outlives the buffer.
func (d *decoder) name(b []byte) string {
	if s, ok := d.names[string(b)]; ok {
		return s
	}
	s := strings.Clone(string(b))
	if d.names == nil {
		d.names = map[string]string{}
	}
	if len(d.names) < maxNames {
		d.names[s] = s
	}
	return s
}

// cursor reads big-endian numbers and varints; what is not there sets bad and reads as zero.
type cursor struct {
	b   []byte
	at  int
	bad bool
}

var zeros [8]byte

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b)-c.at {
		c.bad = true
		c.at = len(c.b)
		return zeros[:min(max(n, 0), 8)]
	}
	c.at += n
	return c.b[c.at-n : c.at : c.at]
}

func (c *cursor) skip(n int) {
	if n > 0 {
		c.take(n)
	}
}
func (c *cursor) i16() int16 { return int16(be.Uint16(c.take(2))) }
func (c *cursor) i32() int32 { return int32(be.Uint32(c.take(4))) }
func (c *cursor) i64() int64 { return int64(be.Uint64(c.take(8))) }

// bytes are a varint length and that many bytes; nil for length -1.
func (c *cursor) bytes() []byte {
	n := c.varint()
	if n == -1 || c.bad {
		return nil
	}
	if n < 0 || n > int64(len(c.b)) {
		c.bad = true
		return nil
	}
	return c.take(int(n))
}

func (c *cursor) varint() int64 {
	v, n := binary.Varint(c.b[c.at:])
	if n <= 0 {
		c.bad = true
		return 0
	}
	c.at += n
	return v
}
