package kafka

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"doorward/detect"
)

func TestConfig(t *testing.T) {
	ok := Config{Brokers: []string{"127.0.0.1:9092"}, Inputs: []string{"a"}}
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"fine", func(*Config) {}, ""},
		{"no brokers", func(c *Config) { c.Brokers = nil }, "brokers: none given"},
		{"no port", func(c *Config) { c.Brokers = []string{"localhost"} }, `"localhost" is not host:port`},
		{"a topic twice", func(c *Config) { c.Inputs = []string{"a", "a"} }, "stands twice"},
		{"no partitions", func(c *Config) { c.Partitions = -1 }, "partitions: -1"},
		{"partitioner", func(c *Config) { c.Partitioner = "random" }, `"random" is neither murmur2 nor crc32`},
		{"sasl without user", func(c *Config) { c.SASL = "plain" }, "kafka.user"},
		{"user without sasl", func(c *Config) { c.User = "u" }, "kafka.sasl"},
		{"unknown sasl", func(c *Config) { c.SASL, c.User = "gssapi", "u" }, `"gssapi" is not one of`},
		{"ca without tls", func(c *Config) { c.CAFile = "ca.pem" }, "kafka.tls is off"},
		{"no ca", func(c *Config) { c.TLS, c.CAFile = true, "/nonexistent/ca.pem" }, "kafka.ca_file"},
		{"ca without a certificate", func(c *Config) { c.TLS, c.CAFile = true, "connect_test.go" }, "holds no certificate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := ok
			tt.change(&cfg)
			cfg, err := cfg.withDefaults()
			if err == nil {
				_, err = cfg.tlsConfig()
			}
			if err == nil {
				_, err = cfg.mechanism()
			}
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// deaf accepts connections and closes them at once, as a listener does that expects TLS.
func deaf(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	return l.Addr().String()
}

// certificate makes a self-signed one for 127.0.0.1 and a file that holds it.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// Every way in which an operator gets the connection wrong is named, with what to change.
func TestConnectProblems(t *testing.T) {
	t.Parallel()
	cert, ca := certificate(t)
	_, otherCA := certificate(t)
	server := &tls.Config{Certificates: []tls.Certificate{cert}}
	open := fake(t)
	users := fake(t, kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "doorward", "right"), kfake.Superuser("PLAIN", "doorward", "right"))
	secure := fake(t, kfake.TLS(server), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "doorward", "right"))
	choosy := fake(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "doorward", "right"))
	choosy.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.SASLHandshake}, Err: kerr.UnsupportedSaslMechanism, TopLevel: true, Count: -1})
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for _, tt := range []struct {
		name string
		cfg  Config
		step string // empty: connects
		want []string
	}{
		{"open", Config{Brokers: open.brokers}, "", nil},
		{"scram 512", Config{Brokers: users.brokers, SASL: "scram-sha-512", User: "doorward", Password: "right"}, "", nil},
		{"plain", Config{Brokers: users.brokers, SASL: "plain", User: "doorward", Password: "right"}, "", nil},
		{"tls and scram 256", Config{Brokers: secure.brokers, TLS: true, CAFile: ca, SASL: "scram-sha-256", User: "doorward", Password: "right"}, "", nil},
		{"the second broker answers", Config{Brokers: []string{closed.Addr().String(), open.brokers[0]}}, "", nil},
		{"nobody", Config{Brokers: []string{closed.Addr().String()}}, stepReach, []string{closed.Addr().String(), "refused", "Is Kafka running there"}},
		{"deaf", Config{Brokers: []string{deaf(t)}}, stepGreet, []string{"kafka.tls: true"}},
		{"wrong password", Config{Brokers: users.brokers, SASL: "scram-sha-512", User: "doorward", Password: "wrong"}, stepSignIn,
			[]string{`refuses user "doorward"`, "scram-sha-512", users.brokers[0], "password is wrong"}},
		{"wrong password, plain", Config{Brokers: users.brokers, SASL: "plain", User: "doorward", Password: "wrong"}, stepSignIn,
			[]string{`refuses user "doorward"`, "plain", "password is wrong"}},
		{"unknown user", Config{Brokers: users.brokers, SASL: "scram-sha-512", User: "nobody", Password: "right"}, stepSignIn, []string{`user "nobody"`}},
		{"mechanism not offered", Config{Brokers: choosy.brokers, SASL: "plain", User: "doorward", Password: "right"}, stepSignIn, []string{"does not offer plain", "kafka.sasl"}},
		{"no user where one is wanted", Config{Brokers: users.brokers}, stepAsk, []string{"kafka.user and kafka.password"}},
		{"tls towards a plain listener", Config{Brokers: open.brokers, TLS: true, CAFile: ca}, stepTLS, []string{"TLS"}},
		{"a plain client towards tls", Config{Brokers: secure.brokers, SASL: "plain", User: "doorward", Password: "right"}, stepGreet, []string{"kafka.tls: true"}},
		{"another authority", Config{Brokers: secure.brokers, TLS: true, CAFile: otherCA}, stepTLS, []string{"kafka.ca_file"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := Connect(within(t, 30*time.Second), tt.cfg)
			if tt.step == "" {
				if err != nil {
					t.Fatalf("connect: %v", err)
				}
				c.Close()
				return
			}
			var named *ConnectError
			if !errors.As(err, &named) || named.Step != tt.step {
				t.Fatalf("got %v (%T), want step %q", err, err, tt.step)
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
			if strings.Contains(err.Error(), "right") || tt.cfg.Password == "wrong" && strings.Contains(err.Error(), `"wrong"`) {
				t.Errorf("%q holds the password", err)
			}
		})
	}
}

func TestConnectEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Connect(ctx, Config{Brokers: []string{deaf(t)}}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TLS and SCRAM against Apache Kafka: signing in, making topics, writing, the group and reading; and its own way of refusing a password.
func TestSecureListener(t *testing.T) {
	t.Parallel()
	brokers, ca := os.Getenv("DOORWARD_TEST_SASL_BROKERS"), os.Getenv("DOORWARD_TEST_CA")
	cfg := Config{TLS: true, CAFile: ca, SASL: "scram-sha-512", User: "doorward", Password: "doorward-secret"}
	b := target{brokers: strings.Split(brokers, ",")}
	if brokers == "" { // then kfake speaks TLS and SCRAM
		cert, file := certificate(t)
		cfg.CAFile = file
		b = fake(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{cert}}), kfake.EnableSASL(),
			kfake.Superuser("SCRAM-SHA-512", "doorward", "doorward-secret"), kfake.Superuser("PLAIN", "doorward", "doorward-secret"))
	}
	name := topic(t)
	cfg.Partitions, cfg.Inputs, cfg.Group, cfg.Store = 2, []string{name}, name, "s"
	c := b.with(t, cfg)
	if err := c.Publish(within(t, 20*time.Second), []detect.Message{{Topic: name, Partition: 1, Value: []byte("v")}}); err != nil {
		t.Fatalf("publish: %v", err)
	}
	got := make(chan string, 1)
	stop := running(t, c, func(ctx context.Context, shard int, src detect.Source) error {
		if err := src.Open(ctx, nil); err != nil {
			return err
		}
		for {
			rs, err := src.Fetch(ctx)
			if err != nil {
				return err
			}
			for _, r := range rs {
				got <- string(r.Value)
			}
		}
	})
	select {
	case v := <-got:
		if v != "v" {
			t.Errorf("read %q", v)
		}
	case <-time.After(30 * time.Second):
		t.Error("nothing came in 30 s")
	}
	stop()

	for _, mechanism := range []string{"scram-sha-512", "plain"} {
		cfg.Brokers, cfg.SASL, cfg.Password = b.brokers, mechanism, "doorward-secret"
		right, err := Connect(within(t, 30*time.Second), cfg)
		if err != nil {
			t.Fatalf("%s: %v", mechanism, err)
		}
		right.Close()
		cfg.Password = "wrong-secret"
		_, err = Connect(within(t, 30*time.Second), cfg)
		var named *ConnectError
		if !errors.As(err, &named) || named.Step != stepSignIn || !strings.Contains(err.Error(), `user "doorward"`) || strings.Contains(err.Error(), "wrong-secret") {
			t.Errorf("%s, wrong password: %v", mechanism, err)
		}
	}
}
