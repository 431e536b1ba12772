package event

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// str takes a string.
func (s *oldScanner) str() (string, *Error) {
	if s.peek() != '"' {
		return "", s.bad("not JSON: a string expected")
	}
	start := s.at + 1
	for i := start; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c == '"':
			s.at = i + 1
			return s.text[start:i], nil
		case c == '\\':
			return s.escaped(start, i)
		case c < ' ':
			s.at = i
			return "", s.bad("not JSON: a control character in a string must be escaped")
		}
	}
	s.at = len(s.text)
	return "", s.bad("not JSON: a string has no end")
}

// escaped takes the rest of a string that has an escape at i.
func (s *oldScanner) escaped(start, i int) (string, *Error) {
	b := append(make([]byte, 0, len(s.text[start:i])+32), s.text[start:i]...)
	for i < len(s.text) {
		c := s.text[i]
		switch {
		case c == '"':
			s.at = i + 1
			return string(b), nil
		case c < ' ':
			s.at = i
			return "", s.bad("not JSON: a control character in a string must be escaped")
		case c != '\\':
			b = append(b, c)
			i++
		default:
			s.at = i
			r, n, err := s.escape()
			if err != nil {
				return "", err
			}
			b = utf8.AppendRune(b, r)
			i += n
		}
	}
	s.at = len(s.text)
	return "", s.bad("not JSON: a string has no end")
}

// escape reads the escape at the position and returns its rune and length.
func (s *oldScanner) escape() (rune, int, *Error) {
	rest := s.text[s.at:]
	if len(rest) < 2 {
		return 0, 0, s.bad("not JSON: a string has no end")
	}
	if i := strings.IndexByte(`"\/bfnrt`, rest[1]); i >= 0 {
		return rune("\"\\/\b\f\n\r\t"[i]), 2, nil
	}
	if rest[1] != 'u' {
		return 0, 0, s.bad("not JSON: unknown escape")
	}
	r, ok := oldHex4(rest[2:])
	if !ok {
		return 0, 0, s.bad("not JSON: \\u needs four hex digits")
	}
	if !utf16.IsSurrogate(r) {
		return r, 6, nil
	}
	if len(rest) >= 12 && rest[6] == '\\' && rest[7] == 'u' {
		if low, ok := oldHex4(rest[8:]); ok {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return pair, 12, nil
			}
		}
	}
	return 0, 0, s.bad("half a surrogate pair, which is no character")
}

func oldHex4(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	var r rune
	for i := 0; i < 4; i++ {
		c := s[i]
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}
