package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"doorward/detect"
)

// RunShard is what Run starts for each shard of this process, in a goroutine of its own. It returns when ctx ends.
type RunShard func(ctx context.Context, shard int, src detect.Source) error

// Run joins the group and runs the shards it is given, until ctx ends (nil) or an input topic's partitions change (*PartitionsError) or
// the group refuses this member. A broker that is away is waited for, and the shards run on meanwhile: what people and deadlines do to
// accounts does not depend on Kafka. They run on through a rebalance, too, unless it takes them away: who owns a shard is the store's to
// say (its epoch), the group only says who should claim it.
//
// An error of a shard stops that shard for as long as the process lives (Stopped), and no other; only store.ErrFenced makes the process
// join the group anew, as it says that another one owns the shard.
func (c *Client) Run(ctx context.Context, run RunShard) error {
	if c.shards() == 0 {
		return errors.New("kafka: EnsureTopics comes before Run")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c.expel(ctx)
	conns := &openConns{}
	dialer := c.dialer()
	dialer.DialFunc = conns.dial
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: c.cfg.Group, Brokers: c.cfg.Brokers, Dialer: dialer, Topics: c.cfg.Inputs,
		GroupBalancers:    []kafka.GroupBalancer{balancer{c.claim}},
		HeartbeatInterval: time.Second, SessionTimeout: 10 * time.Second, RebalanceTimeout: 15 * time.Second,
		JoinGroupBackoff: 500 * time.Millisecond, Timeout: 5 * time.Second, StartOffset: kafka.FirstOffset,
	})
	if err != nil {
		return fmt.Errorf("join group %s: %w", c.cfg.Group, err)
	}
	work := &workers{c: c, ctx: ctx, run: run, now: map[int]*worker{}, rejoin: make(chan struct{}, 1)}
	var watching sync.WaitGroup
	watching.Go(func() { c.watch(ctx, cancel) })
	defer func() {
		cancel(nil)
		watching.Wait()
		work.all.Wait()
		// A join may hang in the broker for many seconds: after one, its connections are cut. Leaving opens new ones.
		cut := time.AfterFunc(time.Second, conns.cut)
		group.Close()
		cut.Stop()
	}()
	return c.generations(ctx, group, work)
}

// generations takes one generation after the other.
func (c *Client) generations(ctx context.Context, group *kafka.ConsumerGroup, work *workers) error {
	var told time.Time
	for {
		gen, err := group.Next(ctx)
		if changed := (*PartitionsError)(nil); errors.As(context.Cause(ctx), &changed) {
			return changed
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			c.generation(ctx, gen, work)
		case refusedByGroup(err):
			return fmt.Errorf("join group %s as user %q: %w", c.cfg.Group, c.cfg.User, err)
		case errors.Is(err, kafka.RebalanceInProgress):
		case time.Since(told) > 10*time.Second:
			told = time.Now()
			c.cfg.Log.Warn("kafka: not in the group now, joining again", "group", c.cfg.Group, "err", err)
		}
	}
}

func refusedByGroup(err error) bool {
	return errors.Is(err, kafka.GroupAuthorizationFailed) || errors.Is(err, kafka.TopicAuthorizationFailed) ||
		errors.Is(err, kafka.InconsistentGroupProtocol) || errors.Is(err, kafka.InvalidGroupId) ||
		errors.Is(err, kafka.SASLAuthenticationFailed) || errors.Is(err, kafka.InvalidSessionTimeout)
}

// generation makes the workers those that one generation asks for, and commits their progress until it is over.
func (c *Client) generation(ctx context.Context, gen *kafka.Generation, work *workers) {
	shards := c.assigned(gen)
	again := make(<-chan time.Time)
	if c.cfg.Store != "" && len(shards) < c.shards() {
		again = time.After(again10s) // the member that assigned may not have known the topics whole
	}
	if len(shards) == 0 {
		why := "another member of the group holds a store and serves it"
		if c.cfg.Store == "" {
			why = "this process holds no store"
		}
		c.cfg.Log.Warn("kafka: no shard is ours, waiting", "group", c.cfg.Group, "why", why)
	} else {
		c.served(time.Now())
		c.cfg.Log.Info("kafka: shards assigned", "group", c.cfg.Group, "generation", gen.ID, "shards", shards)
	}
	work.set(shards)
	over := make(chan struct{})
	gen.Start(func(member context.Context) {
		defer close(over)
		done := map[string]map[int]int64{}
		for tick := time.NewTicker(c.commitEvery); ; {
			select {
			case <-tick.C:
				c.commit(gen, shards, done)
				continue
			case <-ctx.Done():
				work.all.Wait()
			case <-member.Done():
			case <-work.rejoin:
			case <-again:
			}
			tick.Stop()
			c.commit(gen, shards, done)
			return
		}
	})
	<-over
}

