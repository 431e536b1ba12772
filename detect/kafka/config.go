package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"doorward/detect"
)

// Config is how to reach the brokers and what to read from them.
type Config struct {
	Brokers []string // host:port; any of the cluster's
	TLS     bool
	CAFile  string // PEM; empty: the system's authorities

	SASL     string // "", plain, scram-sha-256, scram-sha-512
	User     string
	Password string

	Inputs      []string // topics of events; partition n of each is shard n
	Partitions  int      // of topics that Doorward creates; 0: 8
	Partitioner string   // where a key goes: murmur2 (Java clients; the default) or crc32 (librdkafka)
	Group       string   // consumer group; empty: doorward
	ClientID    string   // empty: doorward

	// Store is the identity of the store that this process holds. Every shard goes to the member that has one; a member without gets
	// nothing. Two processes never hold the same store, so that a member of the group with our identity is the one we were before.
	Store string

	// Acked is told of every request that Publish has had acknowledged: count messages from offset base on, the last of which is last. It is
	// called from several goroutines, and before Publish returns. nil: nobody listens.
	Acked func(topic string, partition int, base int64, count int, last *detect.Message)

	Log *slog.Logger // nil: none
}

// Defaults of Config.
const (
	DefaultPartitions = 8 // DESIGN, "Kafka"
	DefaultGroup      = "doorward"
)

// withDefaults is c checked and filled in.
func (c Config) withDefaults() (Config, error) {
	if len(c.Brokers) == 0 {
		return c, errors.New("brokers: none given; name at least one as host:port")
	}
	for _, b := range c.Brokers {
		host, port, err := net.SplitHostPort(b)
		if err != nil || host == "" || port == "" {
			return c, fmt.Errorf("brokers: %q is not host:port", b)
		}
	}
	seen := map[string]bool{}
	for _, t := range c.Inputs {
		if t == "" || seen[t] {
			return c, fmt.Errorf("topics: %q stands twice or is empty", t)
		}
		seen[t] = true
	}
	if c.Partitions == 0 {
		c.Partitions = DefaultPartitions
	}
	if c.Partitions < 1 || c.Partitions > 9999 {
		return c, fmt.Errorf("partitions: %d is not between 1 and 9999", c.Partitions)
	}
	if c.Partitioner == "" {
		c.Partitioner = Murmur2
	}
	if c.Partitioner != Murmur2 && c.Partitioner != CRC32 {
		return c, fmt.Errorf("partitioner: %q is neither murmur2 nor crc32", c.Partitioner)
	}
	if c.SASL != "" && c.User == "" {
		return c, errors.New("kafka.user: missing, and kafka.sasl is set")
	}
	if c.SASL == "" && (c.User != "" || c.Password != "") {
		return c, errors.New("kafka.sasl: missing, and kafka.user or kafka.password is set; it is plain, scram-sha-256 or scram-sha-512")
	}
	if !c.TLS && c.CAFile != "" {
		return c, errors.New("kafka.ca_file: set, but kafka.tls is off")
	}
	if c.Group == "" {
		c.Group = DefaultGroup
	}
	if c.ClientID == "" {
		c.ClientID = "doorward"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Brokers, c.Inputs = slices.Clone(c.Brokers), slices.Clone(c.Inputs)
	return c, nil
}

// tlsConfig is nil without TLS.
func (c Config) tlsConfig() (*tls.Config, error) {
	if !c.TLS {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("kafka.ca_file: %w", err)
	}
	t.RootCAs = x509.NewCertPool()
	if !t.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("kafka.ca_file: %s holds no certificate in PEM", c.CAFile)
	}
	return t, nil
}

// mechanism is nil without SASL.
func (c Config) mechanism() (sasl.Mechanism, error) {
	algorithm := scram.SHA512
	switch strings.ToLower(c.SASL) {
	case "":
		return nil, nil
	case "plain":
		return plain.Mechanism{Username: c.User, Password: c.Password}, nil
	case "scram-sha-256":
		algorithm = scram.SHA256
	case "scram-sha-512":
	default:
		return nil, fmt.Errorf("kafka.sasl: %q is not one of plain, scram-sha-256, scram-sha-512", c.SASL)
	}
	m, err := scram.Mechanism(algorithm, c.User, c.Password)
	if err != nil {
		return nil, fmt.Errorf("kafka.user or kafka.password: not usable with %s: %w", c.SASL, err)
	}
	return m, nil
}
