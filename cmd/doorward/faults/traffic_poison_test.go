//go:build accept

package faults

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"doorward/detect"
)

// poisonRow: records of every kind that can't be taken, among a good load, in every partition. Each is in the dead letters once, with the
// place it came from; everything else is decided as if they were not there. Then a batch that the network spoils: its shard stops and says
// where, the others go on, and when the network is mended and the engine started again nothing is missing.
func poisonRow(t *testing.T, seed uint64) {
	t.Parallel()
	k := newFakeKafka(t, 1)
	w := throughProxies(t, k.ListenAddrs(), k, seed)
	w.set(map[string]string{"max.message.bytes": "12000000"})
	w.start()
	w.startLoad(load{rate: 200, accounts: 100})
	w.takenIn(100)
	records := w.poison()
	began := time.Now()
	w.writeRecords(records...)
	dead := func() map[string]int {
		from := map[string]int{}
		w.history.Find(detect.TopicDead, func(r Record) bool { from[r.From]++; return false })
		return from
	}
	w.await(time.Minute, "every poisonous record is a dead letter", func() bool { return len(dead()) >= len(records) })
	w.Logf("%d poisonous records, the last is dead %v after the first was written", len(records), time.Since(began).Round(time.Millisecond))
	if got := w.sum(`doorward_events_total{kind="dead"}`); got != float64(len(records)) || len(dead()) != len(records) {
		t.Errorf("%d were written, %v are counted and %d in the topic", len(records), got, len(dead()))
	}
	for _, r := range records {
		if place := fmt.Sprintf("%s/%d/%d", w.topic, r.Partition, r.Offset); dead()[place] == 0 {
			t.Errorf("dropped: %s (%.60q)", place, r.Value)
		}
	}
	w.takenIn(200)

	w.turn(weather{spoil: []byte("spoil me: 0")})
	account := accountOn(6, w.prefix, 1)
	name, value := w.event(account, "session.ended", time.Now(), "")
	w.history.Send(name)
	value = bytes.Replace(value, []byte(`"data":{`), []byte(`"data":{"labels":{"text":"spoil me: 0"},`), 1)
	w.writeRecords(&kgo.Record{Topic: w.topic, Partition: 6, Key: []byte(account), Value: value})
	w.await(time.Minute, "the shard of the spoilt batch has stopped and says where", func() bool {
		return w.says(fmt.Sprintf("shard 6 stopped: shard 6: topic %s, partition 6, offset ", w.topic)) && w.says("the batch of records can't be read: checksum")
	})
	w.takenIn(200) // the others go on
	w.turn(weather{})
	w.end()
	w.start()
	w.finish()
	if len(dead()) != len(records) {
		t.Errorf("%d records are dead afterwards, want %d", len(dead()), len(records))
	}
}

// poison is one record of every kind, spread over the partitions.
func (w *world) poison() (all []*kgo.Record) {
	add := func(value []byte, headers ...kgo.RecordHeader) *kgo.Record {
		p := int32(len(all) % partitions)
		r := &kgo.Record{Topic: w.topic, Partition: p, Key: []byte(accountOn(p, "poison", len(all))), Value: value, Headers: headers}
		all = append(all, r)
		return r
	}
	good := func(account string, data string) []byte {
		return fmt.Appendf(nil, `{"specversion":"1.0","id":"p-%d","source":"/poison","type":"transaction.requested","subject":%q,"time":%q,"data":%s}`,
			len(all), account, time.Now().UTC().Format(time.RFC3339), data)
	}
	next := func() string { return accountOn(int32(len(all)%partitions), "poison", len(all)) }
	add([]byte(`{"specversion":"1.0","id":`))
	add([]byte("not json at all"))
	add([]byte{})
	add(nil)
	add(bytes.Repeat([]byte{0}, 500))
	add([]byte("{\"specversion\":\"1.0\",\"id\":\"\xff\xfe\",\"source\":\"/poison\"}"))
	add([]byte(`{"specversion":"0.3","id":"x","source":"/poison","type":"login.failed","subject":"a","time":"2026-03-01T08:00:00Z"}`))
	add([]byte(`{"specversion":"1.0","id":"x","source":"/poison","type":7,"subject":"a","time":"2026-03-01T08:00:00Z"}`))
	add([]byte(`[1,2,3]`))
	add(good(next(), `{"amount":99999999999999999999999999,"currency":"EUR"}`))
	add(good(next(), `{"amount":1e400,"currency":"EUR"}`))
	add(good(next(), `{"amount":-5,"currency":"EUR"}`))
	add(good(next(), `{"amount":"12","currency":"EUR"}`))
	add(good(next(), `{"note":`+strings.Repeat(`[`, 20000)+strings.Repeat(`]`, 20000)+`}`))
	add(good(next(), `{"note":"`+strings.Repeat("x", 70<<10)+`"}`))
	add(good(next(), `{"note":"`+strings.Repeat("x", 10<<20)+`"}`))
	add([]byte(`{}`), kgo.RecordHeader{Key: "ce_id", Value: []byte{0xff}}, kgo.RecordHeader{Key: "ce_type", Value: nil})
	add([]byte(`{}`), kgo.RecordHeader{Key: "content-type", Value: []byte("application/x-unheard-of")})
	many := add(good("poison-headers", `{}`))
	for n := range 5000 {
		many.Headers = append(many.Headers, kgo.RecordHeader{Key: fmt.Sprintf("h-%d", n), Value: []byte{0, 1, 2}})
	}
	add(good("another-key", `{}`))
	add(good("no-key", `{}`)).Key = nil
	add(good("long-key", `{}`)).Key = bytes.Repeat([]byte("k"), 100<<10)
	return all
}

