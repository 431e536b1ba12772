package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"doorward/auth/totp"
	"doorward/detect"
	"doorward/detect/kafka"
	"doorward/store/badger"
	"doorward/store/outbox"
)

// The test binary is doorward too: scripts start it under that name, in processes of their own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"doorward": main,
		"served":   func() { os.Exit(made(served)) },
		"newer":    func() { os.Exit(made(newer)) },
		"flip":     func() { os.Exit(made(flip)) },
		"replayed": func() { os.Exit(replayed(os.Args[1:])) },
		"app":      func() { os.Exit(made(app)) },
	})
}

func made(f func(args []string) error) int {
	if err := f(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// served makes the store in args[0] as a service leaves it behind that has read the records in args[1], if there is one: a line is
// PARTITION KEY VALUE, a key of - is none.
func served(args []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	broker, err := kafka.Embedded(filepath.Join(args[0]+".broker"), "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer broker.Close()
	cfg := defaults()
	cfg.Store, cfg.Brokers, cfg.Rules = args[0], []string{broker.Addr()}, os.Getenv("DOORWARD_RULES")
	s, err := openHouse(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.connect(ctx); err != nil {
		return err
	}
	defer s.client.Close()
	s.publish = func(context.Context, []outbox.Row) error { return nil } // whoever reads the topics is not here
	if len(args) == 1 {
		return nil
	}
	records, err := recordsOf(args[1])
	if err != nil {
		return err
	}
	if err := s.client.Publish(ctx, records); err != nil {
		return err
	}
	return s.takeIn(ctx, uint64(len(records)))
}

// replayed is `doorward replay --store DIR ARG...` beside the broker that served left: replayed DIR ARG...
func replayed(args []string) int {
	broker, err := kafka.Embedded(args[0]+".broker", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer broker.Close()
	return run(context.Background(), append([]string{"replay", "--store", args[0], "--brokers", broker.Addr()}, args[1:]...), os.Stdin, os.Stdout, os.Stderr)
}

func recordsOf(file string) ([]detect.Message, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var records []detect.Message
	for _, l := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		part, rest, _ := strings.Cut(l, " ")
		key, value, _ := strings.Cut(rest, " ")
		m := detect.Message{Topic: detect.TopicEvents, Key: []byte(key), Value: []byte(value)}
		if key == "-" {
			m.Key = nil
		}
		if _, err := fmt.Sscan(part, &m.Partition); err != nil {
			return nil, fmt.Errorf("record %q: %w", l, err)
		}
		records = append(records, m)
	}
	return records, nil
}

// takeIn runs shards and broker until n records have become events or dead letters.
func (s *house) takeIn(ctx context.Context, n uint64) error {
	running, stop := context.WithCancel(ctx)
	defer stop()
	work := newCrew(running)
	work.run("shards", s.runShards)
	work.run("kafka", func(ctx context.Context) error {
		return s.client.Run(ctx, func(ctx context.Context, shard int, src detect.Source) error { return s.shards[shard].Feed(ctx, src) })
	})
	for {
		var c detect.Counts
		for _, sh := range s.shards {
			c = c.Add(sh.Status().Counts)
		}
		if c.Events+c.Dead >= n {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d records were taken in", c.Events+c.Dead, n)
		case <-time.After(10 * time.Millisecond):
		}
	}
	stop()
	return work.wait()
}

// newer makes the store in args[0] look like one that a later program wrote.
func newer(args []string) error {
	plate := filepath.Join(args[0], "doorward.json")
	b, err := os.ReadFile(plate)
	if err != nil {
		return err
	}
	return os.WriteFile(plate, []byte(strings.Replace(string(b), fmt.Sprintf(`"format": %d,`, badger.Format), fmt.Sprintf(`"format": %d,`, badger.Format+1), 1)), 0o600)
}

// flip turns a bit in the middle of the first file of directory args[1] in the store in args[0] whose name ends in args[2].
func flip(args []string) error {
	found, err := filepath.Glob(filepath.Join(args[0], args[1], "*"+args[2]))
	if err != nil || len(found) == 0 {
		return fmt.Errorf("no file %s in %s: %v", args[2], args[1], err)
	}
	b, err := os.ReadFile(found[0])
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 1
	return os.WriteFile(found[0], b, 0o600)
}

// app prints the code that an owner's authenticator app shows now for the otpauth link in the "uri" of the JSON in args[0].
func app(args []string) error {
	b, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var e enrolment
	if err := json.Unmarshal(b, &e); err != nil {
		return err
	}
	code, err := totp.CodeAt(e.URI, time.Now())
	fmt.Print(code)
	return err
}

// Scripts are the command line's specification: what is printed where, under which names, and with which exit code.
func TestScripts(t *testing.T) {
	other := notKafka(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true, UpdateScripts: os.Getenv("DOORWARD_UPDATE") != "",
		Setup: func(e *testscript.Env) error {
			e.Setenv("NOT_KAFKA", other)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"code": code, "keys": keys},
	})
}

// notKafka is the address of something that listens and is no broker: it says what web servers say to bytes they don't understand.
func notKafka(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
			c.Close()
		}
	}()
	return l.Addr().String()
}

// An interrupt ends a command that waits for input, with its own code.
func TestInterruptWhileReading(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	in, feed := io.Pipe()
	code := make(chan int, 1)
	go func() { code <- run(ctx, []string{"replay", "-"}, in, io.Discard, io.Discard) }()
	if _, err := io.WriteString(feed, "{}\n"); err != nil { // returns when it has been read
		t.Fatal(err)
	}
	interrupt()
	select {
	case got := <-code:
		if got != exitInterrupt {
			t.Errorf("exit code %d", got)
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits for input")
	}
	feed.Close()
}
