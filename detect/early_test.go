package detect

import (
	"slices"
	"testing"
	"time"
)

func TestCapArrivals(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	stamps := []time.Duration{-50 * 365 * 24 * time.Hour, -time.Hour, 0, maxEarly, maxEarly + time.Millisecond, time.Hour, 74 * 365 * 24 * time.Hour}
	var records []Record
	var before []uint64
	for _, d := range stamps {
		r := Record{Time: now.Add(d), Key: []byte("k"), Value: []byte("v")}
		records, before = append(records, r), append(before, r.Fingerprint())
	}
	if capArrivals(slices.Clone(records[:4]), now) {
		t.Error("nothing is early, and it was capped")
	}
	if !capArrivals(records, now) {
		t.Error("three are early, and nothing was capped")
	}
	for i, r := range records {
		want := now.Add(stamps[i])
		if stamps[i] > maxEarly {
			want = now
		}
		if !r.Time.Equal(want) {
			t.Errorf("%v ahead arrives at %v, want %v", stamps[i], r.Time, want)
		}
		if r.Fingerprint() != before[i] {
			t.Errorf("%v ahead: the record is not known again", stamps[i])
		}
	}
}
