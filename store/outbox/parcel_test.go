package outbox_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"doorward/store/outbox"
)

func manyRows(n int) []outbox.Row {
	var rows []outbox.Row
	for i := range n {
		r := row(i)
		r.Partition = i%5 - 1
		if i%3 == 0 {
			r.Headers = []outbox.Header{{Key: "ce_id", Value: []byte(r.ID)}, {Key: "empty"}, {Key: "bytes", Value: []byte{0, 255, '{'}}}
		}
		if i%7 == 0 {
			r.Key, r.Value = nil, nil
		}
		rows = append(rows, r)
	}
	return rows
}

// TestParcels: rows come out as they went in, in their order, in parcels that the relay and the store can take.
func TestParcels(t *testing.T) {
	rows := manyRows(1000)
	rows[500].Value = []byte(strings.Repeat("x", 600<<10)) // one that is larger than a parcel
	parcels, err := outbox.Parcels(2, 77, rows)
	if err != nil {
		t.Fatal(err)
	}
	var got []outbox.Row
	var before []byte
	for _, p := range parcels {
		if bytes.Compare(p.Key, before) <= 0 {
			t.Errorf("key %x after %x", p.Key, before)
		}
		before = p.Key
		some, err := outbox.Unpack(p.Value)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p.Rows, some); diff != "" {
			t.Fatal(diff)
		}
		if len(some) > 256 || len(p.Value) > 256<<10 && len(some) > 1 {
			t.Errorf("a parcel of %d rows and %d bytes", len(some), len(p.Value))
		}
		got = append(got, some...)
	}
	if diff := cmp.Diff(rows, got); diff != "" {
		t.Error(diff)
	}
	if len(parcels) > 8 {
		t.Errorf("%d parcels for 1,000 rows", len(parcels))
	}
}

// TestRowOfBefore: what an older program has left is published too.
func TestRowOfBefore(t *testing.T) {
	value, err := json.Marshal(row(3))
	if err != nil {
		t.Fatal(err)
	}
	got, err := outbox.Unpack(value)
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	if diff := cmp.Diff(row(3), got[0]); diff != "" {
		t.Error(diff)
	}
}

// FuzzUnpack: whatever stands in the store, reading it ends with rows or an error, takes no more memory than it has bytes, and what is read is
// written the same way again.
func FuzzUnpack(f *testing.F) {
	parcels, err := outbox.Parcels(0, 1, manyRows(9))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(parcels[0].Value)
	f.Add([]byte{1, 255, 255, 255, 255, 255, 255, 255, 127})
	f.Add([]byte(`{"id":"a","topic":"b"}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		rows, err := outbox.Unpack(value)
		if err != nil || len(value) == 0 || value[0] == '{' {
			return
		}
		again, err := outbox.Pack(rows)
		if err != nil {
			return // a row without an id
		}
		back, err := outbox.Unpack(again)
		if err != nil || !cmp.Equal(rows, back) {
			t.Errorf("%v %v", err, cmp.Diff(rows, back))
		}
	})
}
