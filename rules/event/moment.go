package event

import "time"

// How far a stated time may lie from the arrival and still count (EVENTS.md, "Time"; reference: security D-9).
const (
	MaxBehind = 24 * time.Hour
	MaxAhead  = 5 * time.Minute
)

// Arrivals outside these years are a broken clock or a forged timestamp; inside them nanoseconds since 1970 fit an int64.
const (
	firstYear = 1970
	lastYear  = 2199
)

// A moment is milliseconds since 1970 in UTC.
const (
	second = 1000
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

// The moments that a year 0 to 9999, and one in which an event may arrive, begin and end with.
var (
	year0     = daysUntil(0, 1, 1) * day
	year10000 = daysUntil(10000, 1, 1) * day
	earliest  = daysUntil(firstYear, 1, 1) * day
	latest    = daysUntil(lastYear+1, 1, 1)*day - 1
)

func timeOf(moment int64) time.Time { return time.UnixMilli(moment).UTC() }

// parseTime reads an RFC 3339 time, cut to milliseconds, UTC.
func parseTime(s string) (time.Time, bool) {
	m, ok := parseMoment(s)
	if !ok {
		return time.Time{}, false
	}
	return timeOf(m), true
}

// parseMoment reads an RFC 3339 time. A leap second (23:59:60 UTC) is the second after it, as in Unix time.
func parseMoment(s string) (int64, bool) {
	if len(s) < len("2006-01-02T15:04:05Z") || s[4] != '-' || s[7] != '-' || s[10]|' ' != 't' || s[13] != ':' || s[16] != ':' {
		return 0, false
	}
	century, year, mon, d := two(s[0:2]), two(s[2:4]), two(s[5:7]), two(s[8:10])
	h, mins, sec := two(s[11:13]), two(s[14:16]), two(s[17:19])
	if century > 99 || year > 99 || mon < 1 || mon > 12 || d < 1 || h > 23 || mins > 59 || sec > 60 {
		return 0, false
	}
	year += 100 * century
	if d > daysIn(year, mon) {
		return 0, false
	}
	m := daysUntil(year, mon, d)*day + int64(h)*hour + int64(mins)*minute + int64(sec)*second
	if rest := s[19:]; rest != "Z" {
		millis, rest, ok := fraction(rest)
		if !ok {
			return 0, false
		}
		offset, ok := zone(rest)
		if !ok {
			return 0, false
		}
		m += int64(millis) - offset
	}
	if sec == 60 && (m-year0)%day >= second {
		return 0, false
	}
	return m, m >= year0 && m < year10000
}

// two reads two digits; more than 99 when they are none.
func two(s string) int {
	_ = s[1]
	tens, units := s[0]-'0', s[1]-'0'
	if tens > 9 || units > 9 {
		return 1000
	}
	return int(tens)*10 + int(units)
}

// daysUntil counts the days from 1970-01-01 to a day of the Gregorian calendar from year 0 on: whole cycles of 400 years are 146,097 days,
// and a year that begins in March has its leap day at its end.
func daysUntil(year, month, day int) int64 {
	if month -= 3; month < 0 {
		month += 12
		year--
	}
	year += 400 // so that nothing below 0 is divided
	return int64(365*year + year/4 - year/100 + year/400 + (153*month+2)/5 + day - 1 - daysBefore1970)
}

// daysBefore1970 are those from 1 March of the year -400 on.
const daysBefore1970 = 719468 + 146097

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// fraction reads an optional fraction of a second and returns what is behind it.
func fraction(s string) (millis int, rest string, ok bool) {
	if s == "" || s[0] != '.' {
		return 0, s, true
	}
	n := 1
	for scale := 100; n < len(s) && s[n] >= '0' && s[n] <= '9'; n++ {
		millis += int(s[n]-'0') * scale
		scale /= 10
	}
	return millis, s[n:], n > 1
}

// zone reads an offset from UTC, in milliseconds.
func zone(s string) (int64, bool) {
	if s == "Z" || s == "z" {
		return 0, true
	}
	if len(s) != len("+00:00") || s[3] != ':' || (s[0] != '+' && s[0] != '-') {
		return 0, false
	}
	hours, minutes := two(s[1:3]), two(s[4:6])
	if hours > 23 || minutes > 59 {
		return 0, false
	}
	offset := int64(hours)*hour + int64(minutes)*minute
	if s[0] == '-' {
		offset = -offset
	}
	return offset, true
}

// appendTime writes t as parseTime reads it.
func appendTime(b []byte, t time.Time) []byte {
	if t.Nanosecond() < int(time.Millisecond) {
		return t.UTC().AppendFormat(b, "2006-01-02T15:04:05Z")
	}
	return t.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
}

// setTime fills the event's times from what it states and when it arrived.
func (e *Event) setTime(stated, arrival time.Time) {
	e.setMoments(stated.UnixMilli(), arrival.UnixMilli())
}

func (e *Event) setMoments(stated, arrival int64) {
	e.Stated, e.Arrival = timeOf(stated), timeOf(arrival)
	e.Time = e.Stated
	if stated < arrival-MaxBehind.Milliseconds() || stated > arrival+MaxAhead.Milliseconds() {
		e.Time, e.Flagged = e.Arrival, true
	}
}
