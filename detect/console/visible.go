package console

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// longest is how many characters of a foreign text a page shows; the rest is counted.
const longest = 200

// visible makes a text that somebody else wrote safe to read: what can't be seen, or turns the direction of what can, stands as its code
// point in brackets (S-16). Escaping is the templates' work; this is for the reader's eyes.
func visible(s string) string {
	if len(s) <= longest && clean(s) {
		return s
	}
	var b strings.Builder
	n := 0
	for i, r := range s {
		if n++; n > longest {
			fmt.Fprintf(&b, "… (+%d)", utf8.RuneCountInString(s[i:]))
			break
		}
		switch {
		case r == utf8.RuneError:
			b.WriteRune('\uFFFD')
		case hidden(r):
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func clean(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || hidden(r) {
			return false
		}
	}
	return true
}

// hidden: control, format (zero width, direction), private, unassigned for our tables, line and paragraph separators, every space but the
// plain one, and the fillers that look like nothing.
func hidden(r rune) bool {
	if r == ' ' {
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp, unicode.Zs) || unicode.Is(unicode.Variation_Selector, r) ||
		r == '\u115F' || r == '\u1160' || r == '\u3164' || r == '\uFFA0' || r == '\u2800'
}
