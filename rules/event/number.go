package event

// number takes a number and returns its text, and whether it has neither fraction nor exponent.
func (s *scanner) number() (text string, whole bool, err *Error) {
	s.space()
	start := s.at
	s.byte('-')
	switch {
	case s.byte('0'):
	case s.digits():
	default:
		return "", false, s.bad("not JSON: a digit expected")
	}
	whole = true
	if s.byte('.') {
		whole = false
		if !s.digits() {
			return "", false, s.bad("not JSON: a digit expected")
		}
	}
	if s.byte('e') || s.byte('E') {
		whole = false
		if !s.byte('+') {
			s.byte('-')
		}
		if !s.digits() {
			return "", false, s.bad("not JSON: a digit expected")
		}
	}
	return s.text[start:s.at], whole, nil
}

func (s *scanner) byte(c byte) bool {
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) digits() bool {
	start := s.at
	for s.at < len(s.text) && s.text[s.at] >= '0' && s.text[s.at] <= '9' {
		s.at++
	}
	return s.at > start
}

// mostDigits of a number surely fit an int64.
const mostDigits = 18

// shortWhole reads the integer at i, if it is short and written as JSON has it, and returns what stands behind it; 0 when it is not.
func shortWhole(t string, i int) (n int64, end int) {
	negative := i < len(t) && t[i] == '-'
	if negative {
		i++
	}
	start := i
	for i < len(t) && t[i]-'0' <= 9 && i-start <= mostDigits {
		n = n*10 + int64(t[i]-'0')
		i++
	}
	switch digits := i - start; {
	case digits == 0, digits > mostDigits, digits > 1 && t[start] == '0', i < len(t) && (t[i] == '.' || t[i]|' ' == 'e'):
		return 0, 0
	}
	if negative {
		n = -n
	}
	return n, i
}

// powers are the powers of ten that a double holds exactly and a short decimal may be divided by.
var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// shortDecimal reads the number at i, if it has at most 15 digits and no exponent, and returns what stands behind it; 0 when it is
// another one. Digits and power are exact in a double, so one division rounds as strconv.ParseFloat does.
func shortDecimal(t string, i int) (f float64, end int) {
	negative := i < len(t) && t[i] == '-'
	if negative {
		i++
	}
	var n int64
	start, point := i, -1
	for ; i < len(t) && i-start <= len(powers); i++ {
		if c := t[i]; c-'0' <= 9 {
			n = n*10 + int64(c-'0')
		} else if c == '.' && point < 0 && i > start {
			point = i
		} else {
			break
		}
	}
	digits, behind := i-start, 0
	if point >= 0 {
		digits, behind = digits-1, i-point-1
	}
	zero := digits > 1 && t[start] == '0' && point != start+1
	if digits == 0 || digits >= len(powers) || point >= 0 && behind == 0 || zero || i < len(t) && t[i]|' ' == 'e' {
		return 0, 0
	}
	f = float64(n) / powers[behind]
	if negative {
		f = -f
	}
	return f, i
}
