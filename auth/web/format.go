package web

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// Times are shown in their own time.Location and always absolutely (LOOK, "Voice"): who shows one puts it into the reader's zone first.

// Moment is a time with its day and zone: "Wednesday 25 November, 02:40 (Singapore time)".
func (s *Say) Moment(t time.Time) string {
	return s.T("web.moment", "day", s.Day(t), "clock", s.Clock(t), "zone", s.Zone(t))
}

// Day is "Wednesday 25 November".
func (s *Say) Day(t time.Time) string {
	d := strconv.Itoa(t.Day())
	if s.Lang == "fr" && d == "1" {
		d = "1er"
	}
	return s.T("web.day", "weekday", s.T("web.weekday."+strconv.Itoa(int(t.Weekday()))), "d", d,
		"month", s.T("web.month."+strconv.Itoa(int(t.Month()))))
}

// Clock is the time of day, 24 hours.
func (s *Say) Clock(t time.Time) string { return s.T("web.clock", "time", t.Format("15:04")) }

// When is a moment that says so if it is on now's day: "Today, Sunday 22 November, at 02:13 (Singapore time)".
func (s *Say) When(t, now time.Time) string {
	key := "web.when"
	if sameDay(t, now) {
		key = "web.when.today"
	}
	return s.T(key, "day", s.Day(t), "clock", s.Clock(t), "zone", s.Zone(t))
}

// Since is "since 02:13 today" or "since Sunday 22 November, 02:13".
func (s *Say) Since(t, now time.Time) string {
	key := "web.since"
	if sameDay(t, now) {
		key = "web.since.today"
	}
	return s.T(key, "day", s.Day(t), "clock", s.Clock(t))
}

func sameDay(t, now time.Time) bool {
	y, m, d := t.Date()
	ny, nm, nd := now.In(t.Location()).Date()
	return y == ny && m == nm && d == nd
}

// Span is a length of time in its two largest units, rounded up to the smaller: "2 days, 23 hours".
func (s *Say) Span(d time.Duration) string {
	units := []struct {
		key string
		d   time.Duration
	}{{"web.days", 24 * time.Hour}, {"web.hours", time.Hour}, {"web.minutes", time.Minute}, {"web.seconds", time.Second}}
	for i, u := range units {
		if d < u.d && i < len(units)-1 {
			continue
		}
		small := u
		if i < len(units)-1 {
			small = units[i+1]
		}
		d = (d + small.d - 1) / small.d * small.d
		big, rest := int(d/u.d), int(d%u.d/small.d)
		if rest == 0 || big == 0 {
			return s.T(u.key, "n", big)
		}
		return s.T("web.span", "big", s.T(u.key, "n", big), "small", s.T(small.key, "n", rest))
	}
	return s.T("web.seconds", "n", 0)
}

// Stamp is the exact form for staff: "2026-11-22 02:13:07 +08:00".
func (s *Say) Stamp(t time.Time) string { return t.Format("2006-01-02 15:04:05 -07:00") }

// zones are the zones that have a name in the texts, by IANA name. Others are shown by their distance to UTC, which is as exact.
var zones = map[string]string{
	"UTC": "utc", "Etc/UTC": "utc", "Asia/Singapore": "singapore", "Asia/Shanghai": "china", "Asia/Hong_Kong": "hongkong", "Asia/Tokyo": "tokyo",
	"Europe/London": "london", "Europe/Berlin": "berlin", "Europe/Paris": "paris", "Europe/Madrid": "madrid", "Europe/Zurich": "zurich",
	"Europe/Vienna": "vienna", "America/New_York": "newyork", "America/Los_Angeles": "losangeles", "America/Mexico_City": "mexico",
	"America/Bogota": "bogota", "America/Toronto": "toronto", "Australia/Sydney": "sydney",
}

// Zone is the name of a time's zone: "Singapore time", "UTC+05:30".
func (s *Say) Zone(t time.Time) string {
	if key, ok := zones[t.Location().String()]; ok {
		return s.T("web.zone." + key)
	}
	return "UTC" + t.Format("-07:00")
}

// exponents are the currencies whose minor unit is not a hundredth (ISO 4217).
var exponents = map[string]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0, "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0,
	"XAF": 0, "XOF": 0, "XPF": 0, "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3, "CLF": 4, "UYW": 4,
}

// symbols name a currency without doubt: a bare $ or ¥ would not.
var symbols = map[string]string{
	"SGD": "S$", "USD": "US$", "EUR": "€", "GBP": "£", "CNY": "CN¥", "JPY": "JP¥", "HKD": "HK$", "AUD": "A$", "CAD": "CA$", "MXN": "MX$",
	"BRL": "R$", "INR": "₹", "KRW": "₩",
}

