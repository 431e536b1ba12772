package kafka

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"doorward/detect"
)

// Reading goes on at the stored position, and only on the log that was read before.
func TestOpenPositions(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b target) {
		name := topic(t)
		c := b.connect(t, 1, name)
		b.write(t, name, "a", "b", "c", "d")
		s := open(t, c)
		_, at := read(t, s, 4)
		behind := at[name]

		b.write(t, name, "e")
		if got, _ := read(t, open(t, c, behind), 1); got[0] != "e" {
			t.Errorf("reopened at %d: got %q, want e", behind.Offset, got)
		}
		s = open(t, c)
		s.Open(within(t, 10*time.Second), []detect.Position{{Topic: name, Offset: 2}})
		if got, _ := read(t, s, 3); strings.Join(got, "") != "cde" {
			t.Errorf("opened again at 2: got %q", got)
		}

		check := func(what string, at detect.Position, want any) error {
			t.Helper()
			err := (&source{c: c}).Open(within(t, 30*time.Second), []detect.Position{at})
			if !errors.As(err, want) {
				t.Errorf("%s: %v, want a %T", what, err, want)
			}
			return err
		}
		var recreated *RecreatedError
		check("behind the end", detect.Position{Topic: name, Offset: 6}, &recreated)
		if recreated != nil && (recreated.Topic != name || recreated.Partition != 0 || recreated.Offset != 6) {
			t.Errorf("behind the end: %+v", recreated)
		}
		other := behind
		other.Fingerprint++
		check("another record before", other, &recreated)

		b.deleteBefore(t, name, 3)
		var gap *GapError
		check("gone unread", detect.Position{Topic: name, Offset: 1}, &gap)
		if gap == nil || *gap != (GapError{Topic: name, Partition: 0, From: 1, To: 3}) {
			t.Errorf("gone unread: %+v, want records 1 and 2 lost", gap)
		}
		if got, _ := read(t, open(t, c, detect.Position{Topic: name, Offset: 3, Fingerprint: 12345}), 2); strings.Join(got, "") != "de" {
			t.Errorf("at the log's start, where the record before is gone by retention: %q", got)
		}
		if got, _ := read(t, open(t, c), 2); strings.Join(got, "") != "de" {
			t.Errorf("without a position: %q, want what is there", got)
		}
	})
}

// deleteBefore deletes the records of partition 0 before an offset.
func (b target) deleteBefore(t *testing.T, topic string, offset int64) {
	t.Helper()
	r := kmsg.NewPtrDeleteRecordsRequest()
	r.TimeoutMillis = 5000
	r.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: 0, Offset: offset}}}}
	resp, err := r.RequestWith(within(t, 20*time.Second), b.producer(t))
	if err != nil {
		t.Fatalf("delete records: %v", err)
	}
	if code := resp.Topics[0].Partitions[0].ErrorCode; code != 0 {
		t.Fatalf("delete records: %v", kerr.ErrorForCode(code))
	}
}

// remake deletes a topic and makes it again with the values.
func (b target) remake(t *testing.T, c *Client, topic string, values ...string) {
	t.Helper()
	r := kmsg.NewPtrDeleteTopicsRequest()
	r.TimeoutMillis = 5000
	r.TopicNames = []string{topic}
	r.Topics = []kmsg.DeleteTopicsRequestTopic{{Topic: &topic}}
	if _, err := r.RequestWith(within(t, 20*time.Second), b.producer(t)); err != nil {
		t.Fatalf("delete topic: %v", err)
	}
	until(t, "the topic is gone and made again", func() bool {
		create := kmsg.NewPtrCreateTopicsRequest()
		create.TimeoutMillis = 5000
		create.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: topic, NumPartitions: 1, ReplicationFactor: 1}}
		resp, err := create.RequestWith(within(t, 20*time.Second), b.producer(t))
		return err == nil && resp.Topics[0].ErrorCode == 0
	})
	b.write(t, topic, values...)
}

// A topic that is deleted and made again under a running shard ends it, also when the new log has grown past where it was.
func TestRecreatedWhileReading(t *testing.T) {
	for name, values := range map[string]string{"shorter": "x", "longer": "x y z u v w"} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, b target) {
				name := topic(t)
				c := b.connect(t, 1, name)
				b.write(t, name, "a", "b", "c")
				s := open(t, c)
				read(t, s, 3)
				b.remake(t, c, name, strings.Fields(values)...)
				var recreated *RecreatedError
				if err := fails(t, s); !errors.As(err, &recreated) || recreated.Topic != name || recreated.Offset != 3 {
					t.Errorf("got %v, want a RecreatedError at offset 3", err)
				}
			})
		})
	}
}
