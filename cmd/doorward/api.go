package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"doorward/auth"
	"doorward/auth/totp"
	"doorward/detect"
	"doorward/detect/api"
	"doorward/rules/event"
)

// api is the platform's HTTP.
func (s *house) api() (http.Handler, error) {
	return api.New(api.Config{
		Authorise: func(ctx context.Context, token string) (bool, error) { return api.CheckToken(ctx, s.db, token) },
		Store:     s.db, Keys: s.keys, Account: s.account, Decide: s.decide, Verify: s.flow.Verify,
		Import: func(ctx context.Context, id auth.AccountID, uri string) error {
			note, err := s.factors.Import(ctx, id, uri)
			var bad *totp.BadURI
			if errors.As(err, &bad) {
				return &api.Invalid{Problem: bad.Error()}
			}
			if err == nil && note != "" {
				s.log.Warn("an authenticator secret of the platform is weak", "note", note)
			}
			return err
		},
		Now: s.now, Timeout: time.Duration(s.cfg.Decide.Timeout), Fail: s.cfg.Decide.Fail, Log: s.log,
	})
}

// decide writes an event to the partition of its account and waits for what the shard makes of it. The same event again gets the first
// answer: the shard kept it.
func (s *house) decide(ctx context.Context, e *event.Event, raw []byte) (detect.Decision, error) {
	home, err := s.home(ctx, e.Account)
	if err != nil {
		return detect.Decision{}, err
	}
	ref := detect.EventRef{Source: e.Source, ID: e.ID}
	if d, ok, err := s.decided(ctx, ref); err != nil || ok {
		return d, err
	}
	answer, done := s.answers.wait(ref)
	defer done()
	m := detect.Message{Topic: s.shape.Topics[0], Partition: home, Key: []byte(e.Account), Value: raw, Headers: []detect.Header{
		{Key: "content-type", Value: []byte("application/cloudevents+json")}, {Key: detect.DecideHeader, Value: []byte("1")}}}
	if err := s.client.Publish(ctx, []detect.Message{m}); err != nil {
		return detect.Decision{}, err
	}
	select {
	case d := <-answer:
		if first, ok, err := s.decided(context.WithoutCancel(ctx), ref); err != nil || ok {
			return first, err // a repeat that came another way has the first answer too
		}
		return d, nil
	case <-ctx.Done():
		return detect.Decision{}, api.ErrLate
	}
}

// decided is the answer that was given to an event before.
func (s *house) decided(ctx context.Context, e detect.EventRef) (d detect.Decision, ok bool, err error) {
	v, err := s.db.Get(ctx, detect.DecisionKey(e))
	if err != nil || v[0] == nil {
		return d, false, err
	}
	if err := json.Unmarshal(v[0], &d); err != nil {
		return d, false, fmt.Errorf("read a decision: %w", err)
	}
	return d, true, nil
}
