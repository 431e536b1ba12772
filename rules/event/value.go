package event

import "strconv"

// value takes any value: string, float64, bool, nil, []any or map[string]any.
func (s *scanner) value() (any, *Error) {
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
func (s *scanner) not(err *Error) *Error {
	if _, worse := s.value(); worse != nil {
		return worse
	}
	return err
}

func (s *scanner) float() (any, *Error) {
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

func (s *scanner) members() (any, *Error) {
	m := make(map[string]any)
	more, err := s.open()
	for more && err == nil {
		var name string
		if name, err = s.name(); err != nil {
			break
		}
		if _, twice := m[name]; twice {
			return nil, s.twice(name)
		}
		if m[name], err = s.value(); err == nil {
			more, err = s.next()
		}
	}
	return m, err
}

func (s *scanner) twice(name string) *Error {
	return s.bad("the key %q stands twice in one object", cut(name))
}

func (s *scanner) elements() (any, *Error) {
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

// pass takes any value that nobody asks for, holding it to the same rules.
func (s *scanner) pass() *Error {
	switch c := s.peek(); {
	case c == '"':
		_, err := s.str()
		return err
	case s.word("true"), s.word("false"), s.word("null"):
		return nil
	case c == '-' || c >= '0' && c <= '9':
		if _, end := shortWhole(s.text, s.at); end > 0 {
			s.at = end
			return nil
		}
	}
	_, err := s.value()
	return err
}
