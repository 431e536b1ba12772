package kafka

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"doorward/detect"
)

// The embedded broker keeps topics, records and the group's offsets over a restart, and takes a free port when its own is taken.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broker, err := Embedded(dir, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := broker.Addr()
	name := topic(t)
	b := target{brokers: []string{addr}}
	c := b.connect(t, 2, name)
	b.write(t, name, "a", "b")
	broker.Close()
	broker.Close() // twice is fine
	c.Close()

	taken, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if broker, err = Embedded(dir, addr); err != nil {
		t.Fatalf("the port is taken: %v", err)
	}
	defer broker.Close()
	if host, _, _ := net.SplitHostPort(broker.Addr()); broker.Addr() == addr || host != "127.0.0.1" {
		t.Errorf("listens at %s", broker.Addr())
	}
	b.brokers = []string{broker.Addr()}
	c = b.connect(t, 2, name)
	if got, _ := read(t, open(t, c), 2); strings.Join(got, "") != "ab" {
		t.Errorf("after the restart: %q", got)
	}
	if err := c.Publish(within(t, 10*time.Second), []detect.Message{{Topic: name, Partition: 0, Value: []byte("c")}}); err != nil {
		t.Error(err)
	}
	if id, err := c.ClusterID(within(t, 10*time.Second)); id != "doorward-embedded" || err != nil {
		t.Errorf("cluster id %q, %v", id, err)
	}
	// A topic that nobody made is not made by asking for it.
	m, err := c.api.Metadata(within(t, 10*time.Second), &kafka.MetadataRequest{Topics: []string{"surprise"}})
	if err != nil || m.Topics[0].Error == nil {
		t.Errorf("asking for a topic made it: %v", err)
	}
}

func TestEmbeddedAddress(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:9092", "192.0.2.1:9092", "example.com:9092", "127.0.0.1", "127.0.0.1:http", ":9092"} {
		if b, err := Embedded(t.TempDir(), addr); err == nil {
			b.Close()
			t.Errorf("%s was accepted", addr)
		}
	}
}
