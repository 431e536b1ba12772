package window

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"doorward/rules/event"
	"doorward/rules/geo"
)

// fields are the values of an event that windows can tell apart, by the names that rules use.
var fields = map[string]func(*event.Event, *geo.Place) string{
	"account":           func(e *event.Event, _ *geo.Place) string { return string(e.Account) },
	"device":            func(e *event.Event, _ *geo.Place) string { return e.Device },
	"user_agent":        func(e *event.Event, _ *geo.Place) string { return e.UserAgent },
	"session":           func(e *event.Event, _ *geo.Place) string { return e.Session },
	"language":          func(e *event.Event, _ *geo.Place) string { return e.Language },
	"timezone":          func(e *event.Event, _ *geo.Place) string { return e.Timezone },
	"app_version":       func(e *event.Event, _ *geo.Place) string { return e.AppVersion },
	"method":            func(e *event.Event, _ *geo.Place) string { return e.Method },
	"reason":            func(e *event.Event, _ *geo.Place) string { return e.Reason },
	"factor":            func(e *event.Event, _ *geo.Place) string { return e.Factor },
	"email_domain":      func(e *event.Event, _ *geo.Place) string { return e.EmailDomain },
	"phone_country":     func(e *event.Event, _ *geo.Place) string { return e.PhoneCountry },
	"via":               func(e *event.Event, _ *geo.Place) string { return e.Via },
	"counterparty":      func(e *event.Event, _ *geo.Place) string { return e.Counterparty },
	"counterparty_kind": func(e *event.Event, _ *geo.Place) string { return e.CounterpartyKind },
	"transaction":       func(e *event.Event, _ *geo.Place) string { return e.Transaction },
	"kind":              func(e *event.Event, _ *geo.Place) string { return e.Kind },
	"direction":         func(e *event.Event, _ *geo.Place) string { return e.Direction },
	"currency":          func(e *event.Event, _ *geo.Place) string { return e.Currency },
	"instrument":        func(e *event.Event, _ *geo.Place) string { return e.Instrument },
	"channel":           func(e *event.Event, _ *geo.Place) string { return e.Channel },
	"category":          func(e *event.Event, _ *geo.Place) string { return e.Category },
	"type":              func(e *event.Event, _ *geo.Place) string { return string(e.Type) },
	// where the event came from; the country of a transaction is data.country
	"country":      func(_ *event.Event, p *geo.Place) string { return p.Country },
	"city":         func(_ *event.Event, p *geo.Place) string { return p.City },
	"data.country": func(e *event.Event, _ *geo.Place) string { return e.Country },
	"ip":           func(e *event.Event, _ *geo.Place) string { return canonicalIP(e.IP) },
	"network":      func(e *event.Event, _ *geo.Place) string { return network(e.IP) },
}

const extraPrefix = "extra."

// Fields are the names that a spec's Field can have, sorted; "extra.NAME" is one too.
func Fields() []string {
	names := make([]string, 0, len(fields))
	for n := range fields {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// IsField reports whether name can be a spec's Field.
func IsField(name string) bool {
	_, ok := fields[name]
	return ok || strings.HasPrefix(name, extraPrefix) && len(name) > len(extraPrefix)
}

// fieldOf gives the reader of a field; IsField must hold.
func fieldOf(name string) func(*event.Event, *geo.Place) string {
	if f := fields[name]; f != nil {
		return f
	}
	path := strings.Split(strings.TrimPrefix(name, extraPrefix), ".")
	return func(e *event.Event, _ *geo.Place) string { return extra(e.Extra, path) }
}

// extra follows path into the fields the contract does not know; what is neither text, number nor bool is no value.
func extra(m map[string]any, path []string) string {
	v, ok := m[path[0]]
	if !ok {
		return ""
	}
	if len(path) > 1 {
		next, _ := v.(map[string]any)
		return extra(next, path[1:])
	}
	switch v := v.(type) {
	case string:
		return v
	case float64, bool:
		b, err := json.Marshal(v)
		if err != nil {
			return "" // NaN and infinities, which JSON can't hold, so that no event has them
		}
		return string(b)
	}
	return ""
}

// keyText is whose record of key this event belongs to; empty: none.
func keyText(key Key, e *event.Event) string {
	switch key {
	case Account:
		return string(e.Account)
	case IP:
		return canonicalIP(e.IP)
	case Network:
		return network(e.IP)
	case Device:
		return e.Device
	case Payee:
		return e.Counterparty
	case Instrument:
		return e.Instrument
	}
	return ""
}

// canonicalIP gives two spellings of one address one text: ::ffff:192.0.2.1 is 192.0.2.1, zones are dropped. Not an address: no value.
func canonicalIP(s string) string {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return ""
	}
	b := a.Unmap().WithZone("").AsSlice()
	return string(b)
}

// network is the /24 of an IPv4 address, the /48 of an IPv6 one: what one subscriber or site usually holds.
func network(s string) string {
	b := canonicalIP(s)
	switch len(b) {
	case 4:
		return b[:3]
	case 16:
		return b[:6]
	}
	return ""
}
