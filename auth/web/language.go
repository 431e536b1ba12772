package web

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"golang.org/x/text/language"
)

// languagePath takes the choice of a language from every page: fields lang and back.
const languagePath = "/language"

var languages = []struct{ tag, own string }{
	{"zh-Hans", "简体中文"}, {"en", "English"}, {"es", "Español"}, {"fr", "Français"}, {"de", "Deutsch"},
}

// Languages are the languages of both sites and of notices (BCP 47), in the order in which they are offered.
func Languages() []string {
	tags := make([]string, len(languages))
	for i, l := range languages {
		tags[i] = l.tag
	}
	return tags
}

// Known reports whether tag is one of Languages.
func Known(tag string) bool { return slices.Contains(Languages(), tag) }

// Match is the language of ours for a BCP 47 tag such as a profile's, "" when there is none. Every Chinese gets zh-Hans, traditional
// script too: a reader of it reads simplified rather than English (reference: U-REC-12, fallback stated).
func Match(tag string) string {
	t, err := language.Parse(tag)
	if err != nil {
		return ""
	}
	base, _ := t.Base()
	if base.String() == "zh" {
		return "zh-Hans"
	}
	if Known(base.String()) {
		return base.String()
	}
	return ""
}

// Lang is the language of a request: the one chosen before, else the first of Accept-Language that is ours, else the site's.
func (s *Site) Lang(r *http.Request) string {
	if c, err := r.Cookie(s.cookieName("language")); err == nil && Known(c.Value) {
		return c.Value
	}
	// At most 4 KiB are parsed: the header is the browser's to fill.
	if h := r.Header.Get("Accept-Language"); len(h) <= 4<<10 {
		tags, _, err := language.ParseAcceptLanguage(h)
		if err == nil {
			for _, t := range tags {
				if l := Match(t.String()); l != "" {
					return l
				}
			}
		}
	}
	return s.language
}

// chooseLanguage keeps the chosen language in the browser and goes back to the page; state that a page has is in the session, so nothing
// is lost.
func (s *Site) chooseLanguage(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		s.fail(w, r, &Fault{http.StatusMethodNotAllowed, errors.New("languages are chosen by POST")})
		return
	}
	f, err := ReadForm(w, r, "lang", "back")
	if err == nil && (!Known(f["lang"]) || !localPath(f["back"])) {
		err = &Fault{http.StatusBadRequest, errors.New("unknown language or way back")}
	}
	if err == nil {
		// Lax, not Strict: it is no secret, and it has to be there when somebody comes from a mail.
		http.SetCookie(w, &http.Cookie{Name: s.cookieName("language"), Value: f["lang"], Path: "/", MaxAge: 365 * 24 * 3600, Secure: s.secure,
			HttpOnly: true, SameSite: http.SameSiteLaxMode})
		err = s.Go(w, r, f["back"])
	}
	if err != nil {
		s.fail(w, r, err)
	}
}

// cookieName is the name of one of the site's cookies. On https it has the __Host- prefix: no other host and no plain http can set it. On
// plain http (loopback) browsers refuse that prefix; the site's kind keeps portal and console apart, as ports do not.
func (s *Site) cookieName(what string) string {
	name := fmt.Sprintf("doorward-%s-%s", s.kind, what)
	if s.secure {
		return "__Host-" + name
	}
	return name
}
