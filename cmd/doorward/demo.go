package main

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"doorward/auth"
	"doorward/auth/notice"
	"doorward/auth/staff"
	"doorward/auth/totp"
	"doorward/detect"
	"doorward/detect/kafka"
	"doorward/detect/simulate"
	"doorward/store"
)

// demonstration is what `demo` prints: when it is ready, and with the counts when it ends (COMMANDS.md).
type demonstration struct {
	Ready    bool   `json:"ready"`
	Broker   string `json:"broker"`
	Portal   string `json:"portal"`
	Console  string `json:"console"`
	API      string `json:"api"`
	Outbox   string `json:"outbox"`
	Metrics  string `json:"metrics"`
	Store    string `json:"store"`
	APIToken string `json:"api_token"`
	Staff    string `json:"staff_link"`
	Account  string `json:"account"`       // just locked
	Recovery string `json:"recovery_link"` // its owner's way back
	Code     string `json:"code_page"`     // the code its owner's authenticator app shows now
	Event    string `json:"event"`         // what it was locked for: doorward explain
}

type demoTotals struct {
	demonstration
	Events         uint64            `json:"events"`
	Findings       uint64            `json:"findings"`
	ByRule         map[string]uint64 `json:"by_rule"`
	Locked         uint64            `json:"locked"`
	Recovered      uint64            `json:"recovered"`
	Cases          int               `json:"cases"`
	FirstFindingMs int64             `json:"first_finding_ms"`
}

func demoCommand(t *terminal) *cobra.Command {
	var length time.Duration
	var dir string
	c := &cobra.Command{
		Use: "demo", Short: "Everything at once on this machine: broker, store, traffic with attacks, portal and console",
		Long: `Starts an embedded broker (single machine, for trying out), a new store and the whole service on loopback addresses, lets simulated people
live and thieves try, and names an account that was just locked, with its owner's way back. Needs nothing but this program. Where a usual
port is taken it uses a free one. Ends with Ctrl-C, or after --for.`,
		Example: "  doorward demo\n  doorward demo --for 30s -o json", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c, os.LookupEnv)
			if err != nil {
				return err
			}
			if dir == "" {
				if dir, err = os.MkdirTemp("", "doorward-demo-"); err != nil {
					return err
				}
				defer os.RemoveAll(dir)
			}
			ctx := c.Context()
			if length > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeoutCause(ctx, length, context.Canceled)
				defer cancel()
			}
			return runDemo(ctx, t, cfg, dir)
		},
	}
	c.Flags().DurationVar(&length, "for", 0, "end after this long (0: with Ctrl-C)")
	c.Flags().StringVar(&dir, "dir", "", "keep everything in this directory (default: a temporary one, removed at the end)")
	return c
}

// demo is a running demonstration.
type demo struct {
	t       *terminal
	s       *house
	outbox  *notice.Outbox
	sim     *simulate.Simulation
	ready   demonstration
	started time.Time

	mu    sync.Mutex
	seeds map[auth.AccountID]string // otpauth links, for the code page: a demo knows its owners' secrets
	first time.Duration             // from the attack's first event to its first finding
}

const demoAccounts = 120

