package window

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"doorward/rules/event"
	"doorward/rules/geo"
)

// What a version 2 remembers, a cell for each rule, goes on as the list of those that have something to remember; so do the other windows.
func TestLayoutVersion2(t *testing.T) {
	again := func(id string, was ...string) Spec { return Spec{Func: Again, Key: Account, Field: id, Was: was} }
	count := Spec{Func: Count, Key: Account, Span: time.Hour}
	age := Spec{Func: Age, Key: Account}
	was := []Spec{again("a.true"), again("b.fired"), again("c.renamed"), again("d.gone"), again("e.quiet"), count, age}
	l, err := NewLayout(was)
	if err != nil {
		t.Fatal(err)
	}
	var stored map[string]any
	if err := json.Unmarshal(l.Marshal(), &stored); err != nil {
		t.Fatal(err)
	}
	stored["version"] = 2
	b, err := json.Marshal(stored)
	if err != nil {
		t.Fatal(err)
	}
	old, err := UnmarshalLayout(b)
	if err != nil {
		t.Fatal(err)
	}
	f := &feed{Memory: NewMemory(old, [16]byte{1}, 0, 0, nil), t: t}
	v := f.take(0, "x", event.Data{})
	set := func(id string, isTrue byte, fired int64) {
		b := v.account.resize(old.readings[old.Slot(again(id))].cell, eachSize)
		b[0] = isTrue
		putMillis(b[1:], fired)
		v.recs[0] = v.account.rec
	}
	set("a.true", 1, Never)
	set("b.fired", 0, 7)
	set("c.renamed", 1, 9)
	set("d.gone", 1, 11)
	set("e.quiet", 0, Never)
	page, more := f.Page(0)
	for n := 1; more; n++ {
		var b []byte
		b, more = f.Page(n)
		page = append(page, b...)
	}
	r := newFeed(t, 0, again("0.new"), again("a.true"), again("b.fired"), again("c.now", "c.renamed"), again("e.quiet"), count, age)
	if err := r.Restore(page, old); err != nil {
		t.Fatal(err)
	}
	r.seq = f.seq
	v = r.takeAt(time.Minute, time.Minute, "acct-1", "x", event.Data{}, geo.Place{})
	slot := func(id string) int { return r.Layout().Slot(again(id)) }
	want := []Recall{{slot("a.true"), true, Never}, {slot("b.fired"), false, 7}, {slot("c.now"), true, 9}}
	if got := v.Recalled(nil); !slices.Equal(got, want) {
		t.Errorf("remembered are %v, want %v", got, want)
	}
	r.want(v, count, 2)
	if begun := r.Layout().Begun(old); !slices.Equal(begun, []string{again("0.new").Text()}) {
		t.Errorf("said to be new: %q", begun)
	}
	stored["version"] = 1
	if b, err = json.Marshal(stored); err != nil {
		t.Fatal(err)
	}
	if _, err := UnmarshalLayout(b); err == nil || !bytes.Contains([]byte(err.Error()), []byte("version 1")) {
		t.Errorf("version 1: %v", err)
	}
}
