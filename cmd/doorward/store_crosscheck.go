package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"doorward/detect"
	"doorward/detect/kafka"
	"doorward/store"
	"doorward/store/journal"
)

// clusterKey is which cluster a store has been served by first.
var clusterKey = store.Key(store.KindMeta, "cluster")

// cluster is the record at clusterKey. Names are added, never changed.
type cluster struct {
	ID    string    `json:"id"`
	Since time.Time `json:"since"`
}

// knowCluster notes the cluster that a store is first served by, and refuses another one later: the store's offsets are positions in logs of
// the first, and what was published there is what the platform obeys. A broker that tells no id is taken as it is.
func (s *house) knowCluster(ctx context.Context, client *kafka.Client) error {
	id, err := client.ClusterID(ctx)
	if err != nil {
		return &exit{exitConnect, err}
	}
	v, err := s.db.Get(ctx, clusterKey)
	if err != nil || id == "" {
		return err
	}
	if v[0] == nil {
		b, err := json.Marshal(cluster{id, s.now().UTC().Truncate(time.Second)})
		if err != nil {
			return err
		}
		_, err = s.db.Commit(ctx, &store.Batch{Shard: store.NoShard, Expect: []store.Expect{{Key: clusterKey}}, Put: []store.Pair{{Key: clusterKey, Value: b}}})
		return err
	}
	var was cluster
	if err := json.Unmarshal(v[0], &was); err != nil {
		return fmt.Errorf("the store's cluster: %w", err)
	}
	if was.ID != id {
		return fail(exitFailure, "the brokers belong to cluster %s, this store to cluster %s, which has served it since %s: name the brokers of that cluster. A store can't move to another cluster, because its offsets are places in the first one's logs: begin there with a new store (`doorward init`, then `doorward backfill`). Nothing was touched",
			id, was.ID, was.Since.Format(time.RFC3339))
	}
	return nil
}

// sure reports whether the store was compared with what was published, so that it may be believed.
func (s *house) sure() bool {
	if s.compared == nil {
		return true
	}
	select {
	case <-s.compared:
		return true
	default:
		return false
	}
}

// beforeShard holds a shard back until the store may be believed.
func (s *house) beforeShard(ctx context.Context) error {
	if s.compared == nil {
		return nil
	}
	select {
	case <-s.compared:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// compareStates compares the store with what was published, and tries until it can: until then accounts are unknown, nothing is decided and
// nothing published.
func (s *house) compareStates(ctx context.Context) error {
	check := detect.CrossCheck{Store: s.db, Log: s.client, Marks: s.marks, Submit: s.desk.SubmitAll, Now: s.now}
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		found, err := check.Run(ctx)
		var lost uint64
		if err == nil {
			lost, err = s.journalBehind(ctx)
		}
		if err == nil {
			err = s.sayCompared(ctx, found, lost)
		}
		if err == nil {
			close(s.compared)
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
		s.log.Error("comparing the store with what was published; until then accounts are unknown", "topic", detect.TopicState, "problem", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// journalBehind is how many entries were published that the store's journal does not have, or has otherwise: what tells for certain that a
// store lost its tail, even where no state changed in it.
func (s *house) journalBehind(ctx context.Context) (lost uint64, err error) {
	bounds, err := s.client.Bounds(ctx, detect.TopicAudit)
	if err != nil || len(bounds) == 0 || bounds[0].End == bounds[0].First {
		return 0, err
	}
	var last struct {
		Position uint64 `json:"position"`
		Hash     string `json:"hash"`
	}
	if err := s.client.ReadRange(ctx, detect.TopicAudit, 0, bounds[0].End-1, bounds[0].End, func(r detect.Record) error {
		if json.Unmarshal(r.Value, &last) != nil {
			last.Position = 0 // not one of ours
		}
		return nil
	}); err != nil || last.Position == 0 {
		return 0, err
	}
	head, err := journal.Head(ctx, s.db)
	if err != nil {
		return 0, err
	}
	if head.Position < last.Position {
		return last.Position - head.Position, nil
	}
	lines, err := journal.Read(ctx, s.db, last.Position, 1, false)
	if err != nil {
		return 0, err
	}
	if len(lines) != 1 || lines[0].Position != last.Position || hex.EncodeToString(lines[0].Hash[:]) != last.Hash {
		return 1, nil
	}
	return 0, nil
}

// sayCompared tells the log, the journal and the console what the comparison found, when there is something to tell.
func (s *house) sayCompared(ctx context.Context, found detect.Compared, lost uint64) error {
	if found.Foreign > 0 {
		s.log.Warn("records that are no states of Doorward's are on the topic of states: nobody else may write there", "topic", detect.TopicState, "records", found.Foreign)
	}
	if found.Behind == 0 && found.Recreated == 0 && lost == 0 {
		s.log.Info("the store agrees with what was published", "topic", detect.TopicState, "read", found.Read, "withdrawn", found.Stale)
		return nil
	}
	entry := journal.Entry{At: s.now().UTC(), Kind: journal.Compared, By: "doorward", Shard: -1, Detail: map[string]string{
		"accounts_taken_over": fmt.Sprint(found.Behind), "entries_lost": fmt.Sprint(lost), "rows_withdrawn": fmt.Sprint(found.Stale),
		"partitions_recreated": fmt.Sprint(found.Recreated), "states_published_again": fmt.Sprint(found.Again)}}
	if found.Behind > 0 || lost > 0 {
		s.behind = true
		s.log.Error("this store is behind what it published: its disk lost something, or a backup or an older copy was put back. The stricter state holds for each account, above the published version; compare the journal with the topic of entries for what people did meanwhile, and if a newer store or backup exists, stop and use that one (`doorward store restore`)",
			"accounts_taken_over", found.Behind, "entries_lost", lost, "states", detect.TopicState, "entries", detect.TopicAudit)
		entry.Reason = "behind"
	}
	if found.Recreated > 0 {
		s.log.Error("the topic of states is not the one that was published to: it was deleted, cut or made anew; platforms that read it from its start need every state again",
			"topic", detect.TopicState, "partitions", found.Recreated, "published_again", found.Again)
		if entry.Reason == "" {
			entry.Reason = "recreated"
		}
	}
	line, err := journal.Append(entry)
	if err != nil {
		return err
	}
	_, err = s.db.Commit(ctx, &store.Batch{Shard: store.NoShard, Append: []store.Append{line}})
	return err
}

// staffWarning is what staff have to see on every page of the console.
func (s *house) staffWarning() string {
	if s.sure() && s.behind {
		return "behind"
	}
	return ""
}

// problemComparing is what readiness says until the store may be believed.
const problemComparing = "the store is being compared with the published states; until then accounts are unknown"

// whenSure answers owners only when what they are told is so: a page that says "open" from a store that lost a lock would be a lie.
func (s *house) whenSure(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.sure() {
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Retry-After", "2")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusServiceUnavailable)
		for _, line := range []string{
			"We are starting. Please reload this page in a moment.",
			"系统正在启动，请稍后刷新此页面。",
			"Estamos arrancando. Vuelve a cargar esta página en un momento.",
			"Nous démarrons. Rechargez cette page dans un instant.",
			"Wir starten gerade. Bitte laden Sie diese Seite gleich neu.",
		} {
			fmt.Fprintln(w, line)
		}
	})
}
