package auth

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// S-5: spellings that look alike must not be two accounts, two counters, two locks.
func TestSpellingsOfOneAccount(t *testing.T) {
	for spelling, want := range map[string]AccountID{
		"acct-42":                        "acct-42",
		" acct-42":                       "acct-42",
		"acct-42\n":                      "acct-42",
		"\u00a0acct-42\u3000":            "acct-42", // no-break and ideographic space
		"ａｃｃｔ－４２":                        "acct-42", // full width
		"acct-④②":                        "acct-42",
		"ﬁnn":                            "finn", // ligature
		"cafe\u0301":                     "caf\u00e9",
		"caf\u00e9":                      "caf\u00e9",
		"\u212b":                         "\u00c5", // angstrom sign
		"Acct-42":                        "Acct-42",
		"o.wner+tag@example.org":         "o.wner+tag@example.org",
		"+8613800138000":                 "+8613800138000",
		"用户-1":                           "用户-1",
		strings.Repeat("x", MaxID):       AccountID(strings.Repeat("x", MaxID)),
		strings.Repeat("x", MaxID) + " ": AccountID(strings.Repeat("x", MaxID)),
	} {
		got, err := ParseAccountID(spelling)
		if err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", spelling, got, err, want)
		}
	}
}

// Case and look are the platform's to tell apart: its ids may differ by them.
func TestSpellingsOfTwoAccounts(t *testing.T) {
	for _, pair := range [][2]string{{"acct", "Acct"}, {"acct", "\u0430cct"}, {"a.b", "ab"}, {"a+x", "a"}, {"042", "42"}} {
		one, err1 := ParseAccountID(pair[0])
		two, err2 := ParseAccountID(pair[1])
		if err1 != nil || err2 != nil || one == two {
			t.Errorf("%q and %q: %q (%v), %q (%v)", pair[0], pair[1], one, err1, two, err2)
		}
	}
}

func TestAccountIDsThatAreRefused(t *testing.T) {
	for name, id := range map[string]string{
		"empty":                    "",
		"blank":                    " \t\u3000",
		"space inside":             "acct 42",
		"no-break space inside":    "acct\u00a042",
		"line separator inside":    "acct\u202842",
		"tab inside":               "acct\t42",
		"NUL":                      "acct\x0042",
		"DEL":                      "acct\x7f",
		"C1 control":               "acct\u009b42",
		"zero-width space":         "acct\u200b42",
		"zero-width joiner":        "acct\u200d42",
		"zero-width at the end":    "acct42\u200b",
		"right-to-left override":   "acct\u202e24",
		"byte order mark":          "\ufeffacct",
		"soft hyphen":              "ac\u00adct",
		"tag character":            "acct\U000e0041",
		"private use":              "acct\ue000",
		"variation selector":       "acct\ufe0f",
		"variation selector 17":    "acct\U000e0100",
		"combining grapheme join":  "ac\u034fct",
		"hangul filler":            "acct\u3164",
		"mongolian selector":       "acct\u180b",
		"not UTF-8":                "acct\xff",
		"surrogate in UTF-8":       "acct\xed\xa0\x80",
		"257 bytes":                strings.Repeat("x", MaxID+1),
		"258 bytes, 86 characters": strings.Repeat("語", 86),
		"grows past 256 bytes":     strings.Repeat("\ufdfa", 50), // one character becomes eighteen
		"very long":                strings.Repeat(" ", 1<<20),
	} {
		if got, err := ParseAccountID(id); err == nil {
			t.Errorf("%s: %q is taken as %q", name, id, got)
		} else if got != "" {
			t.Errorf("%s: refused, and yet %q", name, got)
		}
	}
}

// A canonical id is its own canonical form, so it does not matter how often or where it was made.
func FuzzParseAccountID(f *testing.F) {
	for _, s := range []string{"acct-42", " ａｃｃｔ ", "cafe\u0301", "\ufdfa", "a\u200bb", "\u1100\u1161\u11a8", "\xff", "e\u0327\u0301"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseAccountID(s)
		if err != nil {
			return
		}
		if len(id) == 0 || len(id) > MaxID || !utf8.ValidString(string(id)) {
			t.Fatalf("%q became %q", s, id)
		}
		if again, err := ParseAccountID(string(id)); err != nil || again != id {
			t.Fatalf("%q became %q, which becomes %q (%v)", s, id, again, err)
		}
	})
}
