package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

//go:embed tmpl/*.html
var ownTemplates embed.FS

// Page is what a handler shows.
type Page struct {
	Template string // pages/<Template>.html
	Status   int    // 0: 200
	Error    bool   // the title begins with "Error:"
	Body     any
	Chrome   any // for the site's own "top" and "foot": who is signed in, where one is
}

// View is what a template is given.
type View struct {
	Page
	Kind, Name, Lang string
	Languages        []LanguageChoice
	Back             string // where a change of language comes back to
	Now              time.Time
}

// LanguageChoice is one line of the choice of languages.
type LanguageChoice struct {
	Tag, Own string
	Current  bool
}

// Show renders a page whole before the first byte leaves, so that an error in a template is an error page.
func (s *Site) Show(w http.ResponseWriter, r *http.Request, p Page) error {
	lang := s.Lang(r)
	if p.Chrome == nil {
		p.Chrome = s.chrome
	}
	t, ok := s.pages[lang][p.Template]
	if !ok {
		return fmt.Errorf("no page %s", p.Template)
	}
	v := View{Page: p, Kind: s.kind, Name: s.name, Lang: lang, Back: "/", Now: s.now()}
	if r.Method == http.MethodGet && p.Status < 400 && localPath(r.URL.RequestURI()) {
		v.Back = r.URL.RequestURI()
	}
	for _, l := range languages {
		v.Languages = append(v.Languages, LanguageChoice{l.tag, l.own, l.tag == lang})
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "layout", v); err != nil {
		return fmt.Errorf("page %s: %w", p.Template, err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", lang)
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	if p.Status == 0 {
		p.Status = http.StatusOK
	}
	w.WriteHeader(p.Status)
	if r.Method == http.MethodHead {
		return nil
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		s.log.DebugContext(r.Context(), "page not sent whole", "error", err) // the browser has left; there is nobody to tell
	}
	return nil
}

// Part renders one named template of a page without the layout: for pieces that a script puts into a page. data is given as it is.
func (s *Site) Part(r *http.Request, page, name string, data any) ([]byte, error) {
	t, ok := s.pages[s.Lang(r)][page]
	if !ok {
		return nil, fmt.Errorf("no page %s", page)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, name, data); err != nil {
		return nil, fmt.Errorf("part %s of %s: %w", name, page, err)
	}
	return b.Bytes(), nil
}

// loadPages parses every page in every language: the layout, the site's parts, then the page.
func loadPages(s *Site, site fs.FS) (map[string]map[string]*template.Template, error) {
	all := map[string]map[string]*template.Template{}
	for _, lang := range Languages() {
		base, err := template.New("").Funcs(s.funcs(s.texts.Say(lang))).ParseFS(ownTemplates, "tmpl/layout.html")
		if err != nil {
			return nil, fmt.Errorf("shared templates: %w", err)
		}
		all[lang] = map[string]*template.Template{}
		if site != nil {
			if parts, err := fs.Glob(site, "parts/*.html"); err != nil {
				return nil, fmt.Errorf("templates: %w", err)
			} else if len(parts) > 0 {
				if _, err := base.ParseFS(site, parts...); err != nil {
					return nil, fmt.Errorf("templates: %w", err)
				}
			}
		}
		if err := addPages(all[lang], base, ownTemplates, "tmpl/fault.html"); err != nil {
			return nil, err
		}
		if site == nil {
			continue
		}
		if err := addPages(all[lang], base, site, "pages/*.html"); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func addPages(pages map[string]*template.Template, base *template.Template, fsys fs.FS, glob string) error {
	files, err := fs.Glob(fsys, glob)
	if err != nil {
		return fmt.Errorf("templates: %w", err)
	}
	for _, f := range files {
		t, err := base.Clone()
		if err != nil {
			return fmt.Errorf("template %s: %w", f, err)
		}
		if _, err := t.ParseFS(fsys, f); err != nil {
			return fmt.Errorf("template %s: %w", f, err)
		}
		pages[strings.TrimSuffix(path.Base(f), ".html")] = t
	}
	return nil
}

func (s *Site) funcs(say *Say) template.FuncMap {
	return template.FuncMap{
		"t": say.T, "tw": say.wbr, "moment": say.Moment, "day": say.Day, "clock": say.Clock, "when": say.When, "since": say.Since, "span": say.Span,
		"stamp": say.Stamp, "money": say.Money, "country": say.Country, "place": say.Place, "device": say.Device, "zone": say.Zone, "event": say.Event, "iso": iso,
		"icon": icon, "door": door, "asset": s.assets.url, "dict": dict,
	}
}

// wbr is T with <wbr> where the text has a zero-width space: Chinese headings break only there.
func (s *Say) wbr(key string, args ...any) template.HTML {
	return template.HTML(strings.ReplaceAll(template.HTMLEscapeString(s.T(key, args...)), "\u200b", "<wbr>"))
}

// dict makes a map of name, value, name, value: what a part of a page is given.
func dict(pairs ...any) (map[string]any, error) {
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: argument %d is a name", i)
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}
