package kafka

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"doorward/store"
)

// workers are the shards that run. Only Run's goroutine starts and stops them.
type workers struct {
	c      *Client
	ctx    context.Context // ends with Run
	run    RunShard
	now    map[int]*worker
	all    sync.WaitGroup
	rejoin chan struct{} // says that a shard was fenced
}

type worker struct {
	stop  context.CancelFunc
	ended chan struct{}
}

// set stops the workers of shards that are not wanted, waits for them, and starts those that are missing.
func (w *workers) set(shards []int) {
	for shard, one := range w.now {
		if !slices.Contains(shards, shard) {
			w.c.cfg.Log.Info("kafka: shard given up", "shard", shard)
			one.stop()
		}
	}
	for shard, one := range w.now {
		if !slices.Contains(shards, shard) {
			<-one.ended
			delete(w.now, shard)
		}
	}
	for _, shard := range shards {
		if one := w.now[shard]; one != nil {
			select {
			case <-one.ended:
			default:
				continue
			}
		}
		if w.c.stop(shard) != nil {
			continue
		}
		ctx, stop := context.WithCancel(w.ctx)
		one := &worker{stop, make(chan struct{})}
		w.now[shard] = one
		w.all.Go(func() {
			defer close(one.ended)
			defer stop()
			if fenced := w.c.runShard(ctx, shard, w.run); fenced {
				wait(ctx, 500*time.Millisecond) // not at once: the other owner may still be coming up
				select {
				case w.rejoin <- struct{}{}:
				default:
				}
			}
		})
	}
}

// runShard runs one shard until ctx ends or it can't go on.
func (c *Client) runShard(ctx context.Context, shard int, run RunShard) (fenced bool) {
	src := &source{c: c, shard: shard}
	defer src.close()
	c.mark(shard, true)
	defer c.mark(shard, false)
	err := run(ctx, shard, src)
	switch {
	case ctx.Err() != nil:
		if err != nil && !errors.Is(err, context.Canceled) {
			c.cfg.Log.Warn("kafka: a shard ended with an error while it was asked to stop", "shard", shard, "err", err)
		}
		return false
	case errors.Is(err, store.ErrFenced):
		c.cfg.Log.Warn("kafka: a shard was claimed by another owner, joining again", "shard", shard)
		return true
	case err == nil:
		err = errors.New("it ended by itself")
	}
	c.mu.Lock()
	c.stopped[shard] = err
	c.mu.Unlock()
	c.cfg.Log.Error("kafka: a shard stopped; its accounts' events wait in the topics until this is mended and Doorward started again",
		"shard", shard, "err", err)
	return false
}

func (c *Client) mark(shard int, on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if on {
		c.serving[shard] = true
	} else {
		delete(c.serving, shard)
	}
}

func (c *Client) shards() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.partitions
}

func (c *Client) stop(shard int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopped[shard]
}

// Stopped is why shards stopped that should run, by shard.
func (c *Client) Stopped() map[int]error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.stopped)
}

// Serving are the shards that run in this process now, ascending.
func (c *Client) Serving() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.serving))
}
