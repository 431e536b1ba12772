package web_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"doorward/auth/web"
)

func TestLanguageOfARequest(t *testing.T) {
	s := newSite(t, "https://account.example", io.Discard)
	for _, c := range []struct{ accept, cookie, want string }{
		{"", "", "en"}, {"de-CH,de;q=0.9,en;q=0.8", "", "de"}, {"zh-TW", "", "zh-Hans"}, {"zh-Hant-HK,en;q=0.5", "", "zh-Hans"}, {"zh-CN", "", "zh-Hans"},
		{"it,fr;q=0.7", "", "fr"}, {"it", "", "en"}, {"es-419", "", "es"}, {"de", "fr", "fr"}, {"de", "xx", "de"}, {"en;q=0.1,es;q=0.9", "", "es"},
		{strings.Repeat("de,", 3000), "", "en"}, {"'\"<>", "", "en"}, {"*", "", "en"},
	} {
		r, err := http.NewRequest("GET", "https://account.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Language", c.accept)
		if c.cookie != "" {
			r.AddCookie(&http.Cookie{Name: "__Host-doorward-portal-language", Value: c.cookie})
		}
		if got := s.Lang(r); got != c.want {
			t.Errorf("%.30q, cookie %q: %s, want %s", c.accept, c.cookie, got, c.want)
		}
	}
}

func TestChoosingALanguage(t *testing.T) {
	h := handler(t, "https://account.example", io.Discard)
	w := post(h, "https://account.example/language", "lang=de&back=%2Fhello%3Fwho%3Dx")
	if w.Code != 303 || w.Header().Get("Location") != "/hello?who=x" {
		t.Fatalf("%d to %q", w.Code, w.Header().Get("Location"))
	}
	c := w.Result().Cookies()[0]
	if !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || !strings.HasPrefix(c.Name, "__Host-") {
		t.Errorf("cookie %v", c)
	}
	page := get(h, "https://account.example/hello", func(r *http.Request) { r.AddCookie(c) }).Body.String()
	if !strings.Contains(page, `<html lang="de">`) || !strings.Contains(page, "hello in de") {
		t.Errorf("not German: %s", page)
	}
	for _, back := range []string{"//evil.example", "https://evil.example", `/\evil.example`, "", "evil", "/%0d%0aSet-Cookie:x", "javascript:alert(1)"} {
		if w := post(h, "https://account.example/language", "lang=de&back="+strings.ReplaceAll(back, "\\", "%5c")); w.Code != 400 {
			t.Errorf("back to %q: %d %q", back, w.Code, w.Header().Get("Location"))
		}
	}
	if w := get(h, "https://account.example/language?lang=de&back=/hello", nil); w.Code != 405 || len(w.Result().Cookies()) > 0 {
		t.Errorf("GET changes the language: %d", w.Code)
	}
}

