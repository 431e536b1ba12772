//go:build accept

package faults

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"doorward/detect"
	"doorward/detect/kafka"
)

// deadRow: the dead-letter topic refuses to be written. The partition of a record that can't be taken stops and says so, the others go on;
// when the topic can be written again, so does that partition, by itself, and nothing is missing.
func deadRow(t *testing.T, seed uint64) {
	t.Parallel()
	k := newFakeKafka(t, 1)
	w := throughProxies(t, k.ListenAddrs(), k, seed)
	w.start()
	w.startLoad(load{rate: 200, accounts: 100})
	w.takenIn(100)
	fault := k.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: detect.TopicDead, Err: kerr.TopicAuthorizationFailed, Count: -1})
	const stopped = 3
	w.writeRecords(&kgo.Record{Topic: w.topic, Partition: stopped, Key: []byte("poison"), Value: []byte("poison")})
	w.await(30*time.Second, "readiness says that the dead letter can't be published, and that nothing more is taken in", func() bool {
		return w.says("shard 3: what it owes can't be published, so that no more is taken in; it goes on by itself") && w.says("publish to "+detect.TopicDead)
	})
	w.takenIn(400) // the group is told of progress once a second
	_, before := w.stands(stopped)
	w.takenIn(400)
	if end, after := w.stands(stopped); after != before || end <= after {
		t.Errorf("partition %d was read from %d to %d of %d while a dead letter waited", stopped, before, after, end)
	}
	fault.Remove()
	w.ready(time.Minute)
	w.takenIn(300)
	w.finish()
	letters := 0
	w.history.Find(detect.TopicDead, func(Record) bool { letters++; return false })
	if letters == 0 {
		t.Error("the dead letter is lost")
	}
}

// stands is where a partition ends, and how far of it Doorward has told the group that it has come.
func (w *world) stands(partition int32) (end, taken int64) {
	w.Helper()
	ends, err := w.client.LastOffsets(w.Context(), w.topic)
	if err != nil {
		w.Fatal(err)
	}
	r := kmsg.NewPtrOffsetFetchRequest()
	r.Group = kafka.DefaultGroup
	topic := kmsg.NewOffsetFetchRequestTopic()
	topic.Topic, topic.Partitions = w.topic, []int32{partition}
	r.Topics = append(r.Topics, topic)
	got, err := r.RequestWith(w.Context(), w.another(kgo.MaxVersions(kversion.V2_8_0())))
	if err != nil {
		w.Fatal(err)
	}
	return ends[partition], got.Topics[0].Partitions[0].Offset
}
