package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"doorward/detect"
	"doorward/detect/kafka"
	"doorward/store/badger"
)

// replayStore follows the shards' logs of a store and compares what comes of them with what the store holds. The store is copied first and
// only the copy is opened: a database that is opened writes, and the one that is asked about must stay as it is.
func replayStore(ctx context.Context, t *terminal, cfg *Config, f replayFlags) (err error) {
	keys, err := readKey(keyFile(cfg))
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "doorward-replay-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	log := slog.New(slog.NewJSONHandler(t.talk, &slog.HandlerOptions{Level: slog.LevelError}))
	open := badger.Config{Dir: cfg.Store, Check: checkOf(keys), Version: version, Log: log}
	work := filepath.Join(dir, "store")
	if err := badger.Copy(open, work); err != nil {
		return storeError(err)
	}
	open.Dir, open.Older = work, badger.Keep
	db, err := badger.Open(open)
	if err != nil {
		return storeError(err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var cut shape
	b, err := db.Get(ctx, shapeKey)
	if err != nil {
		return err
	}
	if b[0] == nil {
		return fail(exitFailure, "this store has not served yet: there is nothing to replay")
	}
	if err := json.Unmarshal(b[0], &cut); err != nil {
		return fmt.Errorf("the store's shape: %w", err)
	}
	if len(cfg.Brokers) == 0 {
		return fail(exitUsage, "brokers: none are set: the log names records by their offsets, and the broker has them")
	}
	client, err := kafka.Connect(ctx, kafka.Config{Brokers: cfg.Brokers, TLS: cfg.Kafka.TLS, CAFile: cfg.Kafka.CAFile, SASL: cfg.Kafka.SASL,
		User: cfg.Kafka.User, Password: cfg.Kafka.Password, Inputs: cut.Topics, Partitioner: cut.Partitioner, Store: db.ID(), Log: log})
	if err != nil {
		return &exit{exitConnect, err}
	}
	defer client.Close()
	place, geo, err := places(cfg.Geo)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(t.out, 1<<16)
	follower := detect.NewFollower(detect.FollowConfig{
		Store: db, Shards: cut.Shards, HashKey: [16]byte(keys.Derive("hash of ids", 16)), Records: client.Past().Records, Place: place, Geo: geo,
		Program: version, Swept: time.Now().Add(-time.Duration(cfg.Findings)), Found: findingPrinter(t, out),
	})
	start := time.Now()
	seen, err := follower.Follow(ctx)
	if err := errors.Join(err, out.Flush()); err != nil {
		return cannotFollow(err, cfg.Store)
	}
	if f.states != "" {
		if err := writeStates(f.states, follower.Accounts); err != nil {
			return err
		}
	}
	took := time.Since(start)
	t.say("%d inputs, %d findings, %d accounts in %.1f s", seen.Inputs, seen.Findings, seen.Accounts, took.Seconds())
	printByRule(t, seen.Counts.ByRule)
	return sayFollowed(t, &seen)
}

// findingPrinter prints findings as a replay of files does.
func findingPrinter(t *terminal, out *bufio.Writer) func(*detect.Finding) error {
	encode := json.NewEncoder(out)
	encode.SetEscapeHTML(false)
	return func(f *detect.Finding) error {
		if t.json() {
			return encode.Encode(newFindingLine(f))
		}
		printFinding(out, f)
		return nil
	}
}

// cannotFollow says what a replay needs that is not there any more.
func cannotFollow(err error, dir string) error {
	incomplete, ok := errors.AsType[*detect.IncompleteError](err)
	switch {
	case !ok:
		return err
	case kafka.IsGone(err):
		return fail(exitFailure, "%s can't be replayed: its topics do not hold any more what it took in: %w. Findings and states were not compared", dir, incomplete)
	}
	return fail(exitFailure, "%s can't be replayed: %w. Findings and states were not compared", dir, incomplete)
}

// sayFollowed says what is not as the store holds it.
func sayFollowed(t *terminal, seen *detect.Followed) error {
	for _, n := range seen.Notes {
		t.say("note: %s", n)
	}
	if seen.Swept > 0 {
		t.say("not checked: %s past their retention", several(seen.Swept, "finding"))
	}
	for _, d := range seen.Differences {
		t.say("%s", differenceText(&d))
	}
	if n := seen.Differing - len(seen.Differences); n > 0 {
		t.say("and %d more", n)
	}
	if seen.Differing > 0 {
		return fail(exitIntegrity, "%s between the store and the replay of its log", several(seen.Differing, "difference"))
	}
	t.say("the same as the store holds")
	return nil
}

func differenceText(d *detect.Difference) string {
	what := d.Kind + " " + d.ID
	if d.Kind == "finding" {
		what += " of " + d.Rule + " on " + d.Account
	}
	if d.Field != "" {
		what += ": " + d.Field
	}
	or := func(s string) string {
		if s == "" {
			return "nothing"
		}
		return s
	}
	return fmt.Sprintf("%s: stored %s, replayed %s", what, or(d.Stored), or(d.Replayed))
}
