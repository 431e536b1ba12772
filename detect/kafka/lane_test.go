package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"doorward/detect"
)

// What a moving broker answers is waited out, and nothing is lost or doubled by it.
func TestFetchTroubles(t *testing.T) {
	t.Parallel()
	for _, code := range []*kerr.Error{kerr.NotLeaderForPartition, kerr.LeaderNotAvailable, kerr.UnknownTopicOrPartition, kerr.RequestTimedOut, kerr.FencedLeaderEpoch, kerr.KafkaStorageError} {
		t.Run(code.Message, func(t *testing.T) {
			t.Parallel()
			b := fake(t)
			name := topic(t)
			c := b.connect(t, 1, name)
			s := open(t, c)
			b.write(t, name, "a")
			read(t, s, 1)
			h := b.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: name, Err: code, Count: 3})
			b.write(t, name, "b", "c")
			if got, _ := read(t, s, 2); strings.Join(got, "") != "bc" {
				t.Errorf("got %q, want bc", got)
			}
			if h.Hits() != 3 {
				t.Errorf("the broker answered so %d times, want 3", h.Hits())
			}
			quiet(t, s)
		})
	}
	t.Run("the leader moves", func(t *testing.T) {
		t.Parallel()
		b := fake(t, kfake.NumBrokers(3))
		name := topic(t)
		c := b.connect(t, 1, name)
		s := open(t, c)
		var want []string
		for i := range 3 {
			if err := b.fake.MoveTopicPartition(name, 0, int32(i%3)); err != nil {
				t.Fatalf("move: %v", err)
			}
			v := fmt.Sprint(i)
			b.write(t, name, v)
			want = append(want, v)
			if got, _ := read(t, s, 1); got[0] != v {
				t.Fatalf("got %q, want %s", got, v)
			}
		}
	})
	t.Run("the broker restarts", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		broker, err := Embedded(dir, "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { broker.Close() }()
		b := target{brokers: []string{broker.Addr()}}
		name := topic(t)
		c := b.connect(t, 1, name)
		s := open(t, c)
		b.write(t, name, "a")
		read(t, s, 1)
		broker.Close()
		quiet(t, s) // a shard goes on applying acts while the broker is away
		if broker, err = Embedded(dir, b.brokers[0]); err != nil {
			t.Fatal(err)
		}
		b.write(t, name, "b")
		if got, _ := read(t, s, 1); got[0] != "b" {
			t.Errorf("got %q, want b", got)
		}
	})
	t.Run("not allowed", func(t *testing.T) {
		t.Parallel()
		b := fake(t)
		name := topic(t)
		s := open(t, b.connect(t, 1, name))
		b.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: name, Err: kerr.TopicAuthorizationFailed, Count: -1})
		if err := fails(t, s); !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "Authorization") {
			t.Errorf("got %v, want the topic and the reason", err)
		}
	})
}

// A batch that can't be read is asked for again, then ends the partition by name; what came before it is handed out.
func TestFetchBrokenBatch(t *testing.T) {
	t.Parallel()
	b := fake(t)
	name := topic(t)
	c := b.connect(t, 1, name)
	b.write(t, name, "a", "b") // so that the checks of the log find it long enough
	good := rawBatch{base: 0, records: recs(0, "a")}.bytes()
	bad := rawBatch{base: 1, records: recs(0, "b")}.bytes()
	bad[len(bad)-1] ^= 0x40
	var mended atomic.Bool
	asked := atomic.Int64{}
	b.fake.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.fake.KeepControl()
		f := req.(*kmsg.FetchRequest)
		if mended.Load() {
			return nil, nil, false
		}
		set := bad
		if f.Topics[0].Partitions[0].FetchOffset == 0 {
			set = append(bytes.Clone(good), bad...)
		} else {
			asked.Add(1)
		}
		resp := f.ResponseKind().(*kmsg.FetchResponse)
		resp.Topics = []kmsg.FetchResponseTopic{{Topic: name, Partitions: []kmsg.FetchResponseTopicPartition{{HighWatermark: 2, LastStableOffset: 2, RecordBatches: set}}}}
		return resp, nil, true
	})
	s := open(t, c)
	if got, _ := read(t, s, 1); got[0] != "a" {
		t.Fatalf("got %q, want a", got)
	}
	err := fails(t, s)
	var broken *BatchError
	if !errors.As(err, &broken) || broken.Topic != name || broken.Partition != 0 || broken.Offset != 1 {
		t.Fatalf("got %v, want a BatchError at offset 1", err)
	}
	if asked.Load() < badTries {
		t.Errorf("asked %d times for it, want %d", asked.Load(), badTries)
	}
	if again := fails(t, s); again.Error() != err.Error() {
		t.Errorf("the next fetch says %v, want the same", again)
	}
	mended.Store(true)
	if got, _ := read(t, open(t, c, detect.Position{Topic: name, Offset: 1}), 1); got[0] != "b" {
		t.Errorf("mended: got %q, want b", got)
	}
}

// One batch that the network broke once is read at the second try.
func TestFetchBrokenOnce(t *testing.T) {
	t.Parallel()
	b := fake(t)
	name := topic(t)
	c := b.connect(t, 1, name)
	bad := rawBatch{base: 0, records: recs(0, "a")}.bytes()
	bad[30] ^= 1
	b.fake.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		resp.Topics = []kmsg.FetchResponseTopic{{Topic: name, Partitions: []kmsg.FetchResponseTopicPartition{{RecordBatches: bad}}}}
		return resp, nil, true
	})
	b.write(t, name, "a")
	if got, _ := read(t, open(t, c), 1); got[0] != "a" {
		t.Errorf("got %q, want a", got)
	}
}
