package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"doorward/detect"
	"doorward/detect/kafka"
	"doorward/detect/simulate"
)

// brokerLine is what the broker's process says: where it listens, then, for every line it gets, what it has used.
type brokerLine struct {
	Broker   string `json:"broker,omitempty"`
	CPU      int64  `json:"cpu"`      // microseconds
	Resident int64  `json:"resident"` // bytes
}

// benchBrokerCommand is the process with the embedded broker.
func benchBrokerCommand(t *terminal) *cobra.Command {
	var dir string
	var keep int64
	c := &cobra.Command{
		Use: "broker", Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			debug.SetGCPercent(400) // its garbage is the embedded broker's own; a broker for real has none of it on this machine
			broker, err := kafka.EmbeddedKeeping(dir, "127.0.0.1:0", keep)
			if err != nil {
				return err
			}
			defer broker.Close()
			if err := t.line(brokerLine{Broker: broker.Addr()}); err != nil {
				return err
			}
			return orders(t, func(struct{}) error {
				return t.line(brokerLine{CPU: cpuTime().Microseconds(), Resident: residentBytes()})
			})
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "")
	c.Flags().Int64Var(&keep, "keep", 0, "")
	return c
}

// feedOrder asks the producer for one thing.
type feedOrder struct {
	Fill int64         `json:"fill,omitempty"` // as many events, as fast as they can be written
	Rate int           `json:"rate,omitempty"` // so many a second,
	For  time.Duration `json:"for,omitempty"`  // this long,
	Stop bool          `json:"stop,omitempty"` // or until it is told to stop
}

// feedLine answers an order once it is carried out.
type feedLine struct {
	Sent int64 `json:"sent"` // events so far
	CPU  int64 `json:"cpu"`  // microseconds so far
	Late int64 `json:"late"` // the most, in microseconds, that a millisecond's events went out behind their time
}

// Numbers of the producer.
const (
	benchPartitions = 8       // as Doorward makes its topics
	fillBatch       = 1 << 20 // bytes of records in a batch of the backlog, before compression
	backlogRate     = 1000    // events a second at which the backlog is said to have come in: 24 M are most of seven hours
	maxBacklog      = 20 * time.Hour
)

// benchFeedCommand is the process with the producer.
func benchFeedCommand(t *terminal) *cobra.Command {
	var prefix string
	var accounts int
	var seed uint64
	c := &cobra.Command{
		Use: "feed", Hidden: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			debug.SetGCPercent(400)
			cfg, err := benchConfig(c, prefix)
			if err != nil {
				return err
			}
			client, err := kafka.Connect(c.Context(), kafkaOf(cfg, prefix))
			if err != nil {
				return &exit{exitConnect, err}
			}
			defer client.Close()
			topic := prefix + detect.TopicEvents
			// The producer's times: a backlog written in a minute has come in over hours.
			if err := client.Create(c.Context(), []kafka.Topic{{Name: topic, Config: map[string]string{"message.timestamp.type": "CreateTime"}}}); err != nil {
				return err
			}
			producer, err := client.Producer(c.Context(), topic)
			if err != nil {
				return err
			}
			f := &feeder{producer: producer, load: simulate.NewLoad(simulate.LoadConfig{Accounts: accounts, Seed: seed})}
			return f.obey(c.Context(), t)
		},
	}
	c.Flags().String("brokers", "", "")
	c.Flags().StringVar(&prefix, "prefix", "", "")
	c.Flags().IntVar(&accounts, "accounts", 1, "")
	c.Flags().Uint64Var(&seed, "seed", 1, "")
	return c
}

type feeder struct {
	producer *kafka.Producer
	load     *simulate.Load
	sent     int64
	late     time.Duration
}

