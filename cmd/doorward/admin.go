package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"doorward/store"
)

// operation is something that a command does with a store: in the process that holds it, asked through the administration socket, or in the
// command's own process when no other holds it. In and out are JSON, so both ways are one.
type operation func(ctx context.Context, s *house, in json.RawMessage) (any, error)

// operations are all of them, by name.
var operations = map[string]operation{
	"account.show":    op(accountShow),
	"account.act":     op(accountAct),
	"totp.enroll":     op(totpEnroll),
	"totp.confirm":    op(totpConfirm),
	"staff.invite":    op(staffInvite),
	"journal.verify":  op(journalVerify),
	"dlq.list":        op(dlqList),
	"dlq.show":        op(dlqShow),
	"dlq.replay":      op(dlqReplay),
	"store.verify":    op(storeVerify),
	"store.backed_up": op(storeBackedUp),
	"explain":         op(explainStored),
}

// op makes an operation of a function with typed input.
func op[In, Out any](f func(context.Context, *house, In) (Out, error)) operation {
	return func(ctx context.Context, s *house, raw json.RawMessage) (any, error) {
		var in In
		if err := json.Unmarshal(raw, &in); err != nil {
			return nil, fmt.Errorf("decode the request: %w", err)
		}
		return f(ctx, s, in)
	}
}

// socketPath is the administration socket of a store: inside its directory, for its owner only (0600).
func socketPath(cfg *Config) string { return filepath.Join(cfg.Store, "admin.sock") }

// wireError is an error on its way through the socket.
type wireError struct {
	Error string `json:"error"`
	Code  int    `json:"code"`
}

// call does an operation on a store, in whichever process holds it, and decodes the result into out.
func call(ctx context.Context, t *terminal, cfg *Config, name string, in, out any) error {
	raw, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	body, err := callRunning(ctx, cfg, name, raw)
	if errors.Is(err, errNobody) {
		body, err = callHere(ctx, t, cfg, name, raw)
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("decode the answer: %w", err)
	}
	return nil
}

var errNobody = errors.New("no process holds the store")

// callRunning asks the process that holds the store.
func callRunning(ctx context.Context, cfg *Config, name string, raw []byte) ([]byte, error) {
	path := socketPath(cfg)
	probe, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return nil, errNobody // none there, or one that a killed process left behind
	}
	probe.Close()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://doorward/"+name, bytesReader(raw))
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fail(exitConnect, "ask the running process: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fail(exitConnect, "ask the running process: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		var e wireError
		if json.Unmarshal(body, &e) != nil || e.Error == "" {
			return nil, fail(exitFailure, "the running process answered %s: is it another version?", resp.Status)
		}
		return nil, fail(e.Code, "%s", e.Error)
	}
	return body, nil
}

// callHere opens the store, lets its shards apply acts, does the operation and closes the store.
func callHere(ctx context.Context, t *terminal, cfg *Config, name string, raw []byte) ([]byte, error) {
	s, err := openHouse(cfg, slog.New(slog.NewJSONHandler(t.talk, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.runShards(running) }()
	s.loaded(ctx)
	result, err := operations[name](ctx, s, raw)
	stop()
	err = errors.Join(err, <-done, s.close())
	if err != nil {
		return nil, err
	}
	return json.Marshal(result)
}

// loaded waits until every shard has its memory and has applied the acts that waited, or can't: then what is asked says so.
func (s *house) loaded(ctx context.Context) {
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for i := 0; i < len(s.shards); {
		if st := s.shards[i].Status(); st.Loaded || st.Problem != "" {
			i++
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// serveAdmin answers commands on the socket until ctx ends.
func (s *house) serveAdmin(ctx context.Context) error {
	path := socketPath(s.cfg)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) { // we hold the store, so nobody listens there
		return fmt.Errorf("administration socket: %w", err)
	}
	l, err := listenPrivate(path)
	if err != nil {
		return fmt.Errorf("administration socket: %w", err)
	}
	server := &http.Server{Handler: http.HandlerFunc(s.admin), ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)}
	return serveUntil(ctx, server, l)
}

func (s *house) admin(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && filepath.Base(r.URL.Path) == backupPath {
		s.giveBackup(w, r)
		return
	}
	f := operations[filepath.Base(r.URL.Path)]
	if f == nil || r.Method != http.MethodPost {
		http.Error(w, `{"error":"no such operation","code":1}`, http.StatusNotFound)
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	var result any
	if err == nil {
		result, err = f(r.Context(), s, raw)
	}
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		e := wireError{err.Error(), exitFailure}
		var code *exit
		if errors.As(err, &code) {
			e.Code = code.code
		}
		w.WriteHeader(http.StatusUnprocessableEntity)
		result = e
	}
	if err := json.NewEncoder(w).Encode(result); err != nil {
		s.log.Warn("answer a command", "problem", err)
	}
}

// notHeld is what an operation says that needs the broker when no service runs.
func (s *house) needsBroker() error {
	if s.client == nil {
		return fail(exitConnect, "this needs the running service: start `doorward serve`")
	}
	return nil
}

// isConflict reports whether a commit failed because a record had changed.
func isConflict(err error) bool {
	var c *store.Conflict
	return errors.As(err, &c)
}
