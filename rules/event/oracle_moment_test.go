package event

import "time"

func oldSaneArrival(t time.Time) bool { return t.Year() >= firstYear && t.Year() <= lastYear }

// oldParseTime reads an RFC 3339 time, cut to milliseconds, UTC. A leap second (23:59:60 UTC) is the second after it, as in Unix time.
func oldParseTime(s string) (time.Time, bool) {
	if len(s) < len("2006-01-02T15:04:05Z") || s[4] != '-' || s[7] != '-' || s[10]|' ' != 't' || s[13] != ':' || s[16] != ':' {
		return time.Time{}, false
	}
	year, month, day := oldDigits(s[:4]), oldDigits(s[5:7]), oldDigits(s[8:10])
	hour, minute, second := oldDigits(s[11:13]), oldDigits(s[14:16]), oldDigits(s[17:19])
	if year < 0 || month < 1 || month > 12 || day < 1 || day > oldDaysIn(year, month) || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
		second < 0 || second > 60 {
		return time.Time{}, false
	}
	millis, rest, ok := oldFraction(s[19:])
	if !ok {
		return time.Time{}, false
	}
	offset, ok := oldZone(rest)
	if !ok {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, millis*int(time.Millisecond), time.UTC).Add(-offset)
	if second == 60 && (t.Second() != 0 || t.Minute() != 0 || t.Hour() != 0) {
		return time.Time{}, false
	}
	return t, t.Year() >= 0 && t.Year() <= 9999
}

// oldDigits reads a number without sign; -1 when s is none.
func oldDigits(s string) int {
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return -1
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}

func oldDaysIn(year, month int) int {
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

// oldFraction reads an optional fraction of a second and returns what is behind it.
func oldFraction(s string) (millis int, rest string, ok bool) {
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

func oldZone(s string) (time.Duration, bool) {
	if s == "Z" || s == "z" {
		return 0, true
	}
	if len(s) != len("+00:00") || s[3] != ':' || (s[0] != '+' && s[0] != '-') {
		return 0, false
	}
	hours, minutes := oldDigits(s[1:3]), oldDigits(s[4:6])
	if hours < 0 || hours > 23 || minutes < 0 || minutes > 59 {
		return 0, false
	}
	offset := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if s[0] == '-' {
		offset = -offset
	}
	return offset, true
}

// oldSetTime fills the event's times from what it states and when it arrived.
func (e *Event) oldSetTime(stated, arrival time.Time) {
	e.Stated, e.Arrival, e.Time = stated, arrival, stated
	if stated.Before(arrival.Add(-MaxBehind)) || stated.After(arrival.Add(MaxAhead)) {
		e.Time, e.Flagged = arrival, true
	}
}
