package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/sasl"

	"doorward/detect"
)

// Times of the network (reference: architecture 2.5).
const (
	dialTime    = 3 * time.Second
	requestTime = 10 * time.Second
	metadataTTL = 2 * time.Second
	pollTime    = 250 * time.Millisecond // the longest wait for records
	watchTime   = 30 * time.Second       // between two looks at the number of partitions
	commitTime  = time.Second            // between two commits to Kafka, for dashboards
)

// A fetch speaks this version: 3.x brokers know 0 to 16, 4.x 4 to 17, and 11 is the last one without flexible encoding.
const fetchVersion = 11

// Client is one process's way to a cluster. It is safe for concurrent use; Run is called once.
type Client struct {
	cfg       Config
	tls       *tls.Config
	sasl      sasl.Mechanism
	transport *kafka.Transport
	api       *kafka.Client
	addr      net.Addr

	watchEvery, commitEvery time.Duration

	mu         sync.Mutex
	partitions int                       // of every input topic; 0 before EnsureTopics
	progress   map[int][]detect.Position // per shard, for the commits to Kafka
	stopped    map[int]error             // shards whose run ended with an error
	serving    map[int]bool              // shards that run now
	since      time.Time                 // when this member was first given shards
	troubled   time.Time                 // when a partition that can't be read was last logged
	ailing     map[place]ailment         // partitions of running shards that can't be read now
}

// Connect checks the settings and that a broker answers, speaks TLS as told and knows user and password. *ConnectError says which step
// failed and what to do; whatever may pass by itself is tried 3 times.
func Connect(ctx context.Context, cfg Config) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("kafka settings: %w", err)
	}
	c := &Client{cfg: cfg, addr: kafka.TCP(cfg.Brokers...), watchEvery: watchTime, commitEvery: commitTime,
		progress: map[int][]detect.Position{}, stopped: map[int]error{}, serving: map[int]bool{},
		ailing: map[place]ailment{}}
	if c.tls, err = cfg.tlsConfig(); err != nil {
		return nil, fmt.Errorf("kafka settings: %w", err)
	}
	if c.sasl, err = cfg.mechanism(); err != nil {
		return nil, fmt.Errorf("kafka settings: %w", err)
	}
	if err := c.probe(ctx); err != nil {
		return nil, err
	}
	c.transport = &kafka.Transport{
		DialTimeout: dialTime, MetadataTTL: metadataTTL, IdleTimeout: time.Minute, ClientID: cfg.ClientID, TLS: c.tls, SASL: c.sasl,
	}
	c.api = &kafka.Client{Addr: c.addr, Timeout: requestTime, Transport: c.transport}
	return c, nil
}

// Close releases the connections. Run has returned before.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// probe succeeds when one broker answers all the way; else it returns what is wrong with the one that came furthest.
func (c *Client) probe(ctx context.Context) error {
	var worst *ConnectError
	for try := range 3 {
		if try > 0 && !wait(ctx, time.Duration(try)*400*time.Millisecond) {
			return ctx.Err()
		}
		for _, broker := range c.cfg.Brokers {
			err := c.probeOne(ctx, broker)
			if err == nil {
				return nil
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if worst == nil || steps[err.Step] >= steps[worst.Step] {
				worst = err
			}
		}
		if worst.Step == stepTLS || worst.Step == stepSignIn && !transient(worst.Err) {
			break // what is wrong there stays wrong, and some brokers lock a user after a few wrong passwords
		}
	}
	return worst
}

const (
	stepReach  = "no broker answers"
	stepTLS    = "the TLS handshake failed"
	stepGreet  = "what answers does not speak Kafka as expected"
	stepSignIn = "signing in failed"
	stepAsk    = "the broker does not answer questions"
)

var steps = map[string]int{stepReach: 0, stepTLS: 1, stepGreet: 2, stepSignIn: 3, stepAsk: 4}

func (c *Client) probeOne(ctx context.Context, broker string) *ConnectError {
	ctx, cancel := context.WithTimeout(ctx, dialTime+2*time.Second)
	defer cancel()
	fail := func(step string, err error, advice string) *ConnectError {
		return &ConnectError{Step: step, Broker: broker, Advice: advice, Err: err}
	}
	plain, err := (&net.Dialer{Timeout: dialTime}).DialContext(ctx, "tcp", broker)
	if err != nil {
		return fail(stepReach, err, "Is Kafka running there, and is the address in `brokers` its listener's?")
	}
	defer plain.Close()
	if deadline, ok := ctx.Deadline(); ok {
		plain.SetDeadline(deadline)
	}
	stream := plain
	if c.tls != nil {
		host, _, _ := net.SplitHostPort(broker)
		t := c.tls.Clone()
		t.ServerName = host
		secure := tls.Client(plain, t)
		hands, cancel := context.WithTimeout(ctx, dialTime)
		err := secure.HandshakeContext(hands)
		cancel()
		if err != nil {
			return fail(stepTLS, err, tlsAdvice(err))
		}
		stream = secure
	}
	conn := kafka.NewConnWith(stream, kafka.ConnConfig{ClientID: c.cfg.ClientID})
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline) // kafka-go puts its own, none, in place of plain's
	}
	versions, err := conn.ApiVersions()
	if err != nil {
		advice := "Is this a Kafka listener? If it is one for TLS, set kafka.tls: true."
		if c.tls != nil {
			advice = "Is this a Kafka listener?"
		}
		return fail(stepGreet, err, advice)
	}
	for _, v := range versions {
		if v.ApiKey == int16(protocol.Fetch) && (v.MinVersion > fetchVersion || v.MaxVersion < fetchVersion) {
			return fail(stepGreet, fmt.Errorf("it offers Fetch %d to %d, and Doorward needs %d", v.MinVersion, v.MaxVersion, fetchVersion),
				"Apache Kafka from 2.3 on is supported.")
		}
	}
	return c.probeSession(ctx, broker)
}

