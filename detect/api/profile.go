package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/mail"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/language"

	"doorward/auth"
	"doorward/auth/web"
	"doorward/store"
	"doorward/store/journal"
)

const (
	maxEmails  = 5
	maxAddress = 254 // RFC 5321, section 4.5.3.1.3, without its angle brackets
	maxOTPAuth = 2048
	putTries   = 5
)

// e164 is a phone number as ITU-T E.164 writes it.
var e164 = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

// wanted is the body of PUT /v1/accounts/{id}. It replaces what was there; a link is imported when one is given.
type wanted struct {
	emails  []string
	phone   string
	lang    string
	otpauth string
}

func (a *api) put(w http.ResponseWriter, r *http.Request, id auth.AccountID) error {
	if err := noQuery(r); err != nil {
		return err
	}
	body, err := readBody(w, r, "application/json")
	if err != nil {
		return err
	}
	var want wanted
	if err := readObject(body, map[string]any{"emails": &want.emails, "phone": &want.phone, "language": &want.lang, "otpauth": &want.otpauth}); err != nil {
		return err
	}
	if err := want.check(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTime)
	defer cancel()
	if want.otpauth != "" {
		err := a.Import(ctx, id, want.otpauth)
		var invalid *Invalid
		switch {
		case errors.As(err, &invalid):
			return badValue.because("otpauth: %s", invalid.Problem)
		case err != nil:
			return fmt.Errorf("import a factor: %w", err)
		}
	}
	if err := a.store(ctx, id, want); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// check makes the fields canonical and refuses what can't be one.
func (w *wanted) check() error {
	if len(w.emails) > maxEmails {
		return badValue.because("emails: at most %d are taken.", maxEmails)
	}
	for i, e := range w.emails {
		c, ok := canonicalEmail(e)
		if !ok {
			return badValue.because("emails: number %d is not an address like name@example.com.", i+1)
		}
		if slices.Contains(w.emails[:i], c) {
			return badValue.because("emails: number %d stands twice.", i+1)
		}
		w.emails[i] = c
	}
	if w.phone != "" && !e164.MatchString(w.phone) {
		return badValue.because("phone: must be in E.164 form, + and 7 to 15 digits.")
	}
	if w.lang != "" {
		if _, err := language.Parse(w.lang); err != nil {
			return badValue.because("language: must be a BCP 47 tag such as %s.", strings.Join(web.Languages(), ", "))
		}
		w.lang = web.Match(w.lang) // of an owner whose language is not ours: empty, and the sites' and notices' own way to choose
	}
	if len(w.otpauth) > maxOTPAuth {
		return badValue.because("otpauth: longer than %d bytes.", maxOTPAuth)
	}
	return nil
}

// canonicalEmail is an address with its domain in lower case; the local part is its host's to judge.
func canonicalEmail(s string) (string, bool) {
	if len(s) > maxAddress || strings.ContainsAny(s, "\r\n\x00 \t\"<>,;:\\") {
		return "", false
	}
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || a.Name != "" {
		return "", false
	}
	at := strings.LastIndexByte(s, '@')
	domain := strings.ToLower(s[at+1:])
	if strings.HasPrefix(domain, "[") || !strings.Contains(domain, ".") {
		return "", false
	}
	return s[:at+1] + domain, true
}

// store replaces the profile and journals that it did. A contact that was known keeps the time since when; nothing happens when nothing
// changes.
func (a *api) store(ctx context.Context, id auth.AccountID, want wanted) error {
	for range putTries {
		old, stored, err := auth.LoadProfile(ctx, a.Store, a.Keys, id)
		if err != nil {
			return err
		}
		fresh := want.profile(old, a.Now().UnixMilli())
		if stored != nil && reflect.DeepEqual(fresh, old) {
			return nil
		}
		pair, err := auth.ProfilePair(a.Keys, id, fresh)
		if err != nil {
			return err
		}
		line, err := journal.Append(journal.Entry{At: a.Now().UTC(), Kind: journal.ProfileChanged, Account: string(id), By: "platform", Shard: -1,
			Detail: differences(old, fresh)})
		if err != nil {
			return err
		}
		_, err = a.Store.Commit(ctx, &store.Batch{Shard: store.NoShard, Expect: []store.Expect{{Key: pair.Key, Value: stored}},
			Put: []store.Pair{pair}, Append: []store.Append{line}})
		var conflict *store.Conflict
		switch {
		case err == nil:
			return nil
		case !errors.As(err, &conflict):
			return fmt.Errorf("store a profile: %w", err)
		}
	}
	return changedMeantime
}

// profile is the wanted one, with the times of what old knew already.
func (w wanted) profile(old *auth.Profile, now int64) *auth.Profile {
	p := &auth.Profile{Language: w.lang}
	for _, e := range w.emails {
		c := auth.Contact{Address: e, Since: now}
		if i := slices.IndexFunc(old.Emails, func(o auth.Contact) bool { return o.Address == e }); i >= 0 {
			c.Since = old.Emails[i].Since
		}
		p.Emails = append(p.Emails, c)
	}
	p.Former = old.Replaced(p.Emails, now)
	if w.phone != "" {
		p.Phone = &auth.Contact{Address: w.phone, Since: now}
		if old.Phone != nil && old.Phone.Address == w.phone {
			p.Phone.Since = old.Phone.Since
		}
	}
	return p
}

// differences says what changed, without the contacts themselves.
func differences(old, fresh *auth.Profile) map[string]string {
	d := map[string]string{}
	added, removed := 0, 0
	has := func(list []auth.Contact, address string) bool {
		return slices.ContainsFunc(list, func(c auth.Contact) bool { return c.Address == address })
	}
	for _, c := range fresh.Emails {
		if !has(old.Emails, c.Address) {
			added++
		}
	}
	for _, c := range old.Emails {
		if !has(fresh.Emails, c.Address) {
			removed++
		}
	}
	if added+removed > 0 {
		d["emails"] = strconv.Itoa(added) + " added, " + strconv.Itoa(removed) + " removed"
	}
	switch {
	case old.Phone == nil && fresh.Phone != nil:
		d["phone"] = "added"
	case old.Phone != nil && fresh.Phone == nil:
		d["phone"] = "removed"
	case old.Phone != nil && old.Phone.Address != fresh.Phone.Address:
		d["phone"] = "changed"
	}
	if old.Language != fresh.Language {
		d["language"] = fresh.Language
	}
	return d
}
