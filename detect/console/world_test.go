package console_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"doorward/auth"
	"doorward/auth/staff"
	"doorward/auth/totp"
	"doorward/detect"
	"doorward/detect/cases"
	"doorward/detect/console"
	"doorward/rules"
	"doorward/rules/builtin"
	"doorward/rules/event"
	"doorward/rules/window"
	"doorward/store/badger"
	"doorward/store/history"
	"doorward/store/outbox"
)

// t0 is when the trouble of the tests begins.
var t0 = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// world is a console over a real store and a real shard.
type world struct {
	t       testing.TB
	db      *badger.DB
	past    *history.Store
	shard   *detect.Shard
	staff   *staff.Staff
	keys    *auth.Keys
	console *console.Console
	server  *httptest.Server
	set     *rules.Set

	mu      sync.Mutex
	now     time.Time
	records []detect.Record
	log     bytes.Buffer
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// Write takes the console's log.
func (w *world) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(b)
}

func (w *world) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, now: t0}
	quiet := slog.New(slog.DiscardHandler)
	w.db = must[*badger.DB](t)(badger.OpenScratch(t.TempDir(), quiet))
	w.past = must[*history.Store](t)(history.Open(t.TempDir(), 90*24*time.Hour))
	w.keys = must[*auth.Keys](t)(auth.NewKeys(bytes.Repeat([]byte{7}, auth.MasterSize)))
	w.set = must[*rules.Set](t)(builtin.Load())
	factors := must[*totp.Factors](t)(totp.NewFactors(totp.Config{Store: w.db, Keys: w.keys, Now: w.clock, Issuer: "Doorward staff"}))
	server := httptest.NewUnstartedServer(nil)
	base := "http://" + server.Listener.Addr().String()
	w.staff = must[*staff.Staff](t)(staff.New(staff.Config{Engine: w.db, Keys: w.keys, Factors: factors, Now: w.clock, PublicURL: base}))
	w.startShard(quiet)
	desk := auth.NewDesk(auth.DeskConfig{Store: w.db, Home: func(context.Context, auth.AccountID) (int, error) { return 0, nil },
		Wake: func(int) { w.shard.Wake() }, Now: w.clock})
	w.console = must[*console.Console](t)(console.New(console.Config{Engine: w.db, Keys: w.keys, Staff: w.staff, Desk: desk, Now: w.clock, PublicURL: base,
		Log: slog.New(slog.NewTextHandler(w, nil)), Rules: w.set.Rules,
		History: func(ctx context.Context, a auth.AccountID, from, to time.Time, limit int) ([]history.Line, error) {
			return w.past.Account(ctx, string(a), from, to, limit, true)
		}}))
	w.console.LookEvery(20 * time.Millisecond)
	server.Config.Handler = w.console.Handler()
	server.Config.ReadTimeout, server.Config.WriteTimeout = time.Second, time.Second // a stream outlives them
	server.Start()
	w.server = server
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		if err := w.past.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) startShard(quiet *slog.Logger) {
	pace := detect.NewPace(1)
	w.shard = detect.NewShard(detect.ShardConfig{
		Evaluator: detect.EvaluatorConfig{Rules: w.set, Board: window.NewBoard(1), HashKey: [16]byte{1}, Budget: 10_000},
		Store:     w.db, Owner: "test", Pace: pace, Log: quiet, Now: w.clock,
		DeadLetter: func(r detect.Record, _, _ string) detect.Message {
			return detect.Message{Topic: detect.TopicDead, Partition: -1}
		},
		Publish: func(context.Context, []outbox.Row) error { return nil },
		Answer:  func(detect.Decision) {},
	})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.shard.Run(ctx); err != nil {
			w.t.Error(err)
		}
	})
	running.Go(func() {
		if err := w.shard.Feed(ctx, (*source)(w)); err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(func() {
		stop()
		running.Wait()
		if err := w.db.Close(); err != nil {
			w.t.Error(err)
		}
	})
}

// source feeds the shard what the test has put in.
type source world

func (s *source) Open(context.Context, []detect.Position) error { return nil }

func (s *source) Fetch(ctx context.Context) ([]detect.Record, error) {
	s.mu.Lock()
	batch := s.records
	s.records = nil
	s.mu.Unlock()
	if len(batch) == 0 {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
	return batch, nil
}

// happen puts events in and waits until the shard has taken them. It says how many the decoder let in.
func (w *world) happen(events ...event.Event) (taken int) {
	w.t.Helper()
	var lines []history.Line
	before := w.shard.Status().Counts.Events
	w.mu.Lock()
	for i := range events {
		e := &events[i]
		if e.Source == "" {
			e.Source = "/wallet"
		}
		if e.ID == "" {
			e.ID = fmt.Sprintf("e-%d", e.Time.UnixNano())
		}
		e.Arrival = e.Time
		raw := event.Encode(e)
		if _, problem := event.DecodeStored(raw); problem != nil {
			w.t.Log(problem)
			continue
		}
		taken++
		w.records = append(w.records, detect.Record{Topic: detect.TopicEvents, Offset: e.Time.UnixMilli(), Time: e.Time, Key: []byte(e.Account), Value: raw,
			Headers: []detect.Header{{Key: "content-type", Value: []byte("application/cloudevents+json")}}})
		lines = append(lines, history.Line{Account: string(e.Account), At: e.Time, Arrival: e.Time, Source: e.Source, ID: e.ID, Type: string(e.Type), Raw: raw})
	}
	w.mu.Unlock()
	if err := w.past.Add(context.Background(), lines, nil); err != nil {
		w.t.Fatal(err)
	}
	w.until("the shard has taken the events", func() bool { return w.shard.Status().Counts.Events >= before+uint64(taken) })
	return taken
}

func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited too long until %s", what)
		}
	}
}

