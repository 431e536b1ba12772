package web

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxForm is the longest form that is read, in bytes.
const MaxForm = 64 << 10

// Form is a form's fields; a field that was not sent is "".
type Form map[string]string

// ReadForm reads the form in a request's body. Only the named fields may be there, each once, as UTF-8 without zero bytes (S-35); the
// URL's query is no part of it. The error is a *Fault.
func ReadForm(w http.ResponseWriter, r *http.Request, fields ...string) (Form, error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/x-www-form-urlencoded" {
		return nil, &Fault{http.StatusUnsupportedMediaType, errors.New("not a plain form")}
	}
	if r.URL.RawQuery != "" {
		return nil, &Fault{http.StatusBadRequest, errors.New("form with a query")}
	}
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	if err := r.ParseForm(); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, &Fault{http.StatusRequestEntityTooLarge, err}
		}
		return nil, &Fault{http.StatusBadRequest, err}
	}
	f := Form{}
	for name, values := range r.PostForm {
		switch {
		case !slices.Contains(fields, name):
			return nil, &Fault{http.StatusBadRequest, errors.New("form with a field that is not ours")}
		case len(values) != 1:
			return nil, &Fault{http.StatusBadRequest, fmt.Errorf("form with field %s more than once", name)}
		case !utf8.ValidString(values[0]) || strings.ContainsRune(values[0], 0):
			return nil, &Fault{http.StatusBadRequest, fmt.Errorf("form field %s is not text", name)}
		}
		f[name] = values[0]
	}
	return f, nil
}
