package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"doorward/auth"
	"doorward/auth/recovery"
	"doorward/auth/staff"
	"doorward/auth/totp"
	"doorward/detect"
	"doorward/detect/kafka"
	"doorward/rules"
	"doorward/rules/event"
	"doorward/rules/geo"
	"doorward/rules/window"
	"doorward/store"
	"doorward/store/badger"
	"doorward/store/history"
	"doorward/store/outbox"
)

// house is everything that works on one store, wired together: the running `serve` and `demo`, and a command that opens the store
// because no service runs.
type house struct {
	cfg  *Config
	log  *slog.Logger
	now  func() time.Time
	keys *auth.Keys
	db   *badger.DB

	rules  *rules.Set
	place  func(*event.Event) geo.Place
	geo    []string // the databases behind it
	pace   *detect.Pace
	shards []*detect.Shard
	shape  shape

	desk    *auth.Desk
	factors *totp.Factors
	codes   *totp.Codes
	flow    *recovery.Flow
	staff   *staff.Staff
	answers *answers
	client  *kafka.Client  // nil: no broker
	history *history.Store // nil: not serving
	note    string         // for people, of what does not keep the service from its work
	mail    *mailroom      // nil: not serving
	parts   []part         // what the sites need running beside them
	onStop  []func()       // what a shutdown tells the sites

	marks    *detect.Marks // how far states were published
	compared chan struct{} // closed when the store was compared with what was published; nil: nothing is published here
	behind   bool          // the store was behind what was published; written before compared is closed

	// how rows of the outbox reach the world; a service without a broker keeps them for the next one
	publish func(context.Context, []outbox.Row) error
}

// shape is what a store is cut to with its first broker (store.KindMeta "shape"); it never changes.
type shape struct {
	Shards      int      `json:"shards"`
	Topics      []string `json:"topics"`
	Partitioner string   `json:"partitioner"`
}

var shapeKey = store.Key(store.KindMeta, "shape")

// keyFile is where the master key is: DOORWARD_KEY_FILE, or beside the store, never inside it.
func keyFile(cfg *Config) string {
	if f := os.Getenv("DOORWARD_KEY_FILE"); f != "" {
		return f
	}
	return filepath.Clean(cfg.Store) + ".key"
}

// readKey reads the master key; nobody but its owner may be able to.
func readKey(path string) (*auth.Keys, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, fail(exitFailure, "master key: %w (`doorward init` makes it; a store can't be opened without the key it was made with)", err)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return nil, fail(exitFailure, "master key: %s can be read by others (mode %o): chmod 600 %s", path, st.Mode().Perm(), path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fail(exitFailure, "master key: %w", err)
	}
	k, err := auth.NewKeys(b)
	if err != nil {
		return nil, fail(exitFailure, "master key: %s: %w", path, err)
	}
	return k, nil
}

// checkOf is what the store knows its key by.
func checkOf(k *auth.Keys) [32]byte { return k.MAC("store check") }

// openHouse opens the store and makes everything that needs no broker. The shards are made when the store has its shape.
func openHouse(cfg *Config, log *slog.Logger) (*house, error) {
	keys, err := readKey(keyFile(cfg))
	if err != nil {
		return nil, err
	}
	s := &house{cfg: cfg, log: log, now: time.Now, keys: keys, answers: newAnswers(), marks: detect.NewMarks()}
	if s.rules, err = loadRules(cfg.Rules); err != nil {
		return nil, err
	}
	if s.place, s.geo, err = places(cfg.Geo); err != nil {
		return nil, err
	}
	if s.db, err = badger.Open(badger.Config{Dir: cfg.Store, Check: checkOf(keys), Version: version, Log: log, Before: backupFirst(cfg)}); err != nil {
		return nil, storeError(err)
	}
	if err := s.wire(); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	return s, nil
}

// storeError gives an error of opening a store its exit code: damage is one of its own, everything else is a directory, a key, a disk or
// a program that is not the right one.
func storeError(err error) error {
	if errors.Is(err, badger.ErrDamaged) {
		return &exit{exitIntegrity, err}
	}
	return &exit{exitFailure, err}
}

// wire makes the rooms that work on the store.
func (s *house) wire() error {
	s.publish = func(context.Context, []outbox.Row) error { return errNoBroker }
	b, err := s.db.Get(context.Background(), shapeKey)
	if err != nil {
		return err
	}
	if b[0] != nil {
		if err := json.Unmarshal(b[0], &s.shape); err != nil {
			return fmt.Errorf("the store's shape: %w", err)
		}
		s.makeShards()
	}
	s.desk = auth.NewDesk(auth.DeskConfig{Store: s.db, Home: s.home, Wake: s.wake, Now: s.now})
	if s.factors, err = totp.NewFactors(totp.Config{Store: s.db, Keys: s.keys, Now: s.now, Issuer: "Doorward"}); err != nil {
		return err
	}
	staffFactors, err := totp.NewFactors(totp.Config{Store: s.db, Keys: s.keys, Now: s.now, Issuer: "Doorward staff"})
	if err != nil {
		return err
	}
	s.codes = totp.NewCodes(totp.Config{Store: s.db, Keys: s.keys, Now: s.now})
	s.flow = recovery.NewFlow(recovery.FlowConfig{Store: s.db, Keys: s.keys, TOTP: s.factors, Codes: s.codes, Desk: s.desk, Now: s.now,
		SendCode: s.mailCode, Warn: s.warnOwner})
	s.staff, err = staff.New(staff.Config{Engine: s.db, Keys: s.keys, Factors: staffFactors, Now: s.now, PublicURL: s.cfg.consoleURL()})
	return err
}

