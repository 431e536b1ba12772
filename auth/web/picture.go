package web

import (
	"encoding/xml"
	"fmt"
	"html/template"
	"strings"
)

// icons are the drawings of asset/icons.svg by name, without "i-".
var icons = readIcons()

func readIcons() map[string]template.HTML {
	b, err := ownAssets.ReadFile("asset/icons.svg")
	if err != nil {
		panic("web: the icons are embedded: " + err.Error())
	}
	var sheet struct {
		Symbols []struct {
			ID    string `xml:"id,attr"`
			Inner string `xml:",innerxml"`
		} `xml:"symbol"`
	}
	if err := xml.Unmarshal(b, &sheet); err != nil {
		panic("web: the embedded icons are XML: " + err.Error())
	}
	m := make(map[string]template.HTML, len(sheet.Symbols))
	for _, s := range sheet.Symbols {
		m[strings.TrimPrefix(s.ID, "i-")] = template.HTML(`<svg class="i" viewBox="0 0 16 16" aria-hidden="true">` + s.Inner + `</svg>`)
	}
	return m
}

// icon draws one of the icons where it stands; words beside it say the same.
func icon(name string) (template.HTML, error) {
	if svg, ok := icons[name]; ok {
		return svg, nil
	}
	return "", fmt.Errorf("no icon %s", name)
}

// doors are the one drawing we own, from shut to wide open (LOOK, principle 2): the light on the floor, the leaf, the knob.
var doors = [...]struct{ spill, light, leaf, knob string }{
	{"", "M17 57H43V60H17z", "M17 8L43 8V58.6L17 58.6z", "39"},
	{"M41.2 60H43L47.7 69H40.4z", "M17 8H43V60H17z", "M17 8L41.2 10.5V57.5L17 60z", "37.5"},
	{"M38.5 60H43L49.2 69H38.4z", "M17 8H43V60H17z", "M17 8L38.5 11.8V56.2L17 60z", "35.2"},
	{"M35.6 60H43L50.6 69H36.1z", "M17 8H43V60H17z", "M17 8L35.6 12.7V55.3L17 60z", "32.7"},
	{"M31 60H43L52.2 69H32.2z", "M17 8H43V60H17z", "M17 8L31 13.7V54.3L17 60z", "28.2"},
	{"M25.2 60H43L54 69H27.2z", "M17 8H43V60H17z", "M17 8L25.2 14.4V53.6L17 60z", "22.6"},
}

// door draws the door, n from 0 (shut) to 5 (wide open).
func door(n int) template.HTML {
	d := doors[min(max(n, 0), len(doors)-1)]
	var b strings.Builder
	b.WriteString(`<svg class="door" viewBox="0 0 60 69" aria-hidden="true">`)
	if d.spill != "" {
		fmt.Fprintf(&b, `<path class="spill" d="%s"/>`, d.spill)
	}
	fmt.Fprintf(&b, `<path class="light" d="%s"/><path class="leaf" d="%s"/><circle class="knob" cx="%s" cy="35" r="1.9"/>`, d.light, d.leaf, d.knob)
	b.WriteString(`<path class="wall" d="M4 60h11.8V6.8h28.4V60H56"/></svg>`)
	return template.HTML(b.String())
}
