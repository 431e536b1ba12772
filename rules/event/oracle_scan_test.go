package event

import (
	"fmt"
	"strconv"
	"strings"
)

// oldScanner reads one JSON text, front to back, and refuses what RFC 8259 leaves open: a key twice in one object, a lone surrogate, bytes
// after the value, nesting beyond MaxDepth. The text must be UTF-8 already. Strings without escapes share its memory.
type oldScanner struct {
	text  string
	at    int
	depth int
}

func (s *oldScanner) bad(format string, args ...any) *Error {
	return &Error{Code: BadJSON, Problem: fmt.Sprintf(format, args...) + " at byte " + strconv.Itoa(s.at)}
}

func (s *oldScanner) space() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// peek returns the first byte of the next token, 0 at the end.
func (s *oldScanner) peek() byte {
	s.space()
	if s.at == len(s.text) {
		return 0
	}
	return s.text[s.at]
}

func (s *oldScanner) want(c byte) *Error {
	if s.peek() != c {
		return s.bad("not JSON: %q expected", string(c))
	}
	s.at++
	return nil
}

// end refuses anything but white space after the value.
func (s *oldScanner) end() *Error {
	s.space()
	if s.at != len(s.text) {
		return s.bad("one JSON object expected, found more behind it")
	}
	return nil
}

// enter counts an object or array that was just opened.
func (s *oldScanner) enter() *Error {
	s.depth++
	if s.depth > MaxDepth {
		return s.bad("nested deeper than %d levels", MaxDepth)
	}
	return nil
}

// object calls member for each member, positioned at its value, which member must take.
func (s *oldScanner) object(member func(name string) *Error) *Error {
	if err := s.want('{'); err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	if s.peek() == '}' {
		s.at++
		s.depth--
		return nil
	}
	for {
		name, err := s.str()
		if err != nil {
			return err
		}
		if err := s.want(':'); err != nil {
			return err
		}
		if err := member(name); err != nil {
			return err
		}
		if s.peek() == '}' {
			s.at++
			s.depth--
			return nil
		}
		if err := s.want(','); err != nil {
			return err
		}
	}
}

// number takes a number and returns its text, and whether it has neither fraction nor exponent.
func (s *oldScanner) number() (text string, whole bool, err *Error) {
	s.space()
	start := s.at
	s.byte('-')
	switch {
	case s.byte('0'):
	case s.oldDigits():
	default:
		return "", false, s.bad("not JSON: a digit expected")
	}
	whole = true
	if s.byte('.') {
		whole = false
		if !s.oldDigits() {
			return "", false, s.bad("not JSON: a digit expected")
		}
	}
	if s.byte('e') || s.byte('E') {
		whole = false
		if !s.byte('+') {
			s.byte('-')
		}
		if !s.oldDigits() {
			return "", false, s.bad("not JSON: a digit expected")
		}
	}
	return s.text[start:s.at], whole, nil
}

func (s *oldScanner) byte(c byte) bool {
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *oldScanner) oldDigits() bool {
	start := s.at
	for s.at < len(s.text) && s.text[s.at] >= '0' && s.text[s.at] <= '9' {
		s.at++
	}
	return s.at > start
}

// null takes a null if one is next.
func (s *oldScanner) null() bool {
	s.space()
	return s.word("null")
}

func (s *oldScanner) word(w string) bool {
	if strings.HasPrefix(s.text[s.at:], w) {
		s.at += len(w)
		return true
	}
	return false
}

// value takes any value: string, float64, bool, nil, []any or map[string]any.
func (s *oldScanner) value() (any, *Error) {
	switch c := s.peek(); {
	case c == '"':
		return s.str()
	case c == '{':
		return s.members()
	case c == '[':
		return s.elements()
	case c == '-' || c >= '0' && c <= '9':
		return s.float()
	case s.word("true"):
		return true, nil
	case s.word("false"):
		return false, nil
	case s.word("null"):
		return nil, nil
	}
	return nil, s.bad("not JSON: a value expected")
}

// not refuses the value that is next with err, unless it is no value at all, which is the greater fault.
func (s *oldScanner) not(err *Error) *Error {
	if _, worse := s.value(); worse != nil {
		return worse
	}
	return err
}

func (s *oldScanner) float() (any, *Error) {
	text, _, err := s.number()
	if err != nil {
		return nil, err
	}
	f, perr := strconv.ParseFloat(text, 64)
	if perr != nil {
		return nil, s.bad("a number beyond the range of a double")
	}
	return f, nil
}

func (s *oldScanner) members() (any, *Error) {
	m := make(map[string]any)
	err := s.object(func(name string) *Error {
		if _, twice := m[name]; twice {
			return s.twice(name)
		}
		v, err := s.value()
		m[name] = v
		return err
	})
	return m, err
}

func (s *oldScanner) twice(name string) *Error {
	return s.bad("the key %q stands twice in one object", cut(name))
}

func (s *oldScanner) elements() (any, *Error) {
	s.at++
	if err := s.enter(); err != nil {
		return nil, err
	}
	list := []any{}
	if s.peek() == ']' {
		s.at++
		s.depth--
		return list, nil
	}
	for {
		v, err := s.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if s.peek() == ']' {
			s.at++
			s.depth--
			return list, nil
		}
		if err := s.want(','); err != nil {
			return nil, err
		}
	}
}
