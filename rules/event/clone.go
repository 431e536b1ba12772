package event

import (
	"strings"
)

// Clone returns an event that shares no memory with e, nor with the record that e was read from: for whoever keeps one beyond its batch.
func (e *Event) Clone() *Event {
	c := *e
	for _, s := range []*string{&c.ID, &c.Source, (*string)(&c.Type), (*string)(&c.Account), &c.Trace} {
		*s = strings.Clone(*s)
	}
	for i := range fields {
		if text := fields[i].text; text != nil {
			s := text(&c.Data)
			*s = strings.Clone(*s)
		}
	}
	if e.Geo != nil {
		g := *e.Geo
		g.City, g.Country = strings.Clone(g.City), strings.Clone(g.Country)
		c.Geo = &g
	}
	if e.Labels != nil {
		c.Labels = make(map[string]string, len(e.Labels))
		for name, v := range e.Labels {
			c.Labels[strings.Clone(name)] = strings.Clone(v)
		}
	}
	c.Extra, _ = cloneValue(e.Extra).(map[string]any)
	return &c
}

// cloneValue copies a value of Extra.
func cloneValue(value any) any {
	switch v := value.(type) {
	case string:
		return strings.Clone(v)
	case []any:
		if v == nil {
			return v
		}
		list := make([]any, len(v))
		for i := range v {
			list[i] = cloneValue(v[i])
		}
		return list
	case map[string]any:
		if v == nil {
			return v
		}
		m := make(map[string]any, len(v))
		for name, element := range v {
			m[strings.Clone(name)] = cloneValue(element)
		}
		return m
	}
	return value
}
