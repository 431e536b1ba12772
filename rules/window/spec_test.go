package window

import (
	"strings"
	"testing"
	"time"
)

func TestText(t *testing.T) {
	for _, c := range []struct {
		spec Spec
		want string
	}{
		{Spec{Func: Count, Key: Account, Types: []string{"login.failed"}, Span: 10 * time.Minute}, `count("login.failed", "10m") per account`},
		{Spec{Func: Count, Types: []string{"b", "a|b"}, Span: 36 * time.Hour}, `count("a|b", "36h") per account`},
		{Spec{Func: Count, Key: IP, Types: []string{"a", "*"}, Span: 48 * time.Hour}, `count("*", "2d") per ip`},
		{Spec{Func: Sum, Key: Account, Types: []string{"transaction.*"}, Field: "amount", Span: 90 * time.Second, Where: "out"}, `sum("transaction.*", "90s", "out") per account`},
		{Spec{Func: Distinct, Key: Device, Types: []string{"login.*"}, Field: "account", Span: time.Hour}, `distinct("account", "login.*", "1h") per device`},
		{Spec{Func: Sequence, Key: Account, Types: []string{"b|a", "a"}, Span: time.Hour}, `sequence("a|b", "a", "1h") per account`},
		{Spec{Func: Age, Key: Account}, `age() per account`},
		{Spec{Func: Again, Key: Account, Field: "x.y", Was: []string{"z"}}, `again("x.y") per account`},
		{Spec{Func: FirstSeen, Key: Account, Field: "device"}, `first_seen("device", "*") per account`},
	} {
		if got := c.spec.Text(); got != c.want {
			t.Errorf("text %s, want %s", got, c.want)
		}
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	h := time.Hour
	for _, c := range []struct {
		spec Spec
		want string
	}{
		{Spec{Func: "median", Key: Account}, `no window function "median"`},
		{Spec{Func: Count, Key: "planet", Span: h}, `no window per "planet"`},
		{Spec{Func: Count, Key: Account, Span: 91 * 24 * h}, "from 1s to 90d"},
		{Spec{Func: Count, Key: Account}, "from 1s to 90d"},
		{Spec{Func: Count, Key: IP, Span: 49 * h}, "from 1s to 2d"},
		{Spec{Func: Count, Key: IP, Span: 1500 * time.Millisecond}, "whole number of seconds"},
		{Spec{Func: Age, Key: Account, Span: h}, "takes no span"},
		{Spec{Func: Distinct, Key: IP, Span: h}, "needs the field"},
		{Spec{Func: Distinct, Key: IP, Field: "colour", Span: h}, `no field "colour"`},
		{Spec{Func: Distinct, Key: IP, Field: "ip", Span: h}, "only one value per ip"},
		{Spec{Func: Count, Key: IP, Field: "device", Span: h}, "takes no field"},
		{Spec{Func: Speed, Key: Device}, "only be remembered per account"},
		{Spec{Func: Sequence, Key: Account, Types: []string{"a"}, Span: h}, "2 to 6 steps, not 1"},
		{Spec{Func: Sequence, Key: Account, Types: strings.Split("abcdefg", ""), Span: h}, "2 to 6 steps, not 7"},
		{Spec{Func: Count, Key: Account, Types: []string{"log*"}, Span: h}, "is no event type"},
		{Spec{Func: Count, Key: Account, Types: []string{"a|"}, Span: h}, "is no event type"},
		{Spec{Func: Count, Key: Account, Span: h, Where: "up"}, `"in" or "out", not "up"`},
		{Spec{Func: Again, Key: Account}, "id of its rule"},
		{Spec{Func: Count, Key: Account, Span: h, Was: []string{"a"}}, "no earlier ids"},
	} {
		_, err := NewLayout([]Spec{c.spec})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.spec.Text(), err, c.want)
		}
	}
}

