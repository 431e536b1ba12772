package window

import "strings"

// Did types happen in this order within the span, the last being this event. For each step but the last it keeps when the steps up to it
// were complete and when they had begun, the latest beginning winning, then the earliest end: that is the one that can still be completed
// within the span.
//
// One event takes one step only. A late event takes its step if what came before it was complete by its time; what came after it already
// is not looked at again.
const stepSize = 16 // began, complete

var sequenceKind = kind{funcs: []Func{Sequence}, span: true,
	size: func(c *cell) {
		for _, s := range c.spec.Types {
			c.steps = append(c.steps, newMatcher(strings.Split(s, "|")))
		}
		c.fixed((len(c.steps) - 1) * stepSize)
	},
	match: func(c *cell, eventType string) bool {
		for i := range c.steps {
			if c.steps[i].match(eventType) {
				return true
			}
		}
		return false
	},
	observe: func(w *opened, o *occasion, c *cell) (n note) {
		b := c.bytes(w.rec)
		for k := len(c.steps) - 1; k >= 0; k-- {
			if !c.steps[k].match(string(o.event.Type)) {
				continue
			}
			began := o.at
			if k > 0 {
				if b == nil {
					continue
				}
				before := b[(k-1)*stepSize:]
				began = millis(before)
				if began < 0 || millis(before[8:]) > o.at || o.at-began > c.spanned {
					continue
				}
			}
			if k == len(c.steps)-1 {
				n.ok = true
				continue
			}
			b = w.ready(c, c.most)
			at := b[k*stepSize:]
			if began > millis(at) || began == millis(at) && o.at < millis(at[8:]) {
				putMillis(at, began)
				putMillis(at[8:], o.at)
			}
		}
		return n
	},
	read: func(_ []byte, _ *occasion, _ *cell, n note, _ Func) float64 {
		if n.ok {
			return 1
		}
		return 0
	},
}
