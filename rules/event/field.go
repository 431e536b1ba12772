package event

import (
	"slices"
	"strconv"
	"strings"
)

// FieldKind is what a data field holds.
type FieldKind string

const (
	String  FieldKind = "string"
	ID      FieldKind = "id"       // a string of at most auth.MaxID bytes without control characters
	Address FieldKind = "address"  // an IP address, canonical
	Country FieldKind = "country"  // ISO 3166-1 alpha-2, upper case
	Code3   FieldKind = "currency" // ISO 4217, upper case
	Integer FieldKind = "integer"  // int64
	Number  FieldKind = "number"   // float64
	Place   FieldKind = "geo"      // {lat, lon, city, country}
	Strings FieldKind = "labels"   // {string: string}
)

// FieldSpec names one data field and what it holds.
type FieldSpec struct {
	Name   string
	Kind   FieldKind
	Values []string // the only ones it may have on the types it belongs to; nil: any
}

// field is a data field: where it lies in Data. One of text and whole is set, but for geo and labels.
type field struct {
	name  string
	kind  FieldKind
	text  func(*Data) *string
	whole func(*Data) (value *int64, has *bool)
	least int64 // of an Integer
}

const anyInt64 = -1 << 63

// fields is every data field of EVENTS.md in the order that Encode writes them: the one place that names them.
var fields = []field{
	{name: "ip", kind: Address, text: func(d *Data) *string { return &d.IP }},
	{name: "device", kind: ID, text: func(d *Data) *string { return &d.Device }},
	{name: "user_agent", kind: String, text: func(d *Data) *string { return &d.UserAgent }},
	{name: "session", kind: ID, text: func(d *Data) *string { return &d.Session }},
	{name: "language", kind: String, text: func(d *Data) *string { return &d.Language }},
	{name: "timezone", kind: String, text: func(d *Data) *string { return &d.Timezone }},
	{name: "app_version", kind: String, text: func(d *Data) *string { return &d.AppVersion }},
	{name: "geo", kind: Place},
	{name: "labels", kind: Strings},
	{name: "method", kind: String, text: func(d *Data) *string { return &d.Method }},
	{name: "reason", kind: String, text: func(d *Data) *string { return &d.Reason }},
	{name: "factor", kind: String, text: func(d *Data) *string { return &d.Factor }},
	{name: "email_domain", kind: String, text: func(d *Data) *string { return &d.EmailDomain }},
	{name: "phone_country", kind: String, text: func(d *Data) *string { return &d.PhoneCountry }},
	{name: "referrer", kind: String, text: func(d *Data) *string { return &d.Referrer }},
	{name: "via", kind: String, text: func(d *Data) *string { return &d.Via }},
	{name: "previous", kind: String, text: func(d *Data) *string { return &d.Previous }},
	{name: "field", kind: String, text: func(d *Data) *string { return &d.Field }},
	{name: "transaction", kind: ID, text: func(d *Data) *string { return &d.Transaction }},
	{name: "kind", kind: String, text: func(d *Data) *string { return &d.Kind }},
	{name: "direction", kind: String, text: func(d *Data) *string { return &d.Direction }},
	{name: "amount", kind: Integer, whole: func(d *Data) (*int64, *bool) { return &d.Amount, &d.HasAmount }},
	{name: "currency", kind: Code3, text: func(d *Data) *string { return &d.Currency }},
	{name: "counterparty", kind: ID, text: func(d *Data) *string { return &d.Counterparty }},
	{name: "counterparty_kind", kind: String, text: func(d *Data) *string { return &d.CounterpartyKind }},
	{name: "instrument", kind: ID, text: func(d *Data) *string { return &d.Instrument }},
	{name: "channel", kind: String, text: func(d *Data) *string { return &d.Channel }},
	{name: "category", kind: String, text: func(d *Data) *string { return &d.Category }},
	{name: "country", kind: Country, text: func(d *Data) *string { return &d.Country }},
	// An overdraft is a balance below 0.
	{name: "balance_before", kind: Integer, least: anyInt64, whole: func(d *Data) (*int64, *bool) { return &d.BalanceBefore, &d.HasBefore }},
	{name: "balance_after", kind: Integer, least: anyInt64, whole: func(d *Data) (*int64, *bool) { return &d.BalanceAfter, &d.HasAfter }},
	{name: "refers_to", kind: ID, text: func(d *Data) *string { return &d.RefersTo }},
	{name: "note", kind: String, text: func(d *Data) *string { return &d.Note }},
}

// fieldAt finds a field of the table by its name.
var fieldAt = func() map[string]int {
	m := make(map[string]int, len(fields))
	for i := range fields {
		m[fields[i].name] = i
	}
	return m
}()

// Fields lists the data fields of the contract and what they hold, those of geo as geo.lat, geo.lon, geo.city and geo.country.
func Fields() []FieldSpec {
	var all []FieldSpec
	for i := range fields {
		if fields[i].kind != Place {
			all = append(all, FieldSpec{fields[i].name, fields[i].kind, slices.Clone(values[fields[i].name])})
			continue
		}
		all = append(all, FieldSpec{Name: "geo.lat", Kind: Number}, FieldSpec{Name: "geo.lon", Kind: Number},
			FieldSpec{Name: "geo.city", Kind: String}, FieldSpec{Name: "geo.country", Kind: Country})
	}
	return all
}

// Field returns a field's value as text; false when the event lacks it. Names: id, source, type, account, those of Fields that hold text
// or an integer, geo.city, geo.country, labels.NAME, and extra.NAME for a scalar. country is the transaction's; the place's is the
// caller's to combine.
func (e *Event) Field(name string) (value string, ok bool) {
	if i, known := fieldAt[name]; known {
		return e.tableField(&fields[i])
	}
	switch name {
	case "account":
		value = string(e.Account)
	case "type":
		value = string(e.Type)
	case "id":
		value = e.ID
	case "source":
		value = e.Source
	case "geo.city":
		if e.Geo != nil {
			value = e.Geo.City
		}
	case "geo.country":
		if e.Geo != nil {
			value = e.Geo.Country
		}
	default:
		return e.namedField(name)
	}
	return value, value != ""
}

func (e *Event) tableField(f *field) (string, bool) {
	switch {
	case f.text != nil:
		s := *f.text(&e.Data)
		return s, s != ""
	case f.whole != nil:
		if n, has := f.whole(&e.Data); *has {
			return strconv.FormatInt(*n, 10), true
		}
	}
	return "", false
}

func (e *Event) namedField(name string) (string, bool) {
	if label, ok := strings.CutPrefix(name, "labels."); ok {
		s, has := e.Labels[label]
		return s, has
	}
	extra, ok := strings.CutPrefix(name, "extra.")
	if !ok {
		return "", false
	}
	switch v := e.Extra[extra].(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	}
	return "", false
}