var errNoBroker = errors.New("no broker is connected")

// cut gives a store its shape with the first broker, and refuses another one later.
func (s *house) cut(ctx context.Context, partitions int) error {
	if s.shape.Shards == 0 {
		next := shape{Shards: partitions, Topics: s.cfg.Topics, Partitioner: s.cfg.Partitioner}
		b, err := json.Marshal(next)
		if err != nil {
			return err
		}
		if _, err := s.db.Commit(ctx, &store.Batch{Shard: store.NoShard, Expect: []store.Expect{{Key: shapeKey}}, Put: []store.Pair{{Key: shapeKey, Value: b}}}); err != nil {
			return fmt.Errorf("write the store's shape: %w", err)
		}
		s.shape = next
		s.makeShards()
		return nil
	}
	if s.shape.Shards != partitions {
		return fail(exitFailure, "the input topics have %d partitions now and had %d when this store was first served: each account lives on one of them, so the number can't change. Give the topics back their number, or begin with a new store (`doorward init`, then `doorward backfill` with what you have)",
			partitions, s.shape.Shards)
	}
	if s.shape.Partitioner != s.cfg.Partitioner {
		return fail(exitFailure, "partitioner is %s now and was %s when this store was first served", s.cfg.Partitioner, s.shape.Partitioner)
	}
	return nil
}

// makeShards makes the shards; runShards starts them.
func (s *house) makeShards() {
	n := s.shape.Shards
	s.pace = detect.NewPace(n)
	board := window.NewBoard(n)
	hashKey := [16]byte(s.keys.Derive("hash of ids", 16))
	for i := range n {
		s.shards = append(s.shards, detect.NewShard(detect.ShardConfig{
			Evaluator: detect.EvaluatorConfig{Shard: i, Rules: s.rules, Place: s.place, Board: board, HashKey: hashKey, Geo: s.geo, Program: version,
				Probation: time.Duration(s.cfg.Probation), Reports: s.shape.Topics[0]},
			Store: s.db, Owner: owner(), Pace: s.pace,
			DeadLetter: func(r detect.Record, code, problem string) detect.Message {
				return kafka.DeadLetter(r, code, problem, detect.MaxDeadValue)
			},
			Publish: func(ctx context.Context, rows []outbox.Row) error { return s.publish(ctx, rows) },
			Answer:  s.answers.give, Log: s.log, Now: s.now, Before: s.beforeShard, Acknowledged: s.marks.Pairs,
		}))
	}
}

func owner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s/%d", host, os.Getpid())
}

// decodeRecord decodes a record of an input topic.
func decodeRecord(r detect.Record) (*event.Event, *event.Error) {
	return event.DecodeRecord(r.Key, r.Value, r.Headers, r.Time)
}

// runShards runs every shard until ctx ends; the first that can't go on ends the others.
func (s *house) runShards(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all sync.WaitGroup
	for _, sh := range s.shards {
		all.Go(func() {
			if err := sh.Run(ctx); err != nil {
				stop(err)
			}
		})
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// home is the shard an account lives on: of its first event, or where its first event would go.
func (s *house) home(ctx context.Context, id auth.AccountID) (int, error) {
	if s.shape.Shards == 0 {
		return 0, errors.New("this store has not served yet: start `doorward serve` once, so that it knows its topics")
	}
	a, stored, err := auth.LoadAccount(ctx, s.db, id)
	if err != nil {
		return 0, err
	}
	if stored != nil {
		return a.Home, nil
	}
	return kafka.PartitionOf(s.shape.Partitioner, []byte(id), s.shape.Shards), nil
}

func (s *house) wake(shard int) {
	if shard < len(s.shards) {
		s.shards[shard].Wake()
	}
}

// account is what the platform is told of an account; unknown when its shard can't be sure.
func (s *house) account(ctx context.Context, id auth.AccountID) (auth.Record, error) {
	a, _, err := auth.LoadAccount(ctx, s.db, id)
	if err != nil {
		return auth.Record{}, err
	}
	r := a.Record()
	home, err := s.home(ctx, id)
	if err != nil || home >= len(s.shards) || !s.shards[home].Status().Loaded || !s.sure() {
		r.Unknown = true
	}
	return r, nil
}

func (s *house) close() error { return s.db.Close() }