// chinese are the names that Chinese puts behind an amount instead of a symbol.
var chinese = map[string]string{
	"SGD": "新元", "USD": "美元", "EUR": "欧元", "GBP": "英镑", "CNY": "元人民币", "JPY": "日元", "HKD": "港元", "AUD": "澳元", "CAD": "加元",
	"MXN": "墨西哥比索", "BRL": "雷亚尔", "INR": "卢比", "KRW": "韩元", "CHF": "瑞士法郎",
}

const (
	nbsp  = "\u00a0"
	nnbsp = "\u202f"
)

// Money is an amount in minor units of a currency: "S$480.00", "480,00 S$". What is no currency code of three capitals is shown as the bare
// number with a neutral sign, never as outside text.
func (s *Say) Money(minor int64, code string) string {
	if len(code) != 3 || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		code = "XXX"
	}
	scale, ok := exponents[code]
	if !ok {
		scale = 2
	}
	number := s.decimal(minor, scale)
	name := code
	if symbol, ok := symbols[code]; ok {
		name = symbol
	}
	switch s.Lang {
	case "en":
		if name == code {
			return code + nbsp + number
		}
		return name + number
	case "zh-Hans":
		if c, ok := chinese[code]; ok {
			name = c
		}
	}
	return number + nbsp + name
}

// decimal groups the digits as a language does (CLDR: Spanish groups from five digits on).
func (s *Say) decimal(minor int64, scale int) string {
	point, group, least := ".", ",", 4
	switch s.Lang {
	case "es":
		point, group, least = ",", ".", 5
	case "fr":
		point, group = ",", nnbsp
	case "de":
		point, group = ",", "."
	}
	sign, digits := "", strconv.FormatInt(minor, 10)
	if minor < 0 {
		sign, digits = "−", digits[1:]
	}
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale+1-len(digits)) + digits
	}
	whole, rest := digits[:len(digits)-scale], digits[len(digits)-scale:]
	if len(whole) >= least {
		for i := len(whole) - 3; i > 0; i -= 3 {
			whole = whole[:i] + group + whole[i:]
		}
	}
	if rest != "" {
		whole += point + rest
	}
	return sign + whole
}

// Country is the name of an ISO 3166-1 alpha-2 code, "" when there is none.
func (s *Say) Country(code string) string {
	region, err := language.ParseRegion(code)
	if err != nil || !region.IsCountry() {
		return ""
	}
	return display.Regions(language.MustParse(s.Lang)).Name(region)
}

// Place is "Rotterdam, Netherlands", as exact as an owner may see (LOOK, "Don'ts"); "" when neither is known.
func (s *Say) Place(city, country string) string {
	name, city := s.Country(country), shown(city)
	switch {
	case city == "":
		return name
	case name == "":
		return city
	}
	return s.T("web.place", "city", city, "country", name)
}

// shown is a foreign text without what can't be seen or turns around the direction of what can (S-16). The joiners stay: scripts need them.
func shown(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\u200c' && r != '\u200d' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp) {
			return -1
		}
		return r
	}, s)
}

// Device is what a user agent says of a device in words an owner knows: "A Windows computer with Chrome". Its own text is never shown: it is
// the stranger's to write.
func (s *Say) Device(agent string) string {
	device, browser := family(agent)
	name := s.T("web.device." + device)
	if browser == "" {
		return name
	}
	return s.T("web.device.with", "device", name, "browser", browser)
}

// family finds device and browser in a user agent. Order matters: an iPhone says Mac OS X too, Edge says Chrome, Chrome says Safari.
func family(agent string) (device, browser string) {
	first := func(pairs ...[2]string) string {
		for _, p := range pairs {
			if strings.Contains(agent, p[0]) {
				return p[1]
			}
		}
		return ""
	}
	device = first([2]string{"iPhone", "iphone"}, [2]string{"iPad", "ipad"}, [2]string{"Android", "android"}, [2]string{"Windows", "windows"},
		[2]string{"Macintosh", "mac"}, [2]string{"CrOS", "chromebook"}, [2]string{"Linux", "linux"}, [2]string{"", "unknown"})
	browser = first([2]string{"Edg/", "Edge"}, [2]string{"OPR/", "Opera"}, [2]string{"SamsungBrowser/", "Samsung Internet"},
		[2]string{"Firefox/", "Firefox"}, [2]string{"FxiOS/", "Firefox"}, [2]string{"CriOS/", "Chrome"}, [2]string{"Chrome/", "Chrome"},
		[2]string{"Safari/", "Safari"})
	return device, browser
}

// Event names what happened, by an event's type, in words an owner knows. A type that is not in the contract is never shown itself.
func (s *Say) Event(kind string) string {
	if key := "web.event." + kind; s.Has(key) {
		return s.T(key)
	}
	return s.T("web.event.other")
}

// iso is a time as the datetime attribute wants it.
func iso(t time.Time) string { return t.Format(time.RFC3339) }
