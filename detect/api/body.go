package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// readBody takes a body of one of the media types, whole. However it is framed, it is the same bytes to every check (S-25).
func readBody(w http.ResponseWriter, r *http.Request, types ...string) ([]byte, error) {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(types, media) || len(r.Header.Values("Content-Type")) > 1 {
		return nil, badType.because("Send Content-Type: %s.", strings.Join(types, " or "))
	}
	for name, value := range params {
		if name != "charset" || !strings.EqualFold(value, "utf-8") {
			return nil, badType.because("The only parameter that Content-Type takes is charset=utf-8.")
		}
	}
	if enc := r.Header.Values("Content-Encoding"); len(enc) > 0 {
		return nil, badType.because("Send the body without Content-Encoding.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, tooLarge
	case err != nil:
		return nil, badJSON.because("The body ended before it was whole.")
	case !utf8.Valid(body):
		return nil, badJSON.because("The body is not UTF-8.")
	}
	return body, nil
}

// readObject reads one JSON object into the fields, which are pointers: no unknown name, none twice, none null. Names are exact: json alone
// would take "Emails" for "emails" and the last of two (S-35).
func readObject(body []byte, fields map[string]any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return badJSON.because("The body must be one JSON object.")
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return badJSON.because("The body is not JSON.")
		}
		name, _ := t.(string)
		into, known := fields[name]
		switch {
		case !known:
			return badJSON.because("A field is not known: this call takes %s.", strings.Join(names(fields), ", "))
		case seen[name]:
			return badJSON.because("The field %s stands twice.", name)
		}
		seen[name] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return badJSON.because("The body is not JSON.")
		}
		if bytes.Equal(bytes.TrimSpace(value), []byte("null")) {
			return badJSON.because("The field %s is null: leave it out.", name)
		}
		if err := json.Unmarshal(value, into); err != nil {
			return badJSON.because("The field %s has the wrong type.", name)
		}
	}
	if _, err := d.Token(); err != nil {
		return badJSON.because("The body is not JSON.")
	}
	if _, err := d.Token(); err != io.EOF {
		return badJSON.because("There is something behind the JSON object.")
	}
	return nil
}

func names(fields map[string]any) (out []string) {
	for n := range fields {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

func noQuery(r *http.Request) error {
	if r.URL.RawQuery != "" {
		return badQuery.because("This call takes no query parameter.")
	}
	return nil
}