// probeSession signs in as the settings say, and asks something that needs it.
func (c *Client) probeSession(ctx context.Context, broker string) *ConnectError {
	conn, err := c.dialer().DialContext(ctx, "tcp", broker)
	if err != nil {
		advice := "Try again; if it stays, the broker's log says why."
		var code kafka.Error
		switch {
		case errors.As(err, &code) && code == kafka.UnsupportedSASLMechanism:
			advice = fmt.Sprintf("The listener does not offer %s: set kafka.sasl to one it offers.", c.cfg.SASL)
		case refused(err):
			err = fmt.Errorf("the listener refuses user %q with %s: %w", c.cfg.User, c.cfg.SASL, err)
			advice = "Check kafka.user and kafka.password: the user is unknown there or the password is wrong."
		}
		return &ConnectError{Step: stepSignIn, Broker: broker, Advice: advice, Err: err}
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	if _, err := conn.Brokers(); err != nil {
		advice := "The broker's log says why."
		if c.sasl == nil {
			advice = "If the listener wants a user and a password, set kafka.sasl, kafka.user and kafka.password."
		}
		return &ConnectError{Step: stepAsk, Broker: broker, Advice: advice, Err: err}
	}
	return nil
}

// refused reports whether a sign-in failed for its credentials: kafka-go says so by code, in words, or, when the client itself finds
// the server's proof wrong, by an error without a code.
func refused(err error) bool {
	var code kafka.Error
	if errors.As(err, &code) {
		return code == kafka.SASLAuthenticationFailed
	}
	return !transient(err) && strings.Contains(err.Error(), "SASL")
}

func tlsAdvice(err error) string {
	var record tls.RecordHeaderError
	var cert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &record):
		return "The listener does not speak TLS: use its TLS listener's port, or set kafka.tls: false."
	case errors.As(err, &cert):
		return "Set kafka.ca_file to the certificate authority of the brokers, and use a host name that is in their certificate."
	}
	return "Is this the broker's TLS listener?"
}

func (c *Client) dialer() *kafka.Dialer {
	return &kafka.Dialer{ClientID: c.cfg.ClientID, Timeout: dialTime, TLS: c.tls, SASLMechanism: c.sasl}
}

// wait returns false when ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// again calls f until it succeeds, fails for good, or has failed ten times in ten seconds or so.
func (c *Client) again(ctx context.Context, f func(context.Context) error) error {
	for try := 1; ; try++ {
		one, cancel := context.WithTimeout(ctx, requestTime)
		err := f(one)
		cancel()
		if err == nil || ctx.Err() != nil || !transient(err) || try == 10 {
			return err
		}
		c.cfg.Log.Debug("kafka: again", "try", try, "err", err)
		if !wait(ctx, backoff(try)) {
			return ctx.Err()
		}
	}
}

// backoff is 50 ms, doubling, at most 1 s.
func backoff(try int) time.Duration {
	return min(50*time.Millisecond<<min(try-1, 10), time.Second)
}
