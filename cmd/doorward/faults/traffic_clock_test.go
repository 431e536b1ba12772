//go:build accept

package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"doorward/detect"
)

// clockRules tell what the windows hold: of an address over ten seconds, and of an account over ten minutes.
const clockRules = `
- id: clock.address
  title: Failed logins of an address
  level: low
  status: test
  on: [login.failed]
  per: ip
  when: count("login.failed", "10s") >= 1
  again: always
  score: 1
  response: notify
  reason: {code: clock, en: "Counted."}
- id: clock.account
  title: Failed logins of an account
  level: low
  status: test
  on: [login.failed]
  per: account
  when: count("login.failed", "10m") >= 1
  again: always
  score: 1
  response: notify
  reason: {code: clock, en: "Counted."}
`

// clockRow: a producer whose clock is wrong writes into a topic that keeps its timestamps: an hour, a day, ten years and the year 2100 ahead,
// and 1970. Doorward warns of such a topic when it starts. A timestamp from the future neither ends the windows of its account, nor those of
// its shard, nor those of shards that follow its clock: what came more than a window ago counts no more, and what comes now is evaluated.
func clockRow(t *testing.T, seed uint64) {
	t.Parallel()
	k := newFakeKafka(t, 1)
	w := plainWorld(t, k, seed, clockRules)
	w.set(map[string]string{"message.timestamp.type": "CreateTime", "retention.ms": "-1"})
	w.init()
	w.start()
	if !w.running().logged("message.timestamp.type is CreateTime") {
		t.Error("a topic with producers' timestamps is not warned of")
	}
	w.fail(5, 0, time.Now())
	w.counted(5, 0)
	for p, ahead := range []time.Duration{time.Hour, 24 * time.Hour, 10 * 365 * 24 * time.Hour, time.Until(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))} {
		w.fail(int32(p), 0, time.Now().Add(ahead))
		w.counted(int32(p), 0)
	}
	w.fail(4, 0, time.Unix(0, 0))
	w.pause(2500 * time.Millisecond) // idle shards follow the clocks of the others
	for p := range int32(partitions) {
		for n := range 5 {
			w.fail(p, 1+n, time.Now())
		}
	}
	w.counted(partitions-1, 5)
	w.pause(12 * time.Second) // the windows of ten seconds end
	for p := range int32(partitions) {
		w.fail(p, 6, time.Now())
	}
	for p := range int32(partitions) {
		address, account := w.counted(p, 6)
		if address != 1 {
			t.Errorf("partition %d: the address has failed %v times in ten seconds, and it was once", p, address)
		}
		if account < 6 {
			t.Errorf("partition %d: the account has failed %v times in ten minutes, and it was at least 6 times", p, account)
		}
	}
	w.end()
}

// plainWorld is a world with rules of its own, that the model knows nothing of, and without a store.
func plainWorld(t *testing.T, k *fakeKafka, seed uint64, rules string) *world {
	t.Helper()
	w := newWorld(t, &broker{address: k.ListenAddrs()[0]}, seed)
	if err := os.RemoveAll(filepath.Join(w.dir, "rules")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(w.dir, "rules"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.write("rules/faults.yaml", rules)
	return w
}

// set changes settings of the input topic.
func (w *world) set(settings map[string]string) {
	w.Helper()
	r := kmsg.NewPtrIncrementalAlterConfigsRequest()
	res := kmsg.NewIncrementalAlterConfigsRequestResource()
	res.ResourceType, res.ResourceName = kmsg.ConfigResourceTypeTopic, w.topic
	for k, v := range settings {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Value = k, &v
		res.Configs = append(res.Configs, c)
	}
	r.Resources = append(r.Resources, res)
	got, err := r.RequestWith(w.Context(), w.another())
	if err == nil {
		err = kerr.ErrorForCode(got.Resources[0].ErrorCode)
	}
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) failAccount(p int32) string { return accountOn(p, w.prefix, 1) }

// fail writes a failed login of a partition's account from an address of its own; stamp is what the record says of its time.
func (w *world) fail(p int32, n int, stamp time.Time) {
	w.Helper()
	id := fmt.Sprintf("p%d-%d", p, n)
	w.writeRecords(&kgo.Record{Topic: w.topic, Partition: p, Key: []byte(w.failAccount(p)), Timestamp: stamp,
		Value: line(w.source(), id, "login.failed", w.failAccount(p), map[string]any{"ip": fmt.Sprintf("203.0.113.%d", p+1), "method": "password", "reason": "bad_password"})})
}

// line is an event of now as it is written.
func line(source, id, kind, account string, data map[string]any) []byte {
	b, err := json.Marshal(map[string]any{"specversion": "1.0", "id": id, "source": source, "type": kind, "subject": account,
		"time": time.Now().UTC().Format(time.RFC3339Nano), "data": data})
	if err != nil {
		panic("maps of strings and numbers always encode: " + err.Error())
	}
	return b
}

// counted waits for what was found of a failed login, and gives the counts of its address and its account; -1: nothing was found.
func (w *world) counted(p int32, n int) (address, account float64) {
	w.Helper()
	id := fmt.Sprintf("p%d-%d", p, n)
	address, account = -1, -1
	ctx, stop := context.WithTimeout(w.Context(), 20*time.Second)
	defer stop()
	look := func() bool {
		w.history.Find(detect.TopicFindings, func(r Record) bool {
			var f detect.Finding
			if json.Unmarshal([]byte(r.Value), &f) != nil || string(f.Event.ID) != id || f.Event.Source != w.source() {
				return false
			}
			v := evidence(f)
			switch f.Rule {
			case "clock.address":
				address = v
			case "clock.account":
				account = v
			}
			return false
		})
		return address >= 0 && account >= 0
	}
	for !look() && ctx.Err() == nil {
		w.pause(50 * time.Millisecond)
	}
	return address, account
}

// evidence is the number in a finding's only condition.
func evidence(f detect.Finding) float64 {
	for _, e := range f.Evidence {
		b, err := json.Marshal(e.Value)
		var n float64
		if err == nil && json.Unmarshal(b, &n) == nil {
			return n
		}
	}
	return -1
}
