//go:build accept

package faults

import (
	"context"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"doorward/detect"
	"doorward/detect/kafka"
)

// movedRow: partitions change their leader and the group its coordinator, again and again under load, on three nodes. In this process all of
// kfake's ways to move; in Apache Kafka a node that leads and coordinates is killed and started again, and leaders are elected back.
func movedRow(t *testing.T, seed uint64) {
	t.Parallel()
	eachWeathered(t, seed, 3, func(w *weathered) {
		w.start()
		w.startLoad(load{rate: 300, accounts: 200})
		w.takenIn(200)
		if w.fake != nil {
			w.shuffle(30)
		} else {
			w.killLeader()
		}
		w.takenIn(300)
		w.ready(time.Minute)
		w.finish()
	})
}

// shuffle moves something every 200 ms.
func (w *weathered) shuffle(times int) {
	w.Helper()
	f := w.fake
	for range times {
		w.pause(200 * time.Millisecond)
		node := int32(w.chance.IntN(len(f.ports)))
		switch w.chance.IntN(5) {
		case 0:
			f.ShufflePartitionLeaders()
		case 1:
			f.RehashCoordinators()
		case 2:
			if err := f.MoveTopicPartition(w.topic, int32(w.chance.IntN(partitions)), node); err != nil {
				w.Fatal(err)
			}
		case 3:
			if err := f.MoveTopicPartition(detect.TopicState, int32(w.chance.IntN(partitions)), node); err != nil {
				w.Fatal(err)
			}
		case 4:
			w.proxies[node].turn(weather{down: true}) // as far as Doorward can see, the node is gone (kfake's own removal leaves connections open)
			f.ShufflePartitionLeaders()
			w.pause(300 * time.Millisecond)
			w.proxies[node].turn(weather{})
		}
	}
}

// killLeader kills the node that coordinates the group, which leads a third of the partitions too.
func (w *weathered) killLeader() {
	w.Helper()
	ctx, stop := context.WithTimeout(w.Context(), time.Minute)
	defer stop()
	c := w.another()
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorKey, find.CoordinatorKeys = kafka.DefaultGroup, []string{kafka.DefaultGroup}
	found, err := find.RequestWith(ctx, c)
	if err != nil {
		w.Fatal(err)
	}
	node := strconv.Itoa(int(found.NodeID))
	if len(found.Coordinators) > 0 {
		node = strconv.Itoa(int(found.Coordinators[0].NodeID))
	}
	kafkaRun(w, "kill", node)
	defer kafkaRun(w, "restart", node)
	w.takenIn(500)
	w.ready(time.Minute)
	kafkaRun(w, "restart", node)
	elect(w, c)
	w.takenIn(500)
	elect(w, c)
}

// kafkaRun is .ci/kafka/run.
func kafkaRun(w *weathered, args ...string) {
	w.Helper()
	if out, err := exec.Command("../../../.ci/kafka/run", args...).CombinedOutput(); err != nil {
		w.Fatalf(".ci/kafka/run %v: %v\n%s", args, err, out)
	}
}

// elect gives every partition back to the node that was its first leader, as soon as that one has caught up.
func elect(w *weathered, c *kgo.Client) {
	w.Helper()
	ctx, stop := context.WithTimeout(w.Context(), 30*time.Second)
	defer stop()
	e := kmsg.NewPtrElectLeadersRequest()
	e.TimeoutMillis = 10_000
	if _, err := e.RequestWith(ctx, c); err != nil {
		w.Fatalf("elect leaders: %v", err)
	}
}
