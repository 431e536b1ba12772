package event

import (
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Encode writes the event as one line of structured JSON without a newline, members in a fixed order. DecodeStored of it gives the same
// event. What Decode can't give (a time with nanoseconds, Extra of other types than its comment lists) is written as near as JSON has it.
func Encode(e *Event) []byte {
	b := make([]byte, 0, 512)
	b = append(b, `{"specversion":"1.0"`...)
	b = appendMember(b, "id", e.ID)
	b = appendMember(b, "source", e.Source)
	b = appendMember(b, "type", string(e.Type))
	b = appendMember(b, "subject", string(e.Account))
	at := e.Stated
	if at.IsZero() && !e.Flagged { // made by Doorward, not decoded
		at = e.Time
	}
	b = append(appendTime(append(b, `,"time":"`...), at), '"')
	if !e.Arrival.IsZero() && !e.Arrival.Equal(at) {
		b = append(appendTime(append(b, `,"recordedtime":"`...), e.Arrival), '"')
	}
	b = appendMember(b, "traceparent", e.Trace)
	b = append(b, `,"data":{`...)
	start := len(b)
	b = e.appendData(b)
	b = e.appendExtra(b)
	if len(b) > start { // every member begins with a comma; the first has none
		b = slices.Delete(b, start, start+1)
	}
	return append(b, "}}"...)
}

func appendMember(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return appendString(appendName(b, name), value)
}

func appendName(b []byte, name string) []byte {
	return append(appendString(append(b, ','), name), ':')
}

func (e *Event) appendData(b []byte) []byte {
	for i := range fields {
		f := &fields[i]
		switch {
		case f.text != nil:
			b = appendMember(b, f.name, *f.text(&e.Data))
		case f.whole != nil:
			if n, has := f.whole(&e.Data); *has {
				b = strconv.AppendInt(appendName(b, f.name), *n, 10)
			}
		case f.kind == Place:
			b = appendGeo(b, e.Geo)
		case len(e.Labels) > 0:
			b = append(appendName(b, f.name), '{')
			start := len(b)
			for _, name := range slices.Sorted(maps.Keys(e.Labels)) {
				b = appendString(appendName(b, name), e.Labels[name])
			}
			b = append(slices.Delete(b, start, start+1), '}')
		}
	}
	return b
}

func appendGeo(b []byte, g *Geo) []byte {
	if g == nil || *g == (Geo{}) {
		return b
	}
	b = append(appendName(b, "geo"), '{')
	start := len(b)
	if g.HasPoint {
		b = appendNumber(append(b, `,"lat":`...), g.Lat)
		b = appendNumber(append(b, `,"lon":`...), g.Lon)
	}
	b = appendMember(b, "city", g.City)
	b = appendMember(b, "country", g.Country)
	if len(b) > start {
		b = slices.Delete(b, start, start+1)
	}
	return append(b, '}')
}

func (e *Event) appendExtra(b []byte) []byte {
	for _, name := range slices.Sorted(maps.Keys(e.Extra)) {
		if _, known := fieldAt[name]; !known {
			b = appendValue(appendName(b, name), e.Extra[name])
		}
	}
	return b
}

func appendValue(b []byte, value any) []byte {
	switch v := value.(type) {
	case string:
		return appendString(b, v)
	case bool:
		return strconv.AppendBool(b, v)
	case float64:
		return appendNumber(b, v)
	case []any:
		b = append(b, '[')
		for i, element := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, element)
		}
		return append(b, ']')
	case map[string]any:
		b = append(b, '{')
		start := len(b)
		for _, name := range slices.Sorted(maps.Keys(v)) {
			b = appendValue(appendName(b, name), v[name])
		}
		if len(b) > start {
			b = slices.Delete(b, start, start+1)
		}
		return append(b, '}')
	}
	return append(b, "null"...)
}

// appendNumber writes the shortest text that reads back as f, which is finite.
func appendNumber(b []byte, f float64) []byte {
	start := len(b)
	b = strconv.AppendFloat(b, f, 'g', -1, 64)
	if plain := strconv.FormatFloat(f, 'f', -1, 64); len(plain) <= len(b)-start {
		b = append(b[:start], plain...)
	}
	return b
}

func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(append(b, s[done:i]...), "\uFFFD"...)
				done = i + 1
			}
			i += size
			continue
		}
		if c < ' ' || c == '"' || c == '\\' {
			b = appendEscape(append(b, s[done:i]...), c)
			done = i + 1
		}
		i++
	}
	return append(append(b, s[done:]...), '"')
}

func appendEscape(b []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	}
	return append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}
