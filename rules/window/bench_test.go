package window

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"doorward/auth"
	"doorward/rules/event"
	"doorward/rules/geo"
)

// twenty are windows as the built-in rules have them.
func twenty() []Spec {
	h, failed, login, money := time.Hour, []string{"login.failed"}, []string{"login.*"}, []string{"transaction.requested"}
	return []Spec{
		{Func: Count, Key: Account, Types: failed, Span: 10 * time.Minute},
		{Func: Count, Key: Account, Types: failed, Span: 24 * h},
		{Func: Count, Key: Account, Types: money, Span: h},
		{Func: Count, Key: Account, Types: money, Span: 24 * h},
		{Func: Sum, Key: Account, Types: money, Span: 24 * h, Where: "out"},
		{Func: Distinct, Key: Account, Types: login, Field: "ip", Span: h},
		{Func: FirstSeen, Key: Account, Field: "device"},
		{Func: Known, Key: Account, Field: "device"},
		{Func: FirstSeen, Key: Account, Field: "country"},
		{Func: FirstSeen, Key: Account, Field: "counterparty"},
		{Func: Age, Key: Account},
		{Func: Since, Key: Account, Types: []string{"account.password.reset"}},
		{Func: Speed, Key: Account, Types: []string{"login.succeeded"}},
		{Func: Distance, Key: Account, Types: []string{"login.succeeded"}},
		{Func: Sequence, Key: Account, Types: []string{"account.password.reset", "account.device.added", "transaction.requested"}, Span: 24 * h},
		{Func: Sequence, Key: Account, Types: []string{"login.failed", "login.succeeded"}, Span: 10 * time.Minute},
		{Func: Count, Key: IP, Types: failed, Span: 10 * time.Minute},
		{Func: Distinct, Key: IP, Types: failed, Field: "account", Span: h},
		{Func: Distinct, Key: Device, Types: []string{"login.succeeded"}, Field: "account", Span: 24 * h},
		{Func: Sum, Key: Payee, Types: money, Span: h},
	}
}

// BenchmarkTake takes logins and transactions of 10,000 accounts and reads all 20 windows of each.
func BenchmarkTake(b *testing.B) {
	f := newFeed(b, 0, twenty()...)
	inputs := make([]Input, 100_000)
	for i := range inputs {
		n := i * 7919 % 10_000
		e := &event.Event{Account: auth.AccountID(fmt.Sprint("acct-", n)), Type: "login.succeeded",
			Data: event.Data{IP: fmt.Sprintf("10.%d.%d.9", n>>8, n&255), Device: fmt.Sprint("dev-", n)}}
		switch i % 10 {
		case 0:
			e.Type = "login.failed"
		case 1, 2, 3, 4:
			e.Type, e.Counterparty, e.Direction, e.Amount, e.HasAmount = "transaction.requested", fmt.Sprint("p-", n%977), "out", 1999, true
		}
		inputs[i] = Input{Event: e, Place: geo.Place{Lat: float64(n % 90), Lon: 10, HasPoint: true, Country: "FR"}}
	}
	slots, sequence := f.Layout().Len(), 0
	take := func() {
		in := &inputs[sequence%len(inputs)]
		in.Event.Time = t0.Add(time.Duration(sequence) * time.Millisecond)
		in.Event.Arrival = in.Event.Time
		sequence++
		in.Sequence = uint64(sequence)
		v := f.Take(in)
		for s := range slots {
			v.Read(s)
		}
	}
	for range inputs {
		take() // every account and address is met, so that the figure is of warm records
	}
	var dirty []byte
	var dirtied time.Duration
	b.ReportAllocs()
	before := cpu(b)
	n := 0
	for b.Loop() {
		take()
		if n++; n%1000 == 0 {
			b.StopTimer()
			from := cpu(b)
			dirty = f.Dirty(dirty[:0])
			dirtied += cpu(b) - from
			b.StartTimer()
		}
	}
	b.ReportMetric(float64(cpu(b)-before-dirtied)/float64(n), "cpu-ns/op") // what counts on a shared machine
	b.ReportMetric(float64(f.Layout().BytesPerAccount()), "bytes/account")
}

// cpu is the process's user and system time.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkDirty(b *testing.B) {
	f := newFeed(b, 0, twenty()...)
	var dirty []byte
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		for n := range 1000 {
			at := time.Duration(i) * time.Second
			f.takeAt(at, at, fmt.Sprint("acct-", n), "login.succeeded", event.Data{IP: "192.0.2.1", Device: fmt.Sprint(n)}, geo.Place{})
		}
		b.StartTimer()
		dirty = f.Dirty(dirty[:0])
	}
	b.ReportMetric(float64(len(dirty))/1000, "bytes/event")
}

// BenchmarkEviction takes events of accounts and devices that are all new, with a full budget.
func BenchmarkEviction(b *testing.B) {
	f := newFeed(b, 100_000, builtin()...)
	n := 0
	take := func() {
		at := time.Duration(n) * time.Millisecond
		name := fmt.Sprint(n)
		f.takeAt(at, at, name, "login.succeeded", event.Data{Device: name}, geo.Place{})
		if n++; n%1000 == 0 {
			f.Dirty(nil)
		}
	}
	for range 150_000 {
		take()
	}
	before := cpu(b)
	count := 0
	for b.Loop() {
		take()
		count++
	}
	b.ReportMetric(float64(cpu(b)-before)/float64(count), "cpu-ns/op")
}

// BenchmarkRestore puts logs of logins and payments into a memory that has their records already, as after a crash with an old checkpoint.
func BenchmarkRestore(b *testing.B) {
	const accounts, batch, batches = 200_000, 1000, 500
	f := newFeed(b, 0, builtin()...)
	n := 0
	take := func() {
		a := int(uint64(n) * 11400714819323198485 >> 32 % accounts)
		d := event.Data{IP: fmt.Sprintf("10.%d.%d.9", a>>8&255, a&255), Device: fmt.Sprint("dev-", a)}
		name := "login.succeeded"
		if n%10 < 4 {
			name, d.Counterparty, d.Direction, d.Amount, d.HasAmount = "transaction.requested", fmt.Sprint("p-", n%977), "out", 1999, true
		}
		at := time.Duration(n) * 50 * time.Microsecond
		f.takeAt(at, at, fmt.Sprint("acct-", a), name, d, geo.Place{Lat: float64(a % 90), Lon: 10, HasPoint: true, Country: "FR"})
		n++
	}
	for range 2 * accounts {
		take()
	}
	f.Dirty(nil)
	var pages, logs [][]byte
	for n, more := 0, true; more; n++ {
		var page []byte
		page, more = f.Page(n)
		pages = append(pages, page)
	}
	size := 0
	for range batches {
		for range batch {
			take()
		}
		logs = append(logs, f.Dirty(nil))
		size += len(logs[len(logs)-1])
	}
	var spent time.Duration
	events := 0
	for b.Loop() {
		b.StopTimer()
		r := NewMemory(f.Layout(), [16]byte{1}, 0, 0, nil)
		for _, page := range pages {
			if err := r.Restore(page, nil); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		from := cpu(b)
		for _, l := range logs {
			if err := r.Restore(l, nil); err != nil {
				b.Fatal(err)
			}
		}
		spent += cpu(b) - from
		events += batch * batches
	}
	b.ReportMetric(float64(spent)/float64(events), "cpu-ns/event")
	b.ReportMetric(float64(size)/(batch*batches), "B/event")
}
