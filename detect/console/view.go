package console

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"doorward/auth/staff"
	"doorward/auth/web"
)

// view is how a browser likes its pages: kept in a cookie of its own, as it is no secret and outlives sessions.
type view struct {
	zone    *time.Location
	dense   bool
	keysOff bool
}

const viewCookie = "doorward-console-view"

// readView reads the cookie; whatever is wrong in it is the default.
func readView(r *http.Request) view {
	v := view{zone: time.UTC}
	c, err := r.Cookie(viewCookie)
	if err != nil || len(c.Value) > 200 {
		return v
	}
	q, err := url.ParseQuery(c.Value)
	if err != nil {
		return v
	}
	if l, ok := zone(q.Get("zone")); ok {
		v.zone = l
	}
	v.dense, v.keysOff = q.Get("dense") == "1", q.Get("keys") == "0"
	return v
}

// zone reads the IANA name of a time zone.
func zone(name string) (*time.Location, bool) {
	if name == "" || name == "Local" || len(name) > 64 || strings.ContainsAny(name, "\\.") {
		return nil, false
	}
	l, err := time.LoadLocation(name)
	return l, err == nil
}

func (v view) cookie(secure bool) *http.Cookie {
	q := url.Values{"zone": {v.zone.String()}}
	if v.dense {
		q.Set("dense", "1")
	}
	if v.keysOff {
		q.Set("keys", "0")
	}
	return &http.Cookie{Name: viewCookie, Value: q.Encode(), Path: "/", MaxAge: 365 * 24 * 3600, Secure: secure, HttpOnly: true,
		SameSite: http.SameSiteLaxMode}
}

// chrome is what the top and foot of every page show.
type chrome struct {
	Me      string
	Section string
	Dense   bool
	KeysOff bool
	Zone    string
	Now     time.Time
	Audit   bool
	Manage  bool
	Keys    []key
	Warning string // a text that everybody has to see, on every page; empty: all is well
}

// key is a key that works on a page, and the text that says what it does.
type key struct {
	Keys   []string
	Text   string
	Decide bool // works only for who may decide
	Wide   bool // works only where the page is wide enough for the preview
}

// keysOf are the keys that work on each page, and only those; the script reads none of this, the foot and the settings show it.
var keysOf = map[string][]key{
	"queue": {{Keys: []string{"j", "k"}, Text: "key.move"}, {Keys: []string{"o"}, Text: "key.open"},
		{[]string{"c", "1", "Enter"}, "key.confirm", true, true}, {[]string{"f"}, "key.false", true, true}, {[]string{"w"}, "key.owner", true, true},
		{[]string{"l"}, "key.limit", true, true}, {Keys: []string{"/"}, Text: "key.find"}},
	"case": {{[]string{"c", "1", "Enter"}, "key.confirm", true, false}, {[]string{"f"}, "key.false", true, false},
		{[]string{"w"}, "key.owner", true, false}, {[]string{"l"}, "key.limit", true, false}, {[]string{"n"}, "key.note", true, false},
		{Keys: []string{"g", "q"}, Text: "key.queue"}, {Keys: []string{"/"}, Text: "key.find"}},
	"": {{Keys: []string{"g", "q"}, Text: "key.queue"}, {Keys: []string{"g", "r"}, Text: "key.rules"}, {Keys: []string{"g", "o"}, Text: "key.journal"},
		{Keys: []string{"/"}, Text: "key.find"}},
}

// show renders a page with the top and foot of the site; nobody signed in has neither.
func (c *Console) show(rq *request, page, section string, status int, body any) error {
	p := web.Page{Template: page, Status: status, Body: body, Error: status == http.StatusUnprocessableEntity}
	if rq.me.Name != "" {
		p.Chrome = c.chromeOf(rq, page, section)
	}
	return c.site.Show(rq.w, rq.Request, p)
}

func (c *Console) chromeOf(rq *request, page, section string) *chrome {
	listed, ok := keysOf[page]
	if !ok {
		listed = keysOf[""]
	}
	var keys []key
	for _, k := range listed {
		if !k.Decide || staff.Can(rq.me.Role, staff.Decide) {
			keys = append(keys, k)
		}
	}
	now := c.now(rq)
	warning := ""
	if c.Warning != nil {
		warning = c.Warning()
	}
	return &chrome{Warning: warning, Me: rq.me.Name, Section: section, Dense: rq.view.dense, KeysOff: rq.view.keysOff, Zone: c.say(rq).Zone(now), Now: now,
		Audit: staff.Can(rq.me.Role, staff.Audit), Manage: staff.Can(rq.me.Role, staff.Manage), Keys: keys}
}

// now is the time in the reader's zone.
func (c *Console) now(rq *request) time.Time { return c.Now().In(rq.view.zone) }

// say is the voice in the reader's language.
func (c *Console) say(rq *request) *web.Say { return c.site.Say(c.site.Lang(rq.Request)) }
