package rules

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"doorward/auth"
	"doorward/rules/event"
	"doorward/rules/window"
)

// draft is a rule while its file is read: the rule so far, and where each key's value stands for whatever is wrong with it.
type draft struct {
	Rule
	src   *source
	start int // byte offset of the rule
	at    map[string]int
	when  string
	whenN ast.Node
	say   func(*Error)
}

// keys are what a rule may say, in the order of the documentation.
var keys = []string{"id", "was", "title", "level", "status", "attack", "false_positives", "references", "on", "per", "when", "again",
	"score", "response", "recovery", "for", "reason"}

var required = []string{"id", "title", "level", "on", "when", "score", "response", "reason"}

// Languages are those that owners are spoken to in (PRODUCT, S13).
var Languages = []string{"en", "zh-Hans", "es", "fr", "de"}

var (
	levels     = []string{"informational", "low", "medium", "high", "critical"}
	statuses   = []string{"experimental", "test", "stable"}
	responses  = []string{"notify", "review", "challenge", "limit", "lock"}
	recoveries = []string{"totp", "staff"}
	ruleID     = regexp.MustCompile(`^[a-z0-9]+([._-][a-z0-9]+)*$`)
	attackID   = regexp.MustCompile(`^T\d{4}(\.\d{3})?$`)
	reasonCode = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

func (d *draft) wrong(offset int, suggestion, format string, args ...any) {
	d.say(d.src.error(offset, suggestion, format, args...))
}

// read takes over one rule as the file has it.
func (d *draft) read(n *ast.MappingNode) {
	d.at = map[string]int{}
	for _, v := range n.Values {
		key := d.src.node(v.Key)
		name := scalarText(v.Key)
		if !slices.Contains(keys, name) {
			meant := nearest(name, keys)
			d.wrong(key, meant, "unknown key %q", name)
			if _, ok := d.at[meant]; !ok && meant != "" {
				d.at[meant] = key // one mistake, told once
			}
			continue
		}
		d.at[name] = d.src.node(v.Value)
		if v.Value == nil || v.Value.Type() == ast.NullType {
			d.at[name] = key
			d.wrong(key, "", "%s has no value", name)
			continue
		}
		d.key(name, v.Value)
	}
	for _, name := range required {
		if _, ok := d.at[name]; !ok {
			d.wrong(d.start, "", "the rule has no %s", name)
		}
	}
	d.finish()
}

func (d *draft) key(name string, v ast.Node) {
	at := d.at[name]
	switch name {
	case "id":
		if d.ID = d.text(name, v); d.ID != "" && (!ruleID.MatchString(d.ID) || len(d.ID) > 64) {
			d.wrong(at, "", "id %q: small letters and digits, with dots between, at most 64", d.ID)
		}
	case "was":
		d.Was = d.texts(name, v)
	case "title":
		d.Title = d.text(name, v)
	case "level":
		d.Level = d.choice(name, v, levels)
	case "status":
		d.Status = d.choice(name, v, statuses)
	case "attack":
		d.Attack = d.texts(name, v)
		for i, id := range d.Attack {
			if !attackID.MatchString(id) {
				d.wrong(d.src.item(v, i), "T1110.001", "%q is not an ATT&CK technique id", id)
			}
		}
	case "false_positives":
		d.FalsePositives = d.texts(name, v)
	case "references":
		d.References = d.texts(name, v)
	case "on":
		d.on(v)
	case "per":
		d.Per = window.Key(d.choice(name, v, keyNames))
	case "when":
		d.when, d.whenN = d.text(name, v), v
	case "again":
		d.again(v)
	case "score":
		s := d.text(name, v)
		n, err := strconv.Atoi(s)
		if s != "" && (err != nil || n < 0 || n > 100) {
			d.wrong(at, "", "score %q is not a whole number from 0 to 100", s)
		}
		d.Score = n
	case "response":
		d.Response, _ = auth.ParseResponse(d.choice(name, v, responses)) // a wrong one has been said
	case "recovery":
		d.Recovery = d.choice(name, v, recoveries)
	case "for":
		d.For = d.duration(name, v)
	case "reason":
		d.reason(v)
	}
}

func (d *draft) on(v ast.Node) {
	for i, name := range d.texts("on", v) {
		at := d.src.item(v, i)
		switch {
		case len(matching(name)) == 0:
			d.wrong(at, nearest(name, typeWords), "unknown event type %q", name)
		case slices.Contains(d.On, event.Type(name)):
			d.wrong(at, "", "event type %q stands twice", name)
		default:
			d.On = append(d.On, event.Type(name))
		}
	}
}

func (d *draft) again(v ast.Node) {
	switch s := d.text("again", v); s {
	case "":
	case "edge", "always":
		d.Again.Mode = s
	default:
		every, err := duration(s)
		if err != nil {
			d.wrong(d.at["again"], nearest(s, []string{"edge", "always"}), "again: %q is neither edge, always nor a duration such as 1h", s)
			return
		}
		d.Again = Again{Mode: "every", Every: every}
	}
}

func (d *draft) reason(v ast.Node) {
	m, ok := v.(*ast.MappingNode)
	if !ok {
		d.wrong(d.at["reason"], "", "reason has a code and a sentence for the owner in each language: {code: ..., en: ...}")
		return
	}
	d.Reason.User = map[string]string{}
	for _, p := range m.Values {
		name, at := scalarText(p.Key), d.src.node(p.Key)
		if name != "code" && !slices.Contains(Languages, name) {
			d.wrong(at, nearest(name, append([]string{"code"}, Languages...)), "unknown key %q in reason", name)
			continue
		}
		s := d.text("reason."+name, p.Value)
		if name != "code" {
			if s != "" {
				d.Reason.User[name] = s
			}
			continue
		}
		if d.Reason.Code = s; s != "" && !reasonCode.MatchString(s) {
			d.wrong(d.src.node(p.Value), strings.ToLower(strings.NewReplacer(" ", "_", "-", "_").Replace(s)), "reason code %q: small letters, digits and _", s)
		}
	}
	if d.Reason.Code == "" {
		d.wrong(d.at["reason"], "", "reason has no code")
	}
	if d.Reason.User["en"] == "" {
		d.wrong(d.at["reason"], "", "reason has no English sentence (en)")
	}
}

// finish sets what was not said, and checks what spans several keys.
func (d *draft) finish() {
	if d.Per == "" {
		d.Per = window.Account
	}
	if d.Status == "" {
		d.Status = "experimental"
	}
	if d.Again.Mode == "" {
		d.Again.Mode = "edge"
	}
	if d.Recovery == "" && d.Response >= auth.Challenge {
		d.Recovery = "totp"
	}
	if at, ok := d.at["for"]; ok && d.Response != auth.Limit && d.Response != auth.NoResponse {
		d.wrong(at, "", "for: belongs to the response limit, not to %s", d.Response)
	}
	d.File = d.src.file
	d.Line, _ = d.src.place(d.start)
}