func runDemo(ctx context.Context, t *terminal, cfg *Config, dir string) (err error) {
	log := slog.New(slog.NewJSONHandler(t.talk, &slog.HandlerOptions{Level: slog.LevelError}))
	if err := os.MkdirAll(dir, 0o700); err != nil { // before the broker makes it for everybody to read: notices hold links
		return err
	}
	broker, err := kafka.Embedded(filepath.Join(dir, "broker"), "127.0.0.1:9092")
	if err != nil {
		return err
	}
	defer broker.Close()
	cfg.Store, cfg.Brokers = filepath.Join(dir, "store"), []string{broker.Addr()}
	made, err := demoStore(ctx, cfg, log)
	if err != nil {
		return err
	}
	s, err := openHouse(cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	d := &demo{t: t, s: s, started: time.Now(), seeds: map[auth.AccountID]string{}}
	d.ready = demonstration{Broker: broker.Addr(), Store: cfg.Store, APIToken: made.APIToken}
	if d.sim, err = simulate.New(simulate.Config{Accounts: demoAccounts, Days: 1, Seed: 1}); err != nil {
		return err
	}
	l, err := listen("127.0.0.1:8446", true)
	if err != nil {
		return err
	}
	d.ready.Outbox = "http://" + l.Addr().String()
	if d.outbox, err = notice.NewOutbox(notice.OutboxConfig{Name: "Doorward", PublicURL: d.ready.Outbox, Zone: ownerZone, Now: s.now, Log: log}); err != nil {
		l.Close()
		return err
	}
	var failed error
	ready := func(map[string]net.Addr) {
		if failed = d.play(ctx); failed != nil && ctx.Err() == nil {
			t.say("demo: %v", failed)
		}
	}
	s.parts = append(s.parts, part{"outbox", func(ctx context.Context) error { return serveUntil(ctx, newServer(d.pages(), nil), l) }})
	err = s.serve(ctx, serveOptions{sparePorts: true, send: d.outbox.Send, ready: ready})
	if err == nil && d.ready.Ready {
		err = d.total(context.WithoutCancel(ctx))
	}
	if err == nil && failed != nil && ctx.Err() == nil {
		err = failed
	}
	return err
}

// demoStore makes the store, or goes on with one that an earlier demo left in --dir.
func demoStore(ctx context.Context, cfg *Config, log *slog.Logger) (*initialised, error) {
	if _, err := os.Stat(keyFile(cfg)); err == nil {
		return &initialised{APIToken: "(printed when the store was made)"}, nil
	}
	return initialise(ctx, cfg, log)
}

// play lets people live and a thief try, says what there is to see, and goes on until ctx ends.
func (d *demo) play(ctx context.Context) error {
	s := d.s
	d.ready.Portal, d.ready.Console, d.ready.API, d.ready.Metrics = s.cfg.portalURL(), s.cfg.consoleURL(), s.cfg.publicURL(s.cfg.API), s.cfg.publicURL(s.cfg.Metrics)
	var err error
	if d.ready.Staff, err = s.staff.SignInLink(ctx, "demo", staff.Admin); err != nil {
		return err
	}
	if err := d.attack(ctx, "takeover", "wallet-1042"); err != nil {
		return err
	}
	d.ready.Ready = true
	if err := d.t.print(d.ready, d.welcome); err != nil {
		return err
	}
	return d.live(ctx)
}

// owner makes an account's owner reachable, with an authenticator app whose code the demo can show.
func (d *demo) owner(ctx context.Context, id auth.AccountID) error {
	secret := make([]byte, 20)
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	uri := "otpauth://totp/Doorward:" + string(id) + "?issuer=Doorward&secret=" + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
	long := d.started.Add(-1000 * time.Hour) // ago: what came after the first bad event would prove nothing
	factors, err := totp.NewFactors(totp.Config{Store: d.s.db, Keys: d.s.keys, Now: func() time.Time { return long }, Issuer: "Doorward"})
	if err != nil {
		return err
	}
	if _, err := factors.Import(ctx, id, uri); err != nil {
		return err
	}
	p := &auth.Profile{Emails: []auth.Contact{{Address: string(id) + "@example.test", Since: long.UnixMilli()}}, Language: "en"}
	pair, err := auth.ProfilePair(d.s.keys, id, p)
	if err != nil {
		return err
	}
	if _, err := d.s.db.Commit(ctx, &store.Batch{Shard: store.NoShard, Put: []store.Pair{pair}}); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seeds[id] = uri
	return nil
}

// attack plays the life of an owner and then a theft, and waits until the account is locked.
func (d *demo) attack(ctx context.Context, kind string, account auth.AccountID) error {
	if err := d.owner(ctx, account); err != nil {
		return err
	}
	now := d.s.now()
	if err := d.send(ctx, d.sim.Life(string(account), now.Add(-time.Minute), 20*time.Hour)); err != nil {
		return err
	}
	story, err := d.sim.Story(kind, string(account), now.Add(-simulate.StoryLength))
	if err != nil {
		return err
	}
	began := time.Now()
	if err := d.send(ctx, story); err != nil {
		return err
	}
	for {
		a, _, err := auth.LoadAccount(ctx, d.s.db, account)
		if err != nil {
			return err
		}
		if a.Version > 0 && d.first == 0 {
			d.first = time.Since(began)
		}
		if a.State == auth.Locked {
			token, err := d.s.flow.Current(ctx, a.Recovery)
			if err != nil {
				return err
			}
			d.ready.Account, d.ready.Recovery = string(account), d.ready.Portal+"/r/"+token
			d.ready.Code = d.ready.Outbox + "/code/" + string(account)
			if f, ok, err := d.s.loadFinding(ctx, a.Findings[len(a.Findings)-1]); err != nil {
				return err
			} else if ok {
				d.ready.Event = f.Event.Source + " " + f.Event.ID
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
		if time.Since(began) > 40*time.Second {
			return fmt.Errorf("the thief was not stopped: %s is %s", account, a.State)
		}
	}
}

// send writes events to the broker, as a platform would.
func (d *demo) send(ctx context.Context, events []simulate.Generated) error {
	messages := make([]detect.Message, len(events))
	for i, e := range events {
		messages[i] = detect.Message{Topic: detect.TopicEvents, Partition: -1, Key: []byte(e.Account), Value: e.Event,
			Headers: []detect.Header{{Key: "content-type", Value: []byte("application/cloudevents+json")}}}
	}
	return d.s.client.Publish(ctx, messages)
}

// live sends calm traffic, and an attack now and then, until ctx ends.
func (d *demo) live(ctx context.Context) error {
	const perSecond = 30
	kinds := simulate.Kinds()
	nextAttack, n := time.Now().Add(5*time.Second), 0
	lastSaid := time.Time{}
	for e := range d.sim.Live(d.s.now(), perSecond) {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(e.At)):
		}
		if err := d.send(ctx, []simulate.Generated{e}); err != nil {
			return err
		}
		if time.Now().After(nextAttack) {
			account := fmt.Sprintf("wallet-%d", 2000+n)
			if err := d.owner(ctx, auth.AccountID(account)); err != nil {
				return err
			}
			now := d.s.now()
			story, err := d.sim.Story(kinds[n%len(kinds)], account, now.Add(-simulate.StoryLength))
			if err != nil {
				return err
			}
			if err := d.send(ctx, append(d.sim.Life(account, now.Add(-time.Minute), 20*time.Hour), story...)); err != nil {
				return err
			}
			n++
			nextAttack = nextAttack.Add(10 * time.Second)
		}
		if time.Since(lastSaid) > 2*time.Second && !d.t.json() {
			lastSaid = time.Now()
			c := d.counts()
			d.t.say("%6d events  %4d findings  %3d accounts locked  %3d back in", c.Events, sum(c.ByRule), c.ByState[auth.Locked], c.ByState[auth.Probation])
		}
	}
	return nil
}