// again10s is after how long a member that holds the store and was not given every shard asks again.
const again10s = 10 * time.Second

// assigned are the shards whose partition of every input topic is ours.
func (c *Client) assigned(gen *kafka.Generation) []int {
	has := map[int]int{}
	for _, t := range c.cfg.Inputs {
		for _, p := range gen.Assignments[t] {
			has[p.ID]++
		}
	}
	var shards []int
	for shard, n := range has {
		if n == len(c.cfg.Inputs) {
			shards = append(shards, shard)
		}
	}
	slices.Sort(shards)
	return shards
}

// SetProgress tells how far a shard has committed to the store, for the offsets that lag dashboards read from Kafka.
func (c *Client) SetProgress(shard int, at []detect.Position) {
	at = slices.Clone(at)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.progress[shard] = at
}

// commit tells Kafka the shards' progress that differs from done. Nothing depends on it, so that a failure is only worth a debug line. A
// generation has one committer: kafka-go burns a processor when two goroutines commit at a time (reference: architecture 2.3c).
func (c *Client) commit(gen *kafka.Generation, shards []int, done map[string]map[int]int64) {
	fresh := map[string]map[int]int64{}
	c.mu.Lock()
	for _, shard := range shards {
		for _, p := range c.progress[shard] {
			if before, ok := done[p.Topic][shard]; (ok && before == p.Offset) || !slices.Contains(c.cfg.Inputs, p.Topic) {
				continue
			}
			if fresh[p.Topic] == nil {
				fresh[p.Topic] = map[int]int64{}
			}
			fresh[p.Topic][shard] = p.Offset
		}
	}
	c.mu.Unlock()
	if err := gen.CommitOffsets(fresh); err != nil {
		c.cfg.Log.Debug("kafka: progress for dashboards not committed", "err", err)
		return
	}
	for topic, offsets := range fresh {
		if done[topic] == nil {
			done[topic] = map[int]int64{}
		}
		maps.Copy(done[topic], offsets)
	}
}

// watch ends Run when an input topic's number of partitions changes.
func (c *Client) watch(ctx context.Context, stop context.CancelCauseFunc) {
	was := c.shards()
	for wait(ctx, c.watchEvery) {
		counts, _, err := c.counts(ctx, c.cfg.Inputs)
		if err != nil {
			continue // the shards notice a broker that is away, and say so
		}
		for _, t := range c.cfg.Inputs {
			if n := counts[t]; n > 0 && n != was {
				stop(&PartitionsError{Topic: t, Have: n, Was: was})
				return
			}
		}
	}
}

// expel removes from the group the member that this process was before it was killed, so that its shards need not wait for that member's
// session to run out (10 s). Who holds a store knows that no other process does.
func (c *Client) expel(ctx context.Context) {
	if c.cfg.Store == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	r, err := c.api.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{c.cfg.Group}})
	if err != nil || len(r.Groups) == 0 || r.Groups[0].Error != nil {
		return // a group that nobody made yet, or a broker that is not ready: joining will tell
	}
	var dead []kafka.LeaveGroupRequestMember
	for _, m := range r.Groups[0].Members {
		if readClaim(m.MemberMetadata.UserData).Store == c.cfg.Store {
			dead = append(dead, kafka.LeaveGroupRequestMember{ID: m.MemberID})
		}
	}
	if len(dead) == 0 {
		return
	}
	if _, err := c.api.LeaveGroup(ctx, &kafka.LeaveGroupRequest{GroupID: c.cfg.Group, Members: dead}); err != nil {
		c.cfg.Log.Warn("kafka: the member that this store's process was before is still in the group", "err", err)
		return
	}
	c.cfg.Log.Info("kafka: removed the member that this store's process was before", "group", c.cfg.Group, "members", len(dead))
}
