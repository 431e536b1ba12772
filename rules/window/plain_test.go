package window

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"doorward/auth"
	"doorward/rules/event"
	"doorward/rules/geo"
)

func TestPlain(t *testing.T) {
	count := Spec{Func: Count, Key: Account, Span: time.Hour}
	f := newFeed(t, 2, count)
	of := func(account string) *event.Event {
		return &event.Event{Type: "x", Account: auth.AccountID(account), Time: t0, Arrival: t0}
	}
	take := func(account string) *View {
		f.seq++
		return f.Take(&Input{Event: of(account), Sequence: f.seq})
	}
	want := func(m *Memory, account string, want bool) {
		t.Helper()
		if m.Plain(of(account)) != want {
			t.Errorf("plain of %s is %v", account, !want)
		}
	}
	restored := func(frames ...[]byte) *Memory {
		t.Helper()
		m := NewMemory(f.Layout(), [16]byte{1}, 0, 2, nil)
		for _, b := range frames {
			if err := m.Restore(b, nil); err != nil {
				t.Fatal(err)
			}
		}
		return m
	}
	want(f.Memory, "a", false)
	v := take("a")
	v.SetPlain(true)
	want(f.Memory, "a", true)
	if got := v.Read(f.Layout().Slot(count)).Value; got != 1 {
		t.Errorf("the view reads %v after Plain", got)
	}
	marked := f.Dirty(nil)
	take("a")
	want(f.Memory, "a", true) // an event leaves it
	var page []byte
	for n, more := 0, true; more; n++ {
		var b []byte
		b, more = f.Page(n)
		page = append(page, b...)
	}
	f.ClearPlain("a")
	f.ClearPlain("nobody")
	want(f.Memory, "a", false)
	cleared := f.Dirty(nil)
	want(restored(marked), "a", true)
	want(restored(page), "a", true)
	want(restored(page, marked, cleared), "a", false)
	take("a").SetPlain(true)
	r, err := f.Relaid(f.Layout())
	if err != nil {
		t.Fatal(err)
	}
	want(r, "a", true)

	// an event that the record reflects already sets nothing
	f.ClearPlain("a")
	f.seq--
	take("a").SetPlain(true)
	want(f.Memory, "a", false)

	take("a").SetPlain(true)
	take("b")
	take("c") // a leaves, and with it its mark
	take("a")
	want(f.Memory, "a", false)
}

// A frame of the version before this one gives the memory that wrote it.
func TestVersion2IsRead(t *testing.T) {
	b, err := os.ReadFile("testdata/version2.frame")
	if err != nil {
		t.Fatal(err)
	}
	f := newFeed(t, 3, slices.DeleteFunc(everyKind(), func(s Spec) bool { return s.Func == Again })...)
	for i := range 40 {
		at := time.Duration(i) * 7 * time.Second
		f.takeAt(at, at, fmt.Sprint("acct-", i%4), []string{"login.failed", "login.succeeded", "transaction.completed"}[i%3],
			event.Data{IP: fmt.Sprint("192.0.2.", i%5), Device: fmt.Sprint(i % 3), Counterparty: fmt.Sprint(i % 6), Instrument: "i", Amount: int64(i), HasAmount: true}, geo.Place{HasPoint: true, Lat: float64(i), Country: "FR"})
	}
	r := NewMemory(f.Layout(), [16]byte{1}, 0, 3, nil)
	if err := r.Restore(b, nil); err != nil {
		t.Fatal(err)
	}
	if got, want := live(r), live(f.Memory); !slices.Equal(got, want) || len(got) < 10 {
		t.Errorf("%d records, want %d, or other ones", len(got), len(want))
	}
}

// live are m's records as they are written, sorted.
func live(m *Memory) (all []string) {
	for k := range Keys {
		t := m.table(k)
		t.live(0, len(t.slabs), func(rec []byte) { all = append(all, string(appendRecord([]byte{byte(k)}, rec))) })
	}
	slices.Sort(all)
	return all
}

// records are m's records and graves.
func records(m *Memory) []string {
	all := live(m)
	for k := range Keys {
		for _, d := range m.table(k).graves.queue {
			all = append(all, string(d.append(nil, byte(k))))
		}
	}
	slices.Sort(all)
	return all
}
