package kafka

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Broker is a Kafka broker inside this process, for a first run and for tests: one node, no replication, no fsync, loopback only.
type Broker struct {
	cluster *kfake.Cluster
	addr    string
	close   sync.Once
}

// embeddedBytes is how much of a partition Embedded keeps, and how much of it a file holds at most.
const (
	embeddedBytes   = 64 << 20
	embeddedSegment = 16 << 20
)

// Embedded starts a broker that keeps its topics in dir. addr is a loopback host:port; when the port is taken, a free one is used. Topics
// are made by EnsureTopics only. A partition keeps its newest 64 MiB.
func Embedded(dir, addr string) (*Broker, error) { return EmbeddedKeeping(dir, addr, embeddedBytes) }

// EmbeddedKeeping is Embedded with partitions that keep their newest bytes, 64 MiB at the least. They are on disk: memory holds about 100
// bytes a batch.
func EmbeddedKeeping(dir, addr string, bytes int64) (*Broker, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("embedded broker: %q is not host:port", addr)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("embedded broker: %s is not a loopback address; it has no users and no TLS, so that nobody else may reach it", host)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("embedded broker: %q is not a port", port)
	}
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1), kfake.Ports(int(n)), kfake.ListenFn(listenOrElse), kfake.ClusterID("doorward-embedded"),
		kfake.DataDir(dir),
		kfake.BrokerConfigs(map[string]string{
			"log.retention.bytes":    strconv.FormatInt(max(bytes, embeddedBytes), 10),
			"log.segment.bytes":      strconv.Itoa(embeddedSegment),
			"log.cleaner.backoff.ms": "60000",
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("embedded broker in %s: %w", dir, err)
	}
	return &Broker{cluster: cluster, addr: cluster.ListenAddrs()[0]}, nil
}

// listenOrElse listens at address, or at a free port of the same host when the port is taken.
func listenOrElse(network, address string) (net.Listener, error) {
	l, err := net.Listen(network, address)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return l, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return net.Listen(network, net.JoinHostPort(host, "0"))
}

// Addr is where the broker listens, host:port.
func (b *Broker) Addr() string { return b.addr }

// Close writes everything to disk and stops. Until then, what was acknowledged survives a kill, but the next start reads the whole log.
func (b *Broker) Close() { b.close.Do(b.cluster.Close) }