const iPhone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Mobile/15E148 Safari/604.1"
const windowsPC = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36"

func at(account string, when time.Time, kind event.Type, d event.Data) event.Event {
	return event.Event{Account: auth.AccountID(account), Time: when, Type: kind, Data: d}
}

// takeover is an account's quiet past, then a stranger who guesses, gets in and sends everything away.
func takeover(account string) []event.Event {
	home := &event.Geo{Lat: 1.35, Lon: 103.82, HasPoint: true, City: "Singapore", Country: "SG"}
	away := &event.Geo{Lat: 51.92, Lon: 4.48, HasPoint: true, City: "Rotterdam", Country: "NL"}
	own := event.Data{IP: "198.51.100.7", Device: "phone-" + account, UserAgent: iPhone, Geo: home, Method: "passkey"}
	thief := event.Data{IP: "203.0.113.9", Device: "pc-of-a-stranger", UserAgent: windowsPC, Geo: away, Method: "password"}
	var es []event.Event
	for i := range 3 {
		when := t0.Add(time.Duration(i-4) * 6 * time.Hour)
		es = append(es, at(account, when, "login.succeeded", own))
		pay := own
		pay.Method, pay.Transaction, pay.Kind, pay.Direction, pay.Amount, pay.HasAmount, pay.Currency = "", fmt.Sprintf("tx-%d", i), "payment", "out", 640, true, "SGD"
		pay.Counterparty, pay.CounterpartyKind = "Kopi Corner", "merchant"
		es = append(es, at(account, when.Add(time.Minute), "transaction.requested", pay))
	}
	bad := thief
	bad.Reason = "bad_password"
	for i := range 6 {
		es = append(es, at(account, t0.Add(time.Duration(i)*time.Minute), "login.failed", bad))
	}
	es = append(es, at(account, t0.Add(7*time.Minute), "login.succeeded", thief))
	mail := thief
	mail.Method, mail.Previous = "", "w***@o***.example"
	es = append(es, at(account, t0.Add(8*time.Minute), "account.email.changed", mail))
	take := thief
	take.Method, take.Transaction, take.Kind, take.Direction, take.Amount, take.HasAmount, take.Currency = "", "tx-9", "transfer", "out", 290000, true, "SGD"
	take.Counterparty, take.CounterpartyKind, take.BalanceBefore, take.BalanceAfter, take.HasBefore, take.HasAfter = "R. Vos", "person", 290000, 0, true, true
	es = append(es, at(account, t0.Add(10*time.Minute), "transaction.requested", take))
	for i := range es {
		es[i].ID = fmt.Sprintf("%s-%d", account, i)
	}
	return es
}

// trouble makes a case of each account and returns the queue.
func (w *world) trouble(accounts ...string) []cases.Case {
	w.t.Helper()
	for _, a := range accounts {
		w.happen(takeover(a)...)
	}
	w.pass(11 * time.Minute)
	var q []cases.Case
	w.until("every account has a case", func() bool {
		var err error
		if q, _, err = cases.Queue(context.Background(), w.db, nil, 100); err != nil {
			w.t.Fatal(err)
		}
		return len(q) >= len(accounts)
	})
	return q
}

func (w *world) account(id string) auth.Account {
	w.t.Helper()
	a, _, err := auth.LoadAccount(context.Background(), w.db, auth.AccountID(id))
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) kase(id string) cases.Case {
	w.t.Helper()
	c, _, err := cases.Load(context.Background(), w.db, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}
