package outbox_test

import (
	"fmt"
	"strings"
	"testing"

	"doorward/store"
	"doorward/store/outbox"
	"doorward/store/storetest"
)

func TestInbox(t *testing.T) {
	e := storetest.Open(t)
	for n := 1; n <= 7; n++ {
		b := store.Batch{Shard: store.NoShard, Append: []store.Append{outbox.Act(shard, fmt.Appendf(nil, "act %d", n))}}
		if n == 4 {
			b.Append = append(b.Append, outbox.Act(shard+1, []byte("another shard's")))
		}
		if _, err := e.Commit(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
	}
	read := func(after uint64, limit int) string {
		t.Helper()
		lines, err := outbox.ReadInbox(t.Context(), e, shard, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, l := range lines {
			fmt.Fprintf(&b, "%d:%s ", l.Position, l.Value)
		}
		return strings.TrimSpace(b.String())
	}
	for _, c := range []struct {
		after uint64
		limit int
		want  string
	}{
		{0, 2, "1:act 1 2:act 2"},
		{5, 9, "6:act 6 7:act 7"},
		{7, 9, ""},
		{0, 0, ""},
	} {
		if got := read(c.after, c.limit); got != c.want {
			t.Errorf("after %d: %q, want %q", c.after, got, c.want)
		}
	}

	if _, err := e.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Delete: outbox.Trim(shard, 0, 5)}); err != nil {
		t.Fatal(err)
	}
	if got := read(5, 9); got != "6:act 6 7:act 7" {
		t.Errorf("after trimming: %q", got)
	}
	p, err := e.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Append: []store.Append{outbox.Act(shard, []byte("act 8"))}})
	if err != nil || p[0] != 8 {
		t.Errorf("the next position after trimming is %v, %v", p, err)
	}
	if _, err := outbox.ReadInbox(t.Context(), e, shard, 3, 9); err == nil || !strings.Contains(err.Error(), "line 4 is missing") {
		t.Errorf("reading over trimmed acts: %v", err)
	}
	if lines, err := outbox.ReadInbox(t.Context(), e, shard+1, 0, 9); err != nil || len(lines) != 1 {
		t.Errorf("the other inbox: %v, %v", lines, err)
	}
	if keys := outbox.Trim(shard, 5, 5); len(keys) != 0 {
		t.Errorf("nothing to trim: %q", keys)
	}
}
