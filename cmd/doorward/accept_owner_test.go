//go:build accept

package main

import (
	"crypto/rand"
	"encoding/base32"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os/exec"
	"strings"
	"time"

	"doorward/detect"
)

// holder is somebody with an account and an authenticator app.
type holder struct {
	account string
	secret  string // base32
}

// owner makes an account known, as the platform does.
func (w *world) owner(account string) *holder {
	w.Helper()
	b := make([]byte, 20)
	rand.Read(b)
	o := &holder{account, base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b)}
	uri := "otpauth://totp/Wallet:" + account + "?issuer=Wallet&secret=" + o.secret
	if s := w.call("PUT", "/v1/accounts/"+account, map[string]any{"emails": []string{account + "@example.test"}, "language": "en", "otpauth": uri}, nil); s != http.StatusNoContent {
		w.Fatalf("PUT of an account: status %d", s)
	}
	return o
}

// code is what oathtool says the app shows now. So near to the end of a step that it might be another one when it arrives, it waits.
func (w *world) code(o *holder) string {
	w.Helper()
	need(w.T, "oathtool")
	w.eventually(10*time.Second, "a step of the clock that has begun lately", func() bool { return time.Now().Unix()%30 < 25 })
	out, err := exec.Command("oathtool", "--totp", "-b", o.secret).CombinedOutput()
	if err != nil {
		w.Fatalf("oathtool: %v %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// fresh is a code of a later step than the one of used.
func (w *world) fresh(o *holder, used string) (code string) {
	w.Helper()
	w.eventually(time.Minute, "the next code", func() bool { code = w.code(o); return code != used })
	return code
}

// link is the way back that an account's owner was told.
func (w *world) link(account string) (link string) {
	w.Helper()
	w.eventually(time.Minute, "a notice for "+account+" on "+detect.TopicNotices, func() bool {
		for _, n := range of[struct{ Link, Account string }](w, detect.TopicNotices, account) {
			if strings.Contains(n.Link, "/r/") {
				link = n.Link
			}
		}
		return link != ""
	})
	return link
}

// browser is a browser without JavaScript: it keeps cookies, follows redirects and posts forms.
type browser struct {
	w      *world
	client *http.Client
}

// newBrowser's address is from, one of loopback's.
func (w *world) newBrowser(from string) *browser {
	w.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.Fatal(err)
	}
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return &browser{w, &http.Client{Jar: jar, Timeout: 30 * time.Second, Transport: &http.Transport{DialContext: d.DialContext}}}
}

// page is where a request ended.
type page struct {
	path   string
	status int
	body   string
}

func (b *browser) get(path string) page { return b.do("GET", path, "") }

func (b *browser) post(path string, fields ...string) page {
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return b.do("POST", path, form.Encode())
}

func (b *browser) do(method, path, body string) page {
	if !strings.HasPrefix(path, "http") {
		path = b.w.at["portal"] + path
	}
	req, err := http.NewRequest(method, path, strings.NewReader(body))
	if err != nil {
		b.w.Error(err)
		return page{}
	}
	if method == "POST" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", b.w.at["portal"])
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.w.Errorf("%s %s: %v", method, path, err)
		return page{}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.w.Errorf("%s %s: %v", method, path, err)
	}
	return page{resp.Request.URL.Path, resp.StatusCode, string(text)}
}

// arrive follows the pages that load themselves until the owner is somewhere else than waiting.
func (b *browser) arrive(p page) page {
	b.w.Helper()
	b.w.eventually(30*time.Second, "the account's shard lets the owner in", func() bool {
		if p.path == "/wait" {
			p = b.get("/wait")
		}
		return p.path != "/wait"
	})
	return p
}

// recover goes the whole way back with the app's code, which it returns.
func (w *world) recover(o *holder) (used string) {
	w.Helper()
	b := w.newBrowser("127.0.0.1")
	link := w.link(o.account)
	if p := b.get(link); p.status != http.StatusOK {
		w.Fatalf("the link: %+v", p)
	}
	if p := b.post(link); p.path != "/why" {
		w.Fatalf("the link's button leads to %s (%d)", p.path, p.status)
	}
	if p := b.get("/code"); p.path != "/code" || !strings.Contains(p.body, `name="code"`) {
		w.Fatalf("the page for the code is %s: %s", p.path, p.body)
	}
	used = w.code(o)
	if p := b.arrive(b.post("/code", "code", used)); p.path != "/done" {
		w.Fatalf("the right code leads to %s (%d): %s", p.path, p.status, p.body)
	}
	return used
}
