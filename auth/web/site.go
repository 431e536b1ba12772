package web

import (
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Config is what a site is made of.
type Config struct {
	Kind      string // "portal" or "console": class of body, part of cookie names and of session keys
	Name      string // the platform's name, as its owners know it; default "Doorward"
	PublicURL string // scheme and host by which browsers reach the site: the only source of links and of the host check
	Language  string // for who asks for none of the five; default "en"
	Now       func() time.Time
	Log       *slog.Logger
	Texts     fs.FS // catalogues, see LoadCatalogue; may be nil
	Templates fs.FS // pages/*.html, parts/*.html; may be nil
	Assets    fs.FS // may be nil
	Chrome    any   // Page.Chrome of pages that set none, the error pages above all
}

// Site is one of the two web sites.
type Site struct {
	kind, name string
	public     *url.URL
	host       string // lower case, with port unless it is the scheme's own
	secure     bool
	language   string
	chrome     any
	now        func() time.Time
	log        *slog.Logger

	texts  *Catalogue
	assets *assets
	pages  map[string]map[string]*template.Template // language -> page
	origin *http.CrossOriginProtection
}

// New makes a site. It refuses a public URL with a path, and plain http beyond loopback: browsers would send the session in the clear.
func New(c Config) (*Site, error) {
	if c.Kind != "portal" && c.Kind != "console" {
		return nil, fmt.Errorf("site kind %q: neither portal nor console", c.Kind)
	}
	if c.Now == nil || c.Log == nil {
		return nil, errors.New("a site needs a clock and a log")
	}
	s := &Site{kind: c.Kind, name: c.Name, now: c.Now, log: c.Log, language: c.Language, chrome: c.Chrome, origin: http.NewCrossOriginProtection()}
	if s.name == "" {
		s.name = "Doorward"
	}
	if s.language == "" {
		s.language = "en"
	}
	if !Known(s.language) {
		return nil, fmt.Errorf("language %q is none of %s", s.language, strings.Join(Languages(), ", "))
	}
	var err error
	if s.public, err = ParsePublicURL(c.PublicURL); err != nil {
		return nil, err
	}
	s.secure = s.public.Scheme == "https"
	s.host = canonicalHost(s.public.Host, s.secure)
	if err := s.origin.AddTrustedOrigin(s.public.Scheme + "://" + s.public.Host); err != nil {
		return nil, fmt.Errorf("public URL as an origin: %w", err)
	}
	if s.texts, err = LoadCatalogue(c.Texts); err != nil {
		return nil, err
	}
	if s.assets, err = loadAssets(c.Assets); err != nil {
		return nil, err
	}
	if s.pages, err = loadPages(s, c.Templates); err != nil {
		return nil, err
	}
	return s, nil
}

// ParsePublicURL reads a public URL: https, or http on loopback; a host, no path, no query, no user.
func ParsePublicURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, fmt.Errorf("public URL: %w", err)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	if u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("public URL %q: want scheme and host only, like https://account.example", s)
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && loopback(u.Hostname()):
	case u.Scheme == "http":
		return nil, fmt.Errorf("public URL %q: plain http is for loopback only, use https", s)
	default:
		return nil, fmt.Errorf("public URL %q: want https", s)
	}
	return u, nil
}

// Link is the address of a path of this site, as the world sees it.
func (s *Site) Link(path string) string { return s.public.Scheme + "://" + s.public.Host + path }

// Say gives the texts of a language of this site.
func (s *Site) Say(lang string) *Say { return s.texts.Say(lang) }

// Go sends the browser on to a path of this site by a new GET.
func (s *Site) Go(w http.ResponseWriter, r *http.Request, path string) error {
	if !localPath(path) {
		return fmt.Errorf("redirect to %q: not a path of this site", path)
	}
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}

// localPath reports whether a browser takes p as a path of the site it is on: "//host" and "/\host" it does not (S-38).
func localPath(p string) bool {
	if !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") || strings.ContainsAny(p, "\\\x00\r\n\t") {
		return false
	}
	u, err := url.Parse(p)
	return err == nil && u.Scheme == "" && u.Host == "" && u.User == nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// canonicalHost is a Host header as it is compared: lower case, the scheme's own port left out.
func canonicalHost(host string, secure bool) string {
	host = strings.ToLower(host)
	h, port, err := net.SplitHostPort(host)
	if err != nil {
		return strings.Trim(host, "[]")
	}
	if secure && port == "443" || !secure && port == "80" {
		return h
	}
	return net.JoinHostPort(h, port)
}
