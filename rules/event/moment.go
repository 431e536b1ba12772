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

func saneArrival(t time.Time) bool { return t.Year() >= firstYear && t.Year() <= lastYear }

// parseTime reads an RFC 3339 time, cut to milliseconds, UTC. A leap second (23:59:60 UTC) is the second after it, as in Unix time.
func parseTime(s string) (time.Time, bool) {
	if len(s) < len("2006-01-02T15:04:05Z") || s[4] != '-' || s[7] != '-' || s[10]|' ' != 't' || s[13] != ':' || s[16] != ':' {
		return time.Time{}, false
	}
	year, month, day := digits(s[:4]), digits(s[5:7]), digits(s[8:10])
	hour, minute, second := digits(s[11:13]), digits(s[14:16]), digits(s[17:19])
	if year < 0 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
		second < 0 || second > 60 {
		return time.Time{}, false
	}
	millis, rest, ok := fraction(s[19:])
	if !ok {
		return time.Time{}, false
	}
	offset, ok := zone(rest)
	if !ok {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, millis*int(time.Millisecond), time.UTC).Add(-offset)
	if second == 60 && (t.Second() != 0 || t.Minute() != 0 || t.Hour() != 0) {
		return time.Time{}, false
	}
	return t, t.Year() >= 0 && t.Year() <= 9999
}

// digits reads a number without sign; -1 when s is none.
func digits(s string) int {
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return -1
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}

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

func zone(s string) (time.Duration, bool) {
	if s == "Z" || s == "z" {
		return 0, true
	}
	if len(s) != len("+00:00") || s[3] != ':' || (s[0] != '+' && s[0] != '-') {
		return 0, false
	}
	hours, minutes := digits(s[1:3]), digits(s[4:6])
	if hours < 0 || hours > 23 || minutes < 0 || minutes > 59 {
		return 0, false
	}
	offset := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
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
	e.Stated, e.Arrival, e.Time = stated, arrival, stated
	if stated.Before(arrival.Add(-MaxBehind)) || stated.After(arrival.Add(MaxAhead)) {
		e.Time, e.Flagged = arrival, true
	}
}
