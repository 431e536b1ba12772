//go:build accept

package faults

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"doorward/detect/kafka"
)

var (
	apacheFlag = flag.Bool("faults.apache", false, "Apache Kafka of three nodes is needed: without DOORWARD_TEST_BROKERS rows that want it fail")
	outageFlag = flag.Duration("faults.outage", 4*time.Second, "how long the broker is down (row broker; long form 10m)")
)

// fakeKafka is a cluster in this process, with its records on disk, that does what a test tells it.
type fakeKafka struct {
	t     *testing.T
	dir   string
	ports []int
	*kfake.Cluster
}

func newFakeKafka(t *testing.T, nodes int) *fakeKafka {
	t.Helper()
	f := &fakeKafka{t: t, dir: t.TempDir(), ports: make([]int, nodes)}
	f.start()
	t.Cleanup(func() { f.Close() })
	return f
}

// start begins, or goes on with the records there are, at the same ports.
func (f *fakeKafka) start() {
	f.t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(len(f.ports)), kfake.Ports(f.ports...), kfake.ClusterID("faults"), kfake.DataDir(f.dir),
		kfake.BrokerConfigs(map[string]string{"log.segment.bytes": "16777216"}))
	if err != nil {
		f.t.Fatal(err)
	}
	f.Cluster = c
	for i, a := range c.ListenAddrs() {
		_, port, err := net.SplitHostPort(a)
		if err == nil {
			f.ports[i], err = strconv.Atoi(port)
		}
		if err != nil {
			f.t.Fatal(err)
		}
	}
}

// weathered is a world whose service reaches each node through a proxy; the load and the history go past them.
type weathered struct {
	*world
	fake    *fakeKafka // nil: Apache Kafka
	proxies []*proxy
}

// throughProxies makes a world whose store is made and whose service is not started.
func throughProxies(t *testing.T, nodes []string, fake *fakeKafka, seed uint64) *weathered {
	t.Helper()
	w := &weathered{world: newWorld(t, &broker{address: strings.Join(nodes, ",")}, seed), fake: fake, proxies: proxies(t, nodes)}
	var names []string
	for _, p := range w.proxies {
		names = append(names, p.addr())
	}
	w.env = append(w.env, "DOORWARD_BROKERS="+strings.Join(names, ","))
	w.init()
	return w
}

// turn changes the weather on the way to every node.
func (w *weathered) turn(to weather) {
	for _, p := range w.proxies {
		p.turn(to)
	}
}

// apacheTurn is for one world at a time.
var apacheTurn sync.Mutex

// eachWeathered runs a row in a cluster in this process, and in Apache Kafka when there is one.
func eachWeathered(t *testing.T, seed uint64, nodes int, f func(w *weathered)) {
	t.Run("fake", func(t *testing.T) {
		t.Parallel()
		k := newFakeKafka(t, nodes)
		f(throughProxies(t, k.ListenAddrs(), k, seed))
	})
	if a := apache(t); len(a) >= nodes {
		t.Run("apache", func(t *testing.T) {
			t.Parallel()
			apacheTurn.Lock()
			defer apacheTurn.Unlock()
			f(throughProxies(t, a, nil, seed))
		})
	}
}

// apache are the nodes of Apache Kafka; none when there is none and none is needed.
func apache(t *testing.T) []string {
	t.Helper()
	list := os.Getenv("DOORWARD_TEST_BROKERS")
	if nodes := strings.Split(list, ","); list != "" && (len(nodes) == 3 || !*apacheFlag) {
		return nodes
	}
	if *apacheFlag {
		t.Fatalf("Apache Kafka of three nodes is needed, and DOORWARD_TEST_BROKERS is %q: .ci/kafka/run start 3", list)
	}
	return nil
}

// another is a client of another program.
func (w *world) another(opts ...kgo.Opt) *kgo.Client {
	w.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(strings.Split(w.broker.address, ",")...), kgo.RecordPartitioner(kgo.ManualPartitioner())}, opts...)...)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(c.Close)
	return c
}

// write writes records with another program's client and waits until they are acknowledged.
func (w *world) writeRecords(records ...*kgo.Record) {
	w.Helper()
	c := w.another(kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(16<<20), kgo.MaxBufferedBytes(64<<20))
	defer c.Close()
	ctx, stop := context.WithTimeout(w.Context(), time.Minute)
	defer stop()
	for _, r := range records {
		if err := c.ProduceSync(ctx, r).FirstErr(); err != nil {
			w.Fatal(err)
		}
	}
}

// says reports whether readiness gives a reason with one of these texts, and no good health.
func (w *world) says(texts ...string) bool {
	ready, why := w.readiness()
	return !ready && slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(why, t) })
}

// sum is the sum of a metric over its labels, or of the one whose labels are given.
func (w *world) sum(name string) float64 {
	w.Helper()
	body, err := w.metrics()
	if err != nil {
		w.Fatal(err)
	}
	return metricOf(body, name)
}

func metricOf(body, name string) (sum float64) {
	for l := range strings.Lines(body) {
		if f := strings.Fields(l); len(f) == 2 && (f[0] == name || strings.HasPrefix(f[0], name+"{")) {
			v, err := strconv.ParseFloat(f[1], 64)
			if err != nil {
				panic("metrics are numbers: " + l)
			}
			sum += v
		}
	}
	return sum
}

// accountOn is an account that lives on a partition; of different n another one.
func accountOn(partition int32, prefix string, n int) string {
	for i := 0; ; i++ {
		if a := fmt.Sprintf("%s-%d-%d", prefix, n, i); partitionOf(a) == partition {
			return a
		}
	}
}

func partitionOf(account string) int32 {
	return int32(kafka.PartitionOf(kafka.Murmur2, []byte(account), partitions))
}