// bombRow: batches that nobody can read: they inflate to more than a gigabyte, promise to, or are noise. Each stops its own partition with a
// reason that names it, takes no memory to speak of, and leaves the other partitions alone.
func bombRow(t *testing.T, seed uint64) {
	t.Parallel()
	k := newFakeKafka(t, 1)
	w := throughProxies(t, k.ListenAddrs(), k, seed)
	w.set(map[string]string{"max.message.bytes": "12000000"})
	w.start()
	w.startLoad(load{rate: 200, accounts: 100})
	w.takenIn(100)
	before := w.peak()
	noise := bytes.Repeat([]byte{0xb5, 0x28, 0x17}, 1000)
	bombs := map[int32]struct {
		codec   int16
		payload []byte
		says    string
	}{
		1: {1, zipped(t, 256<<20), "inflates to more than 64 MiB"},
		2: {2, binary.AppendUvarint(nil, 2<<30-1), "inflates to more than 64 MiB"}, // snappy: the length it promises
		3: {4, noise, "inflate: zstd"},
		4: {5, noise, "codec 5"},
		5: {4, packed(t, 1100<<20), "inflates to more than 64 MiB"},
	}
	for p, b := range bombs {
		w.produceRaw(p, b.codec, b.payload)
	}
	w.await(time.Minute, "every bomb has stopped its partition, and says so", func() bool {
		for p, b := range bombs {
			if b.codec > 4 {
				continue // the broker itself refuses it
			}
			_, why := w.readiness()
			if !strings.Contains(why, fmt.Sprintf("topic %s, partition %d, offset", w.topic, p)) || !strings.Contains(why, b.says) {
				return false
			}
		}
		return true
	})
	if _, why := w.readiness(); strings.Contains(why, "shard 0") || strings.Contains(why, "shard 6") || strings.Contains(why, "shard 7") {
		t.Errorf("others are stopped too: %s", why)
	}
	w.takenIn(100)
	if took := w.peak() - before; took > 600<<20 {
		t.Errorf("the bombs took %d MiB; a good load took %d MiB before", took>>20, before>>20)
	} else {
		t.Logf("the bombs took %d MiB; a good load took %d MiB before", took>>20, before>>20)
	}
	w.stopLoad()
	w.end()
	w.verifyJournal()
}

// zipped and packed are so many zeros, with gzip and zstd.
func zipped(t *testing.T, size int) []byte {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	zeros(t, z, size)
	return b.Bytes()
}

func packed(t *testing.T, size int) []byte {
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	zeros(t, z, size)
	return b.Bytes()
}

func zeros(t *testing.T, z io.WriteCloser, size int) {
	t.Helper()
	block := make([]byte, 1<<20)
	for range size >> 20 {
		if _, err := z.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}

// produceRaw writes a batch of one record whose compressed records are payload. A codec that the broker does not know has to be refused by it.
func (w *world) produceRaw(partition int32, codec int16, payload []byte) {
	w.Helper()
	body := binary.BigEndian.AppendUint16(nil, uint16(codec))
	body = binary.BigEndian.AppendUint32(body, 0) // last offset delta
	now := uint64(time.Now().UnixMilli())
	body = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(body, now), now)
	body = append(body, bytes.Repeat([]byte{0xff}, 14)...) // no producer
	body = append(binary.BigEndian.AppendUint32(body, 1), payload...)
	b := binary.BigEndian.AppendUint64(nil, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)+9))
	b = append(b, 0xff, 0xff, 0xff, 0xff, 2)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
	b = append(b, body...)
	r := kmsg.NewPtrProduceRequest()
	r.Acks, r.TimeoutMillis = -1, 10_000
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = w.topic
	part := kmsg.NewProduceRequestTopicPartition()
	part.Partition, part.Records = partition, b
	topic.Partitions = append(topic.Partitions, part)
	r.Topics = append(r.Topics, topic)
	got, err := w.another(kgo.MaxVersions(kversion.V3_0_0())).Broker(0).Request(w.Context(), r)
	if err != nil {
		w.Fatal(err)
	}
	err = kerr.ErrorForCode(got.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode)
	if (err != nil) != (codec > 4) {
		w.Fatalf("codec %d in partition %d: %v", codec, partition, err)
	}
}

// peak is the most memory the engine has had, in bytes.
func (w *world) peak() (n int64) {
	w.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.running().cmd.Process.Pid))
	if err != nil {
		w.Fatal(err)
	}
	for l := range strings.Lines(string(b)) {
		if _, err := fmt.Sscanf(l, "VmHWM: %d kB", &n); err == nil {
			return n << 10
		}
	}
	w.Fatal("the kernel does not tell VmHWM")
	return 0
}
