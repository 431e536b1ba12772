package detect_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"doorward/auth"
	"doorward/detect"
	"doorward/rules/event"
	"doorward/store"
)

// TestOldRepeat: an event that comes again after more identities than a shard remembers is evaluated, and brings no second finding, lock or
// notice.
func TestOldRepeat(t *testing.T) {
	log := &topicLog{records: map[int][]detect.Record{}}
	at := mustTime(t, "2026-03-01T08:00:00Z")
	drain := []byte(`{"specversion":"1.0","id":"drain","source":"/t","type":"transaction.requested","subject":"anna","time":"2026-03-01T08:00:00Z","data":{"transaction":"t","kind":"transfer","direction":"out","amount":250000,"currency":"EUR","counterparty":"mule","counterparty_kind":"person","balance_before":251000}}`)
	log.add(0, drain, "anna", at)
	db := openStore(t, filepath.Join(t.TempDir(), "s"), true)
	defer db.Close()
	start := func() *world {
		w := startWith(t, db, builtinSet(t), log, 1, 50, 0)
		w.caughtUp()
		return w
	}
	w := start()
	w.end()
	first := len(w.published)
	if len(found(t, db)) == 0 || first == 0 {
		t.Fatal("the first time brought nothing")
	}
	// forget identities as a million others would make it: a store whose deltas of identities are gone
	deltas := store.Key(store.KindDelta)
	var keys [][]byte
	if err := db.Scan(t.Context(), deltas, store.After(deltas), false, func(k, _ []byte) bool {
		keys = append(keys, append([]byte(nil), k...))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Delete: keys}); err != nil {
		t.Fatal(err)
	}
	log.add(0, drain, "anna", at.Add(time.Hour))
	w = start()
	w.end()
	if n := w.shards[0].Status().Counts; n.Repeats != 0 || n.Events != 1 {
		t.Fatalf("it was known as a repeat: %+v", n)
	}
	if len(w.published) != 0 {
		t.Errorf("%d records published again, the first: %s", len(w.published), w.published[0].Value)
	}
}

// TestFactorThenChallenge: the platform's second factor that answers a challenge is a version of its own, published, before what the same
// event may bring.
func TestFactorThenChallenge(t *testing.T) {
	r := detect.NewReplay(detect.ReplayConfig{Rules: builtinSet(t)})
	start := mustTime(t, "2026-03-01T08:00:00Z")
	n := 0
	take := func(after time.Duration, kind, data string) {
		t.Helper()
		n++
		e, bad := event.DecodeLine(fmt.Appendf(nil, `{"specversion":"1.0","id":"%d","source":"/t","type":%q,"subject":"anna","time":%q,"data":%s}`,
			n, kind, start.Add(after).Format(time.RFC3339), data))
		if bad != nil {
			t.Fatal(bad)
		}
		if _, err := r.Take(e); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 6 {
		take(time.Duration(i)*time.Second, "login.failed", `{"method":"password","reason":"bad_password"}`)
	}
	if a := r.Account("anna"); a.State != auth.Challenged || a.Version != 1 {
		t.Fatalf("after six wrong passwords: %s, version %d", a.State, a.Version)
	}
	take(time.Minute, "login.mfa.succeeded", `{"factor":"totp"}`)
	if a := r.Account("anna"); a.State != auth.Open || a.Version != 2 {
		t.Errorf("after the right factor: %s, version %d", a.State, a.Version)
	}
}
