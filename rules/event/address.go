package event

import "net/netip"

// canonicalAddress gives one spelling to an address: IPv4 in IPv6 is IPv4, IPv6 as RFC 5952 writes it.
func canonicalAddress(name, text string) (string, *Error) {
	if isIPv4(text) { // has one spelling only
		return text, nil
	}
	addr, perr := netip.ParseAddr(text)
	if perr != nil || addr.Zone() != "" {
		return "", badData(name, "must be an IPv4 or IPv6 address without zone or port, as 203.0.113.9 or 2001:db8::9, not %q", cut(text))
	}
	var b [len("2001:0db8:0000:0000:0000:0000:0000:0001")]byte
	canonical := addr.Unmap().AppendTo(b[:0])
	if string(canonical) == text {
		return text, nil
	}
	return string(canonical), nil
}

// isIPv4 reports whether text is four numbers up to 255 without leading zeros, with points between them.
func isIPv4(text string) bool {
	number, digits, points := 0, 0, 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c-'0' <= 9:
			if number = number*10 + int(c-'0'); number > 255 || digits > 0 && number < 10 {
				return false
			}
			digits++
		case c == '.' && digits > 0:
			points++
			number, digits = 0, 0
		default:
			return false
		}
	}
	return points == 3 && digits > 0
}
