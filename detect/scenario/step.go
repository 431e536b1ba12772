package scenario

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"doorward/auth"
	"doorward/rules/event"
)

// step makes one event or act of a line's words.
func (s *script) step(at time.Duration, words []string) (step, error) {
	act := words[0] == "do"
	if act {
		words = words[1:]
	}
	if len(words) == 0 {
		return step{}, fmt.Errorf("do what: recovered, unlock, lock, limit, verified, denied, approved, ...")
	}
	fields := make([][2]string, 0, len(words))
	for _, w := range words[1:] {
		name, value, ok := strings.Cut(w, "=")
		if !ok || name == "" || value == "" {
			return step{}, fmt.Errorf("%q is not NAME=VALUE", w)
		}
		fields = append(fields, [2]string{name, value})
	}
	if act {
		return doing(at, words[0], fields)
	}
	return s.happening(at, words[0], fields)
}

// happening makes an event: as JSON, so that the decoder of real events judges it.
func (s *script) happening(at time.Duration, name string, fields [][2]string) (step, error) {
	if !event.Known(event.Type(name)) {
		return step{}, fmt.Errorf("unknown event type %q", name)
	}
	arrival := at
	geo, labels, data := map[string]any{}, map[string]any{}, map[string]any{}
	envelope := map[string]any{"specversion": "1.0", "id": strconv.Itoa(len(s.steps) + 1), "source": "/scenario", "type": name,
		"time": Start.Add(at).Format(time.RFC3339Nano), "data": data}
	for _, f := range fields {
		key, value := f[0], f[1]
		switch {
		case key == "account":
			envelope["subject"] = value
		case key == "id" || key == "source":
			envelope[key] = value
		case key == "arrived":
			var err error
			if arrival, err = since(value); err != nil {
				return step{}, err
			}
		case key == "lat" || key == "lon" || key == "city" || key == "country":
			geo[key] = scalar(value, key == "lat" || key == "lon")
		case key == "data.country":
			data["country"] = value
		case strings.HasPrefix(key, "labels."):
			labels[key[len("labels."):]] = value
		case strings.HasPrefix(key, "extra."):
			data[key[len("extra."):]] = scalar(value, true)
		case fieldKinds[key] == "":
			return step{}, fmt.Errorf("unknown field %q; the platform's own are written extra.%s", key, key)
		default:
			data[key] = scalar(value, fieldKinds[key] == event.Integer)
		}
	}
	if len(geo) > 0 {
		data["geo"] = geo
	}
	if len(labels) > 0 {
		data["labels"] = labels
	}
	envelope["recordedtime"] = Start.Add(arrival).Format(time.RFC3339Nano)
	b, err := json.Marshal(envelope)
	if err != nil {
		return step{}, fmt.Errorf("write event: %w", err)
	}
	e, wrong := event.DecodeLine(b)
	if wrong != nil {
		return step{}, wrong
	}
	return step{at: arrival, event: e}, nil
}

var fieldKinds = func() map[string]event.FieldKind {
	kinds := map[string]event.FieldKind{}
	for _, f := range event.Fields() {
		if f.Kind != event.Place && f.Kind != event.Strings && f.Name != "country" {
			kinds[f.Name] = f.Kind
		}
	}
	return kinds
}()

// scalar is a value as JSON would have it: a number or a bool where one may stand and it looks like one, else text.
func scalar(s string, loose bool) any {
	if loose {
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			return f
		}
		if s == "true" || s == "false" {
			return s == "true"
		}
	}
	return s
}

// doing makes an act.
func doing(at time.Duration, kind string, fields [][2]string) (step, error) {
	act := auth.Act{Kind: auth.ActKind(kind), At: Start.Add(at), By: "operator"}
	for _, f := range fields {
		switch f[0] {
		case "account":
			id, err := auth.ParseAccountID(f[1])
			if err != nil {
				return step{}, err
			}
			act.Account = id
		case "by":
			act.By = f[1]
		case "reason":
			act.Reason = f[1]
		case "device":
			act.Device = f[1]
		case "refers_to":
			act.RefersTo = f[1]
		default:
			return step{}, fmt.Errorf("an act has account, by, reason, device and refers_to, not %q", f[0])
		}
	}
	if act.Account == "" {
		return step{}, fmt.Errorf("the act names no account")
	}
	act.ID = fmt.Sprintf("scenario-%s-%s-%d", act.Account, act.Kind, at)
	return step{at: at, act: &act}, nil
}
