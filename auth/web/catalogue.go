package web

import (
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

//go:embed text/*.yaml
var ownTexts embed.FS

// Catalogue holds every text of a site in every language.
type Catalogue struct {
	say  map[string]*Say
	keys []string
}

// LoadCatalogue reads <language>.yaml for each of Languages from the given folders and the shared texts of this package. A file is a flat
// map from key to text, or to its plural forms (one, other; zh-Hans: other). Texts may hold {{.name}}, filled by T. A language that lacks
// a key, has one too many, or fills in other names than English is an error: a half translated site never starts.
func LoadCatalogue(folders ...fs.FS) (*Catalogue, error) {
	own, err := fs.Sub(ownTexts, "text")
	if err != nil {
		return nil, fmt.Errorf("shared texts: %w", err)
	}
	bundle := i18n.NewBundle(language.English)
	bundle.RegisterUnmarshalFunc("yaml", func(b []byte, v any) error { return yaml.Unmarshal(b, v) })
	c := &Catalogue{say: map[string]*Say{}}
	names := map[string]map[string]string{} // language -> key -> names filled in
	for _, l := range Languages() {
		names[l] = map[string]string{}
		for _, fsys := range append([]fs.FS{own}, folders...) {
			if fsys == nil {
				continue
			}
			if err := loadTexts(bundle, fsys, l, names[l]); err != nil {
				return nil, err
			}
		}
		c.say[l] = &Say{Lang: l, texts: i18n.NewLocalizer(bundle, l), names: names[l]}
	}
	for _, l := range Languages() {
		if err := sameKeys(l, names["en"], names[l]); err != nil {
			return nil, err
		}
	}
	for key := range names["en"] {
		c.keys = append(c.keys, key)
	}
	slices.Sort(c.keys)
	return c, nil
}

var filled = regexp.MustCompile(`{{\s*\.(\w+)\s*}}`)

func loadTexts(bundle *i18n.Bundle, fsys fs.FS, lang string, names map[string]string) error {
	b, err := fs.ReadFile(fsys, lang+".yaml")
	if err != nil {
		return fmt.Errorf("texts: %w", err)
	}
	file, err := bundle.ParseMessageFileBytes(b, lang+".yaml")
	if err != nil {
		return fmt.Errorf("texts %s: %w", lang, err)
	}
	for _, m := range file.Messages {
		if _, twice := names[m.ID]; twice {
			return fmt.Errorf("texts %s: %s stands twice", lang, m.ID)
		}
		if strings.TrimSpace(m.Other) == "" {
			return fmt.Errorf("texts %s: %s is empty", lang, m.ID)
		}
		if m.One == "" && needsOne(lang, m.Other) {
			return fmt.Errorf("texts %s: %s counts, but lacks the form for one", lang, m.ID)
		}
		var n []string
		for _, f := range filled.FindAllStringSubmatch(m.One+m.Other, -1) {
			n = append(n, f[1])
		}
		slices.Sort(n)
		names[m.ID] = strings.Join(slices.Compact(n), " ")
	}
	return nil
}

// needsOne: a text with a count has a form for one in every language of ours but Chinese.
func needsOne(lang, other string) bool {
	return lang != "zh-Hans" && strings.Contains(strings.ReplaceAll(other, " ", ""), "{{.n}}")
}

func sameKeys(lang string, want, got map[string]string) error {
	for key, names := range want {
		g, ok := got[key]
		if !ok {
			return fmt.Errorf("texts %s: %s is missing", lang, key)
		}
		if g != names {
			return fmt.Errorf("texts %s: %s fills in %q, English %q", lang, key, g, names)
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			return fmt.Errorf("texts %s: %s is not in English", lang, key)
		}
	}
	return nil
}

// Keys are the keys of all texts, in order.
func (c *Catalogue) Keys() []string { return slices.Clone(c.keys) }

// Say gives the texts of one of Languages; another tag gets English.
func (c *Catalogue) Say(lang string) *Say {
	if s, ok := c.say[lang]; ok {
		return s
	}
	return c.say["en"]
}

// Say is a voice in one language.
type Say struct {
	Lang  string
	texts *i18n.Localizer
	names map[string]string // key -> names filled in
}

// Has reports whether there is a text with that key, for keys that come from outside.
func (s *Say) Has(key string) bool {
	_, ok := s.names[key]
	return ok
}

// T is the text of a key, with what it fills in given as name, value, name, value. A value named n chooses the plural form. It panics for an
// unknown key or a missing value: both are mistakes in the program, and each site's tests show every page in every language.
func (s *Say) T(key string, args ...any) string {
	c := &i18n.LocalizeConfig{MessageID: key}
	wanted := strings.Fields(s.names[key])
	if len(args) > 0 {
		values := make(map[string]any, len(args)/2)
		for i := 0; i+1 < len(args); i += 2 {
			name, ok := args[i].(string)
			if !ok {
				panic(fmt.Sprintf("web: text %s: argument %d is a name", key, i))
			}
			values[name] = args[i+1]
		}
		c.TemplateData = values
		c.PluralCount = values["n"]
	}
	for _, name := range wanted {
		if values, ok := c.TemplateData.(map[string]any); !ok || values[name] == nil {
			panic(fmt.Sprintf("web: text %s in %s: no value for %s", key, s.Lang, name))
		}
	}
	text, err := s.texts.Localize(c)
	if err != nil {
		panic(fmt.Sprintf("web: text %s in %s: %v", key, s.Lang, err))
	}
	return text
}