func TestLayoutSharesAndKeepsOrder(t *testing.T) {
	specs := everyKind()
	a, err := NewLayout(specs)
	if err != nil {
		t.Fatal(err)
	}
	backwards := make([]Spec, 0, 2*len(specs))
	for i := range specs {
		backwards = append(backwards, specs[len(specs)-1-i], specs[i])
	}
	b, err := NewLayout(backwards)
	if err != nil {
		t.Fatal(err)
	}
	if string(a.Marshal()) != string(b.Marshal()) || !a.Equal(b) || a.Len() != len(specs) {
		t.Errorf("two orders of %d specs give\n%s\n%s", len(specs), a.Marshal(), b.Marshal())
	}
	for _, s := range specs {
		if got := a.Spec(a.Slot(s)); got.Text() != s.Text() {
			t.Errorf("slot of %s holds %s", s.Text(), got.Text())
		}
	}
	one, err := NewLayout([]Spec{{Func: Speed, Key: Account}})
	if err != nil {
		t.Fatal(err)
	}
	both, err := NewLayout([]Spec{{Func: Speed, Key: Account}, {Func: Distance, Key: Account}})
	if err != nil {
		t.Fatal(err)
	}
	if one.RecordSize(Account) != both.RecordSize(Account) || both.Len() != 2 {
		t.Error("speed and distance do not share their bytes")
	}
	if a.Slot(Spec{Func: Count, Key: Account, Span: 77 * time.Second}) != -1 {
		t.Error("a spec outside the layout has a slot")
	}
	back, err := UnmarshalLayout(a.Marshal())
	if err != nil || !back.Equal(a) || string(back.Marshal()) != string(a.Marshal()) {
		t.Errorf("layout read back: %v", err)
	}
	for _, bad := range []string{"", "{", `{"version":9}`, `{"version":1,"windows":[{"func":"median","key":"account"}]}`, `{"version":1,"windows":[{"func":"count","key":"account","span_s":9223372036854775807}]}`} {
		if _, err := UnmarshalLayout([]byte(bad)); err == nil {
			t.Errorf("layout %q was read", bad)
		}
	}
}

// everyKind is a window of each kind, for accounts and across.
func everyKind() []Spec {
	h, login := time.Hour, []string{"login.*"}
	specs := []Spec{
		{Func: Count, Key: Account, Types: login, Span: 10 * time.Minute},
		{Func: Sum, Key: Account, Types: []string{"transaction.completed"}, Span: 24 * h, Where: "out"},
		{Func: Distinct, Key: Account, Types: login, Field: "ip", Span: h},
		{Func: FirstSeen, Key: Account, Field: "device"},
		{Func: Known, Key: Account, Field: "device"},
		{Func: KnownFor, Key: Account, Field: "device"},
		{Func: FirstSeen, Key: Account, Field: "counterparty"},
		{Func: Age, Key: Account},
		{Func: Since, Key: Account, Types: login},
		{Func: Speed, Key: Account, Types: login},
		{Func: Distance, Key: Account, Types: login},
		{Func: Sequence, Key: Account, Types: []string{"login.failed", "login.succeeded", "transaction.*"}, Span: h},
		{Func: Again, Key: Account, Field: "a.rule"},
		{Func: Again, Key: Account, Field: "b.rule"},
		{Func: Again, Key: Account, Field: "c.rule"},
	}
	for _, k := range []Key{IP, Network, Device, Payee, Instrument} {
		specs = append(specs,
			Spec{Func: Count, Key: k, Types: login, Span: 30 * time.Second},
			Spec{Func: Count, Key: k, Types: login, Span: 10 * time.Minute},
			Spec{Func: Sum, Key: k, Types: []string{"transaction.*"}, Span: 24 * h},
			Spec{Func: Distinct, Key: k, Field: "account", Span: 5 * time.Minute},
			Spec{Func: Age, Key: k},
			Spec{Func: Since, Key: k, Types: []string{"login.failed"}})
	}
	return specs
}
