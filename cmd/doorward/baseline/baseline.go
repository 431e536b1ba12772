package baseline

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"net/netip"
	"strconv"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
	"github.com/oschwald/maxminddb-golang/v2"
	"github.com/segmentio/kafka-go"
)

// Config is what a run reads and where it writes.
type Config struct {
	Brokers  []string // host:port, without TLS
	Topic    string   // of Doorward's events, version 1
	Group    string   // consumer group; a new one, so that it reads from the start
	Dir      string   // for the store; empty or not there
	Accounts int      // records that the store holds before anything is measured: acct-0 and so on
	Events   int64    // how many to read

	// Began is called when the first event is there and everything is warm.
	Began func()
}

// Result is what came of a run.
type Result struct {
	Events, Hits int64
	Took         time.Duration
}

// batchSize is how many events go into one transaction.
const batchSize = 1000

// event is what encoding/json reads.
type event struct {
	ID      string    `json:"id"`
	Source  string    `json:"source"`
	Type    string    `json:"type"`
	Subject string    `json:"subject"`
	Time    time.Time `json:"time"`
	Data    struct {
		IP        string `json:"ip"`
		Device    string `json:"device"`
		UserAgent string `json:"user_agent"`
		Session   string `json:"session"`
		Geo       struct {
			Lat     float64 `json:"lat"`
			Lon     float64 `json:"lon"`
			Country string  `json:"country"`
		} `json:"geo"`
		Method           string  `json:"method"`
		Reason           string  `json:"reason"`
		Transaction      string  `json:"transaction"`
		Kind             string  `json:"kind"`
		Direction        string  `json:"direction"`
		Amount           float64 `json:"amount"`
		Currency         string  `json:"currency"`
		Counterparty     string  `json:"counterparty"`
		CounterpartyKind string  `json:"counterparty_kind"`
		Channel          string  `json:"channel"`
		Before           float64 `json:"balance_before"`
		After            float64 `json:"balance_after"`
	} `json:"data"`
}

type stack struct {
	db       *badger.DB
	places   *maxminddb.Reader
	programs []*vm.Program
	reader   *kafka.Reader
	hits     int64
}

// Run fills a store, then reads events.
func Run(ctx context.Context, c Config) (_ Result, err error) {
	s := &stack{}
	if s.programs, err = programs(); err != nil {
		return Result{}, err
	}
	if s.places, err = places(); err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, s.places.Close()) }()
	if s.db, err = badger.Open(badger.DefaultOptions(c.Dir).WithLogger(nil)); err != nil {
		return Result{}, fmt.Errorf("baseline: open the store: %w", err)
	}
	defer func() { err = errors.Join(err, s.db.Close()) }()
	if err := s.fill(c.Accounts); err != nil {
		return Result{}, fmt.Errorf("baseline: fill the store: %w", err)
	}
	s.reader = kafka.NewReader(kafka.ReaderConfig{Brokers: c.Brokers, Topic: c.Topic, GroupID: c.Group, StartOffset: kafka.FirstOffset,
		MinBytes: 1, MaxBytes: 1 << 20, MaxWait: 100 * time.Millisecond, QueueCapacity: 1000})
	defer func() { err = errors.Join(err, s.reader.Close()) }()
	return s.read(ctx, c)
}

// fill writes a record for each account, as a service that has run for a while has them.
func (s *stack) fill(accounts int) error {
	batch := s.db.NewWriteBatch()
	defer batch.Cancel()
	now := time.Now().UnixMilli()
	for n := range accounts {
		r := record{last: now - day, first: now - 100*day, events: 50}
		for i := range r.devices {
			r.devices[i], r.addresses[i] = hash(fmt.Sprint("d", n, i)), hash(fmt.Sprint("a", n, i))
		}
		for i := range r.payees {
			r.payees[i] = hash(fmt.Sprint("p", n, i))
		}
		if err := batch.Set(key("acct-"+strconv.Itoa(n)), r.encode(make([]byte, 0, recordSize))); err != nil {
			return err
		}
	}
	return batch.Flush()
}

func key(account string) []byte { return []byte("a/" + account) }

func hash(s string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(s))
	return h.Sum32()
}

// read takes events in until there are enough.
func (s *stack) read(ctx context.Context, c Config) (Result, error) {
	var began time.Time
	tx := s.db.NewTransaction(true)
	defer func() { tx.Discard() }()
	last := map[int]kafka.Message{}
	for n := int64(0); n < c.Events; {
		m, err := s.reader.FetchMessage(ctx)
		if err != nil {
			return Result{}, fmt.Errorf("baseline: read the topic: %w", err)
		}
		if n == 0 {
			began = time.Now()
			if c.Began != nil {
				c.Began()
			}
		}
		if err := s.take(tx, m); err != nil {
			return Result{}, err
		}
		last[m.Partition] = m
		if n++; n%batchSize == 0 || n == c.Events {
			if err := s.commit(ctx, tx, last); err != nil {
				return Result{}, err
			}
			tx = s.db.NewTransaction(true)
			clear(last)
		}
	}
	return Result{Events: c.Events, Hits: s.hits, Took: time.Since(began)}, nil
}

