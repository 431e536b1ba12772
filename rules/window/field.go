package window

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"doorward/rules/event"
	"doorward/rules/geo"
)

// source is the event and place that values are read from.
type source struct {
	event   *event.Event
	place   geo.Place
	address [16]byte // canonical, once parsed
	size    int      // of the address, 0: none
	parsed  bool
}

func (s *source) set(e *event.Event, p *geo.Place) { s.event, s.place, s.parsed = e, *p, false }

// ip is the canonical address; it makes no garbage.
func (s *source) ip() []byte {
	if !s.parsed {
		s.parsed, s.size = true, 0
		if parse4(s.address[:4], s.event.IP) {
			s.size = 4
		} else if a, err := netip.ParseAddr(s.event.IP); err == nil {
			if a = a.Unmap(); a.Is4() {
				b := a.As4()
				s.size = copy(s.address[:], b[:])
			} else {
				s.address, s.size = a.As16(), 16
			}
		}
	}
	return s.address[:s.size]
}

// parse4 reads an IPv4 address as netip does, which takes five times as long; false: it is none.
func parse4(to []byte, text string) bool {
	n, digits, field := 0, 0, 0
	for i := range len(text) {
		c := text[i]
		switch {
		case c >= '0' && c <= '9':
			if digits > 0 && field == 0 { // leading zeros mean different things to different readers
				return false
			}
			field, digits = field*10+int(c-'0'), digits+1
			if field > 255 {
				return false
			}
		case c == '.' && digits > 0 && n < 3:
			to[n] = byte(field)
			n, digits, field = n+1, 0, 0
		default:
			return false
		}
	}
	to[3] = byte(field)
	return n == 3 && digits > 0
}

// fields are the values of an event that windows can tell apart, by the names that rules use.
var fields = map[string]func(*source) string{
	"account":           func(s *source) string { return string(s.event.Account) },
	"device":            func(s *source) string { return s.event.Device },
	"user_agent":        func(s *source) string { return s.event.UserAgent },
	"session":           func(s *source) string { return s.event.Session },
	"language":          func(s *source) string { return s.event.Language },
	"timezone":          func(s *source) string { return s.event.Timezone },
	"app_version":       func(s *source) string { return s.event.AppVersion },
	"method":            func(s *source) string { return s.event.Method },
	"reason":            func(s *source) string { return s.event.Reason },
	"factor":            func(s *source) string { return s.event.Factor },
	"email_domain":      func(s *source) string { return s.event.EmailDomain },
	"phone_country":     func(s *source) string { return s.event.PhoneCountry },
	"via":               func(s *source) string { return s.event.Via },
	"counterparty":      func(s *source) string { return s.event.Counterparty },
	"counterparty_kind": func(s *source) string { return s.event.CounterpartyKind },
	"transaction":       func(s *source) string { return s.event.Transaction },
	"kind":              func(s *source) string { return s.event.Kind },
	"direction":         func(s *source) string { return s.event.Direction },
	"currency":          func(s *source) string { return s.event.Currency },
	"instrument":        func(s *source) string { return s.event.Instrument },
	"channel":           func(s *source) string { return s.event.Channel },
	"category":          func(s *source) string { return s.event.Category },
	"type":              func(s *source) string { return string(s.event.Type) },
	// where the event came from; the country of a transaction is data.country
	"country":      func(s *source) string { return s.place.Country },
	"city":         func(s *source) string { return s.place.City },
	"data.country": func(s *source) string { return s.event.Country },
	"ip":           func(s *source) string { return string(s.ip()) },
	"network":      func(s *source) string { return string(network(s.ip())) },
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
func fieldOf(name string) func(*source) string {
	if f := fields[name]; f != nil {
		return f
	}
	path := strings.Split(strings.TrimPrefix(name, extraPrefix), ".")
	return func(s *source) string { return extra(s.event.Extra, path) }
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

// keyText is whose record of key this event belongs to, where it is a text; empty: none.
func keyText(key Key, s *source) string {
	switch key {
	case Account:
		return string(s.event.Account)
	case Device:
		return s.event.Device
	case Payee:
		return s.event.Counterparty
	case Instrument:
		return s.event.Instrument
	}
	return ""
}

// keyBytes is the same where it is bytes.
func keyBytes(key Key, s *source) []byte {
	switch key {
	case IP:
		return s.ip()
	case Network:
		return network(s.ip())
	}
	return nil
}

// canonicalIP is the bytes of an address; it gives two spellings of one address the same: ::ffff:192.0.2.1 is 192.0.2.1, zones are
// dropped. Not an address: no value.
func canonicalIP(s string) string {
	from := source{event: &event.Event{Data: event.Data{IP: s}}}
	return string(from.ip())
}

// network is the /24 of an IPv4 address, the /48 of an IPv6 one: what one subscriber or site usually holds.
func network[T string | []byte](canonical T) T {
	switch len(canonical) {
	case 4:
		return canonical[:3]
	case 16:
		return canonical[:6]
	}
	return canonical[:0]
}