func TestCatalogueRefusesWhatIsHalfTranslated(t *testing.T) {
	with := func(lang, text string) fstest.MapFS {
		m := fstest.MapFS{}
		for _, l := range web.Languages() {
			m[l+".yaml"] = &fstest.MapFile{Data: []byte("a: 'A {{.x}}'\n")}
		}
		m[lang+".yaml"] = &fstest.MapFile{Data: []byte(text)}
		return m
	}
	for _, c := range []struct{ lang, text, want string }{
		{"fr", "b: 'B {{.x}}'\n", "a is missing"}, {"fr", "a: 'A {{.x}}'\nb: B\n", "b is not in English"}, {"es", "a: 'A {{.y}}'\n", "fills in"},
		{"de", "a: '  '\n", "empty"}, {"de", "a: 'A {{.x}}'\nweb.skip: x\n", "twice"}, {"en", "a: {other: '{{.n}} days'}\n", "form for one"},
	} {
		_, err := web.LoadCatalogue(with(c.lang, c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: %v, want %q", c.lang, c.text, err, c.want)
		}
	}
	if _, err := web.LoadCatalogue(fstest.MapFS{"en.yaml": {Data: []byte("a: A\n")}}); err == nil {
		t.Error("four languages are missing and nobody minds")
	}
}

func TestDatesMoneyAndPlaces(t *testing.T) {
	c, err := web.LoadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("Asia/Singapore")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 25, 2, 40, 0, 0, zone)
	first := time.Date(2026, 3, 1, 9, 5, 0, 0, time.FixedZone("", -19800))
	for lang, want := range map[string][]string{
		"en": {"Wednesday 25 November, 02:40 (Singapore time)", "Today, Wednesday 25 November, at 02:40 (Singapore time)", "Sunday 1 March, 09:05 (UTC-05:30)",
			"2 days, 23 hours", "1 minute, 1 second", "S$480.00", "US$1,234,567.89", "JP¥5,000", "KWD\u00a01.234", "Rotterdam, Netherlands",
			"A Windows computer with Chrome", "An iPhone with Safari"},
		"zh-Hans": {"11 月 25 日（星期三）02:40（新加坡时间）", "今天，11 月 25 日（星期三）02:40（新加坡时间）", "3 月 1 日（星期日）09:05（UTC-05:30）",
			"2 天 23 小时", "1 分钟 1 秒", "480.00\u00a0新元", "1,234,567.89\u00a0美元", "5,000\u00a0日元", "1.234\u00a0KWD", "荷兰 Rotterdam",
			"一台 Windows 电脑（Chrome）", "一部 iPhone（Safari）"},
		"es": {"miércoles 25 de noviembre a las 02:40 (hora de Singapur)", "Hoy, miércoles 25 de noviembre, a las 02:40 (hora de Singapur)",
			"domingo 1 de marzo a las 09:05 (UTC-05:30)", "2 días y 23 horas", "1 minuto y 1 segundo", "480,00\u00a0S$", "1.234.567,89\u00a0US$", "5000\u00a0JP¥",
			"1,234\u00a0KWD", "Rotterdam, Países Bajos", "Un ordenador con Windows con Chrome", "Un iPhone con Safari"},
		"fr": {"mercredi 25 novembre à 02:40 (heure de Singapour)", "Aujourd’hui, mercredi 25 novembre, à 02:40 (heure de Singapour)",
			"dimanche 1er mars à 09:05 (UTC-05:30)", "2 jours et 23 heures", "1 minute et 1 seconde", "480,00\u00a0S$", "1\u202f234\u202f567,89\u00a0US$",
			"5\u202f000\u00a0JP¥", "1,234\u00a0KWD", "Rotterdam, Pays-Bas", "Un ordinateur Windows avec Chrome", "Un iPhone avec Safari"},
		"de": {"Mittwoch, 25. November, 02:40 Uhr (Zeit in Singapur)", "Heute, Mittwoch, 25. November, um 02:40 Uhr (Zeit in Singapur)",
			"Sonntag, 1. März, 09:05 Uhr (UTC-05:30)", "2 Tage, 23 Stunden", "1 Minute, 1 Sekunde", "480,00\u00a0S$", "1.234.567,89\u00a0US$", "5.000\u00a0JP¥",
			"1,234\u00a0KWD", "Rotterdam, Niederlande", "Ein Windows-Computer mit Chrome", "Ein iPhone mit Safari"},
	} {
		s := c.Say(lang)
		for i, got := range []string{s.Moment(at), s.When(at, at.UTC()), s.Moment(first), s.Span(71 * time.Hour), s.Span(61 * time.Second), s.Money(48000, "SGD"),
			s.Money(123456789, "USD"), s.Money(5000, "JPY"), s.Money(1234, "KWD"), s.Place("Rotterdam", "NL"),
			s.Device("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36"),
			s.Device("Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Mobile/15E148 Safari/604.1")} {
			if got != want[i] {
				t.Errorf("%s %d: %q, want %q", lang, i, got, want[i])
			}
		}
	}
	if got := c.Say("en").Money(1, "<b>"); got != "XXX\u00a00.01" {
		t.Errorf("hostile currency: %q", got)
	}
	if got := c.Say("en").Device(`"><script>`); got != "A device we don’t know" {
		t.Errorf("hostile device: %q", got)
	}
	if got := c.Say("en").Span(0); got != "0 seconds" {
		t.Errorf("no time: %q", got)
	}
}

func TestEveryZoneHasItsName(t *testing.T) {
	c, err := web.LoadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"UTC", "Asia/Shanghai", "Europe/Zurich", "America/New_York", "America/Mexico_City", "Australia/Sydney"} {
		z, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range web.Languages() {
			if got := c.Say(l).Zone(time.Now().In(z)); got == "" || strings.HasPrefix(got, "UTC+") {
				t.Errorf("%s in %s: %q", name, l, got)
			}
		}
	}
}