// commit puts the offsets beside the records, then tells the group.
func (s *stack) commit(ctx context.Context, tx *badger.Txn, last map[int]kafka.Message) error {
	var messages []kafka.Message
	for p, m := range last {
		if err := tx.Set([]byte("o/"+strconv.Itoa(p)), binary.BigEndian.AppendUint64(nil, uint64(m.Offset))); err != nil {
			return fmt.Errorf("baseline: write an offset: %w", err)
		}
		messages = append(messages, m)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("baseline: commit: %w", err)
	}
	if err := s.reader.CommitMessages(ctx, messages...); err != nil {
		return fmt.Errorf("baseline: commit offsets: %w", err)
	}
	return nil
}

// take is one event's way: decode, place, record, facts, rules, record.
func (s *stack) take(tx *badger.Txn, m kafka.Message) error {
	var e event
	if err := json.Unmarshal(m.Value, &e); err != nil {
		return fmt.Errorf("baseline: decode an event: %w", err)
	}
	var at place
	if ip, err := netip.ParseAddr(e.Data.IP); err == nil {
		if err := s.places.Lookup(ip).Decode(&at); err != nil {
			return fmt.Errorf("baseline: look an address up: %w", err)
		}
	}
	var r record
	item, err := tx.Get(key(e.Subject))
	if err == nil {
		err = item.Value(func(v []byte) error { r.decode(v); return nil })
	}
	if err != nil && !errors.Is(err, badger.ErrKeyNotFound) {
		return fmt.Errorf("baseline: read a record: %w", err)
	}
	f := r.update(&e, at)
	for _, p := range s.programs {
		hit, err := expr.Run(p, &f)
		if err != nil {
			return fmt.Errorf("baseline: run a rule: %w", err)
		}
		if hit == true {
			s.hits++
		}
	}
	if err := tx.Set(key(e.Subject), r.encode(make([]byte, 0, recordSize))); err != nil {
		return fmt.Errorf("baseline: write a record: %w", err)
	}
	return nil
}

// update adds an event to its account's record and says what the rules see.
func (r *record) update(e *event, at place) facts {
	now := e.Time.UnixMilli()
	d := &e.Data
	f := facts{Type: e.Type, Reason: d.Reason, Method: d.Method, Country: at.Country, Kind: d.Kind, Direction: d.Direction, Channel: d.Channel,
		Currency: d.Currency, PayeeKind: d.CounterpartyKind, Amount: d.Amount, Before: d.Before, After: d.After, Hour: float64(e.Time.Hour())}
	if r.first == 0 {
		r.first, r.last = now, now
	} else {
		y := float64(r.lat) - at.Latitude
		x := (float64(r.lon) - at.Longitude) * math.Cos(at.Latitude*math.Pi/180)
		f.Distance = 111 * math.Sqrt(x*x+y*y) // km in a degree
		f.Speed = f.Distance / (float64(max(now-r.last, 0))/hour + 0.01)
	}
	r.move(now)
	r.lat, r.lon = float32(at.Latitude), float32(at.Longitude)
	r.events++
	r.days[now/day%int64(len(r.days))]++
	switch e.Type {
	case "login.failed":
		r.failed[now/minute%int64(len(r.failed))]++
	case "login.succeeded":
		r.logins[now/hour%int64(len(r.logins))]++
	case "account.password.reset":
		r.resets++
	case "transaction.requested":
		r.payments[now/hour%int64(len(r.payments))]++
		r.sums[now/hour%int64(len(r.sums))] += uint64(d.Amount)
		f.KnownPayee = remember(r.payees[:], hash(d.Counterparty))
	}
	f.KnownDevice, f.KnownAddress = remember(r.devices[:], hash(d.Device)), remember(r.addresses[:], hash(d.IP))
	f.Failed10m, f.Logins24h, f.Payments24h = total(r.failed[:]), total(r.logins[:]), total(r.payments[:])
	f.Payments1h, f.Sum24h, f.Events30d = float64(r.payments[now/hour%int64(len(r.payments))]), total(r.sums[:]), total(r.days[:])
	f.Resets, f.AgeDays = float64(r.resets), float64(now-r.first)/day
	for i := range r.devices {
		if r.devices[i] != 0 {
			f.Devices++
		}
		if r.addresses[i] != 0 {
			f.Addresses++
		}
	}
	return f
}
