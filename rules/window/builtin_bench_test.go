package window

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"doorward/auth"
	"doorward/rules/event"
	"doorward/rules/geo"
)

// builtin are the windows of the built-in rules, which this package can't import.
func builtin() []Spec {
	h, d := time.Hour, 24*time.Hour
	failed, login, money := []string{"login.failed"}, []string{"login.succeeded"}, []string{"transaction.requested"}
	return []Spec{
		{Func: Count, Key: Account, Types: failed, Span: 10 * time.Minute},
		{Func: Count, Key: Account, Types: failed, Span: h},
		{Func: Count, Key: Account, Types: money, Span: 10 * time.Minute, Where: "out"},
		{Func: Count, Key: Account, Types: money, Span: d, Where: "out"},
		{Func: Count, Key: Account, Types: money, Span: 30 * d, Where: "out"},
		{Func: Sum, Key: Account, Types: money, Span: 30 * d, Where: "out"},
		{Func: FirstSeen, Key: Account, Field: "device"},
		{Func: Known, Key: Account, Field: "device"},
		{Func: KnownFor, Key: Account, Field: "device"},
		{Func: FirstSeen, Key: Account, Field: "country"},
		{Func: Known, Key: Account, Field: "country"},
		{Func: KnownFor, Key: Account, Field: "counterparty", Types: money, Where: "out"},
		{Func: Age, Key: Account},
		{Func: Since, Key: Account, Types: []string{"login.mfa.succeeded"}},
		{Func: Speed, Key: Account, Types: login},
		{Func: Distance, Key: Account, Types: login},
		{Func: Sequence, Key: Account, Types: []string{"account.password.reset", "login.succeeded", "transaction.requested"}, Span: d},
		{Func: Again, Key: Account, Field: "login.guessing"},
		{Func: Again, Key: Account, Field: "login.guessing_address"},
		{Func: Again, Key: Account, Field: "login.spraying"},
		{Func: Again, Key: Account, Field: "login.device_many_accounts"},
		{Func: Again, Key: Account, Field: "money.velocity"},
		{Func: Count, Key: IP, Types: failed, Span: 10 * time.Minute},
		{Func: Count, Key: IP, Types: login, Span: 10 * time.Minute},
		{Func: Count, Key: IP, Types: failed, Span: h},
		{Func: Distinct, Key: Network, Types: failed, Field: "account", Span: h},
		{Func: Distinct, Key: Network, Types: login, Field: "account", Span: h},
		{Func: Distinct, Key: Device, Types: login, Field: "account", Span: d},
	}
}

// BenchmarkBuiltin takes logins and payments of many accounts on eight shards that read one another, as the built-in rules have them: each
// account has its address and its device, a network holds eight accounts. "all" reads every window, "few" those whose rules are asked.
func BenchmarkBuiltin(b *testing.B) {
	for _, c := range []struct {
		name     string
		accounts int
		all      bool
	}{{"all-10k", 10_000, true}, {"few-10k", 10_000, false}, {"few-200k", 200_000, false}, {"few-1M", 1_000_000, false}} {
		b.Run(c.name, func(b *testing.B) { benchmarkBuiltin(b, c.accounts, c.all) })
	}
}

func benchmarkBuiltin(b *testing.B, accounts int, all bool) {
	const n = 8
	fs := shards(b, n, 0, builtin())
	var texts strings.Builder // 64 bytes for each account, so that the figure is not of the benchmark's own memory
	for a := range accounts {
		fmt.Fprintf(&texts, "%-64s", fmt.Sprintf("acct-%08ddevice-%010d%03d.%03d.%03d.%03d", a, a, 100+a>>17&127, 100+a>>10&127, 100+a>>3&127, 100+a&7))
	}
	ids, payees := texts.String(), make([]string, 977)
	for i := range payees {
		payees[i] = fmt.Sprint("p-", i)
	}
	l := fs[0].Layout()
	reads := map[event.Type][]int{}
	for s := range l.Len() {
		spec := l.Spec(s)
		for _, t := range []event.Type{"login.failed", "login.succeeded", "transaction.requested"} {
			failing, paying := t == "login.failed", t == "transaction.requested"
			of := len(spec.Types) == 0 || spec.Types[0] == string(t)
			if all || spec.Func != Again && (failing && of && spec.Span != 0 || paying && of || !failing && !paying && (len(spec.Types) == 0 || spec.Key == Device || spec.Func == Speed)) {
				reads[t] = append(reads[t], s)
			}
		}
	}
	sequence := 0
	asOf, shardOf := make([]int64, n), [256]int{}
	batch, wanted := [256]Input{}, make([][]*event.Event, n)
	for i := range batch {
		batch[i].Event = &event.Event{}
	}
	fill := func() {
		for i := range fs {
			asOf[i], wanted[i] = fs[i].Closed(), wanted[i][:0]
		}
		for i := range batch {
			in := &batch[i]
			e := in.Event
			a := int(uint64(sequence+i) * 11400714819323198485 >> 32 % uint64(accounts))
			text := ids[a*64:]
			*e = event.Event{Account: auth.AccountID(text[:13]), Type: "login.succeeded", Data: event.Data{Device: text[13:30], IP: text[30:45]}}
			in.Place = geo.Place{Lat: float64(a % 90), Lon: 10, HasPoint: true, Country: "FR"}
			switch (sequence + i) % 10 {
			case 0:
				e.Type = "login.failed"
			case 1, 2, 3, 4:
				e.Type, e.Counterparty, e.Direction, e.Amount, e.HasAmount = "transaction.requested", payees[(sequence+i)*31%977], "out", 1999, true
			}
			e.Time = t0.Add(time.Duration(sequence+i) * 50 * time.Microsecond).Truncate(time.Millisecond)
			e.Arrival = e.Time
			shardOf[i] = a % n
			wanted[a%n] = append(wanted[a%n], e)
		}
		for i, f := range fs {
			f.Read(asOf)
			warm(f, wanted[i])
		}
	}
	take := func() {
		i := sequence % len(batch)
		if i == 0 {
			fill()
		}
		in := &batch[i]
		sequence++
		in.Sequence = uint64(sequence)
		v := fs[shardOf[i]].Take(in)
		for _, s := range reads[in.Event.Type] {
			v.Read(s)
		}
	}
	for range 4 * accounts {
		take()
	}
	var dirty []byte
	var dirtied time.Duration
	for _, f := range fs {
		dirty = f.Dirty(dirty[:0])
	}
	bytes, count := 0, 0
	b.ReportAllocs()
	before := cpu(b)
	for b.Loop() {
		take()
		if count++; count%2000 == 0 {
			b.StopTimer()
			from := cpu(b)
			for _, f := range fs {
				dirty = f.Dirty(dirty[:0])
				bytes += len(dirty)
			}
			dirtied += cpu(b) - from
			b.StartTimer()
		}
	}
	b.ReportMetric(float64(cpu(b)-before-dirtied)/float64(count), "cpu-ns/op")
	b.ReportMetric(float64(dirtied)/float64(count), "dirty-ns/op")
	b.ReportMetric(float64(bytes)/float64(count/2000*2000+1), "delta-B/op")
	reportBytes(b, fs, accounts)
}