// obey carries out orders until there are no more.
func (f *feeder) obey(ctx context.Context, t *terminal) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	incoming := make(chan feedOrder)
	ended := make(chan error, 1)
	go func() { // ends with the input
		in := bufio.NewScanner(t.in)
		for in.Scan() {
			var o feedOrder
			if err := json.Unmarshal(in.Bytes(), &o); err != nil {
				ended <- fmt.Errorf("an order: %w", err)
				break
			}
			incoming <- o
		}
		ended <- in.Err()
		stop()
	}()
	for {
		select {
		case err := <-ended:
			return err
		case o := <-incoming:
			var err error
			if o.Fill > 0 {
				err = f.fill(ctx, o.Fill)
			} else if o.Rate > 0 {
				err = f.sendAt(ctx, o, incoming)
			}
			if err != nil {
				return err
			}
			if err := t.line(feedLine{f.sent, cpuTime().Microseconds(), f.late.Microseconds()}); err != nil {
				return err
			}
		}
	}
}

// fill writes n events as a backlog that ends now. One goroutine makes the events; each partition has one that compresses and sends.
func (f *feeder) fill(ctx context.Context, n int64) error {
	step := min(time.Second/backlogRate, maxBacklog/time.Duration(n))
	at := time.Now().Add(-step * time.Duration(n)).Truncate(time.Millisecond)
	work := newCrew(ctx)
	var full, free [benchPartitions]chan *kafka.RecordBatch
	var open [benchPartitions]*kafka.RecordBatch
	for p := range benchPartitions {
		full[p], free[p] = make(chan *kafka.RecordBatch, 2), make(chan *kafka.RecordBatch, 2)
		free[p] <- &kafka.RecordBatch{Partition: p}
		open[p] = &kafka.RecordBatch{Partition: p}
		work.run(fmt.Sprintf("partition %d", p), func(ctx context.Context) error {
			for b := range full[p] {
				if err := f.producer.Send(ctx, b); err != nil {
					return err
				}
				free[p] <- b
			}
			return nil
		})
	}
	work.run("load", func(ctx context.Context) error {
		defer func() {
			for p := range full {
				close(full[p])
			}
		}()
		pass := func(p int) bool {
			full[p] <- open[p] // there is room for both batches of a partition
			select {
			case open[p] = <-free[p]:
				return true
			case <-ctx.Done():
				return false
			}
		}
		for range n {
			key, event := f.load.Next(at)
			p := kafka.PartitionOf(kafka.Murmur2, key, benchPartitions)
			open[p].Add(at, key, event)
			at = at.Add(step)
			if open[p].Size() >= fillBatch && !pass(p) {
				return ctx.Err()
			}
		}
		for p := range open {
			if open[p].Len() > 0 {
				full[p] <- open[p]
			}
		}
		f.sent += n
		return nil
	})
	return work.wait()
}

// sendAt sends at a rate, every millisecond what was due by then, in one request for all partitions. Events carry the millisecond they
// were due in: when an acknowledgement keeps the next ones waiting, their latency says so.
func (f *feeder) sendAt(ctx context.Context, o feedOrder, incoming <-chan feedOrder) error {
	batches := make([]*kafka.RecordBatch, benchPartitions)
	for p := range batches {
		batches[p] = &kafka.RecordBatch{Partition: p}
	}
	ready := make([]*kafka.RecordBatch, 0, benchPartitions)
	f.late = 0
	start := time.Now().Truncate(time.Millisecond).Add(time.Millisecond)
	made := int64(0)
	for tick := time.Duration(0); o.For == 0 || tick < o.For; {
		if wait := time.Until(start.Add(tick)); wait > 0 {
			time.Sleep(wait)
		}
		now := time.Since(start)
		f.late = max(f.late, now-tick)
		for ; tick <= now; tick += time.Millisecond {
			for due := int64(o.Rate) * int64(tick+time.Millisecond) / int64(time.Second); made < due; made++ {
				at := start.Add(tick)
				key, event := f.load.Next(at)
				batches[kafka.PartitionOf(kafka.Murmur2, key, benchPartitions)].Add(at, key, event)
			}
		}
		ready = ready[:0]
		for _, b := range batches {
			if b.Len() > 0 {
				ready = append(ready, b)
			}
		}
		if len(ready) > 0 {
			if err := f.producer.Send(ctx, ready...); err != nil {
				return err
			}
		}
		select {
		case <-incoming: // to stop is the only order given meanwhile
			f.sent += made
			return nil
		default:
		}
	}
	f.sent += made
	return nil
}
