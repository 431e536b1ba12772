package portal

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"doorward/auth"
	"doorward/auth/recovery"
	"doorward/auth/totp"
	"doorward/auth/web"
)

// scenes are every page in every state that it has, by the way that leads there.
var scenes = map[string]func(*browser){
	"landing": func(w *browser) { w.get("/").want("/") }, "sent": func(w *browser) { w.post("/", "account", "wei.zhang").want("/sent") },
	"ended": func(w *browser) { w.get("/code").want("/ended") }, "link": func(w *browser) { w.get("/r/good") },
	"old": func(w *browser) { w.get("/r/old").post("/r/old").want("/r/old/old") }, "why": func(w *browser) { w.enter().want("/why") },
	"why-limited": func(w *browser) {
		w.b.flow.view.Account.State, w.b.flow.view.Account.Refuse = auth.Limited, []auth.Refusal{auth.RefuseMoneyOut, auth.RefuseChanges}
		w.b.flow.view.Until, w.b.flow.view.Account.ReasonUser = start.Add(time.Hour), nil
		w.enter().want("/why")
	},
	"why-moved": func(w *browser) {
		w.b.flow.res = recovery.Result{Moved: true}
		w.enter().post("/code", "code", "1").want("/why")
	},
	"why-half":  func(w *browser) { w.enter().post("/code", "code", "123456").get("/why").want("/why") },
	"why-staff": func(w *browser) { w.b.flow.set(recovery.StepStaff); w.enter().want("/why") },
	"code":      func(w *browser) { w.enter().get("/code").want("/code") },
	"code-waiting": func(w *browser) {
		w.b.flow.view.App.WaitUntil = start.Add(30 * time.Second)
		w.enter().get("/code").want("/code")
	},
	"recovery-code":  func(w *browser) { w.enter().get("/recovery-code").want("/recovery-code") },
	"mail-code":      func(w *browser) { toMailCode(w) },
	"mail-code-sent": func(w *browser) { toMailCode(w); w.post("/mail-code/send", "address", "0").want("/mail-code") },
	"password":       func(w *browser) { w.enter().post("/code", "code", "123456").want("/password") },
	"review":         func(w *browser) { toReview(w) }, "review-none": func(w *browser) { toReview(w); w.get("/review/none").want("/review/none") },
	"review-incomplete": func(w *browser) {
		toReview(w)
		w.b.flow.res = recovery.Result{Refused: recovery.RefusedIncomplete}
		w.post("/review").want("/review")
	},
	"hold": func(w *browser) { toHold(w) },
	"ready": func(w *browser) {
		toHold(w)
		w.b.flow.view.Current, w.b.flow.view.CanFinish = "", true
		w.get("/stopped").want("/stopped")
	},
	"staff": func(w *browser) { w.b.flow.set(recovery.StepStaff); w.enter().get("/stopped").want("/stopped") },
	"wait": func(w *browser) {
		w.enter()
		w.b.flow.view.Status = recovery.Applying
		w.get("/why").want("/wait")
	},
	"elsewhere": func(w *browser) {
		w.b.browser("en").enter().post("/code", "code", "123456")
		w.enter().get("/password").want("/elsewhere")
	},
	"give-up":    func(w *browser) { w.enter().post("/code", "code", "123456").get("/give-up").want("/give-up") },
	"given-up":   func(w *browser) { w.enter().post("/code", "code", "123456").post("/give-up").want("/given-up") },
	"over":       func(w *browser) { w.b.flow.finish(); w.enter().want("/done") },
	"over-other": func(w *browser) { w.b.flow.view.Other = true; w.enter().want("/done") },
	"done":       func(w *browser) { toDone(w) },
	"done-saved": func(w *browser) { toDone(w); w.post("/codes/saved").want("/done") },
	"done-no-codes": func(w *browser) {
		w.b.flow.codes = nil
		toDone(w)
	},
	"done-app": func(w *browser) {
		toDone(w)
		w.b.flow.view.App.Enrolled = false
		w.post("/enrol").post("/enrol/confirm", "code", "123456").want("/done")
	},
	"done-lost": func(w *browser) {
		toHold(w)
		w.b.flow.finish()
		w.get("/done").want("/done")
	},
	"enrol":       func(w *browser) { toDone(w); w.get("/enrol").want("/enrol") },
	"enrol-key":   func(w *browser) { toDone(w); w.post("/enrol").want("/enrol") },
	"enrol-wrong": func(w *browser) { toDone(w); w.post("/enrol").post("/enrol/confirm", "code", "1").want("/enrol") },
	"question":    func(w *browser) { w.get("/n/" + token(w.b.keys, "f-9")) },
	"gone":        func(w *browser) { w.get("/n/nothing") },
	"yes":         func(w *browser) { w.post("/n/"+token(w.b.keys, "f-9"), "answer", "yes") },
	"no":          func(w *browser) { w.post("/n/"+token(w.b.keys, "f-9"), "answer", "no") },
	"404":         func(w *browser) { w.get("/nowhere") },
}

func init() {
	for _, why := range []totp.Reason{totp.Wrong, totp.Used, totp.Wait, totp.Paused, totp.Malformed, totp.NotEnrolled} {
		res := recovery.Result{Refused: recovery.RefusedWrong, Code: why, WaitUntil: start.Add(time.Minute), TriesLeft: 3}
		scenes["code-"+string(why)] = func(w *browser) { w.enter(); w.b.flow.res = res; w.post("/code", "code", "1").want("/code") }
		scenes["recovery-code-"+string(why)] = func(w *browser) {
			w.enter()
			w.b.flow.res = res
			w.post("/recovery-code", "recovery_code", "1").want("/recovery-code")
		}
		scenes["mail-code-"+string(why)] = func(w *browser) {
			toMailCode(w)
			w.post("/mail-code/send", "address", "1")
			w.b.flow.res = res
			w.post("/mail-code", "mail_code", "1").want("/mail-code")
		}
	}
	scenes["code-last"] = func(w *browser) {
		w.enter()
		w.b.flow.res = recovery.Result{Refused: recovery.RefusedWrong, Code: totp.Wrong, TriesLeft: 1}
		w.post("/code", "code", "1").want("/code")
	}
	scenes["mail-code-often"] = func(w *browser) {
		toMailCode(w)
		w.b.flow.res = recovery.Result{Refused: recovery.RefusedOften}
		w.post("/mail-code/send", "address", "1").want("/mail-code")
	}
	for path, field := range map[string]string{"/code": "code", "/recovery-code": "recovery_code"} {
		scenes[strings.TrimPrefix(path, "/")+"-empty"] = func(w *browser) { w.enter().post(path, field, " ").want(path) }
	}
	scenes["mail-code-empty"] = func(w *browser) { toMailCode(w); w.post("/mail-code", "mail_code", "").want("/mail-code") }
}

func toMailCode(w *browser) {
	w.b.flow.set(lostFactor...)
	w.enter().post("/recovery-code", "recovery_code", "123456").want("/mail-code")
}
func toReview(w *browser) {
	w.enter().post("/code", "code", "123456").post("/password").want("/review")
}
func toHold(w *browser) {
	toMailCode(w)
	w.post("/mail-code", "mail_code", "123456").post("/password").review("not_mine").want("/stopped")
}
func toDone(w *browser) { toReview(w); w.review("not_mine").want("/done") }

var ugly = regexp.MustCompile(`\b(TOTP|OTP|MFA|token|session|risk|fraud|rule|score|Oops)\b|!|\{\{|<no value>|ZgotmplZ|%!`)

func TestPages(t *testing.T) {
	b := newBench(t)
	event := b.event
	for _, name := range slices.Sorted(mapKeys(scenes)) {
		t.Run(name, func(t *testing.T) {
			b.t, b.event = t, event
			for _, lang := range web.Languages() {
				b.flow.set(full...)
				b.flow.res = recovery.Result{}
				b.address = "203.0.113.7:1"
				b.portal.tries = web.NewLimiter(time.Millisecond, 1000, 10, func() time.Time { return b.now })
				b.portal.asks = b.portal.tries
				w := b.browser(lang)
				scenes[name](w)
				checkPage(t, name+" "+lang, lang, w)
				if *writePages != "" {
					write(t, name+"."+lang+".html", w.page)
				}
			}
		})
	}
}

func mapKeys(m map[string]func(*browser)) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// write keeps a page with its stylesheet beside it, so that a browser shows it from the disk.
func write(t *testing.T, name, page string) {
	t.Helper()
	page = regexp.MustCompile(`/assets/[0-9a-f]+/`).ReplaceAllString(page, "")
	if err := os.WriteFile(filepath.Join(*writePages, name), []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
}

func checkPage(t *testing.T, where, lang string, w *browser) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(w.page))
	if err != nil {
		t.Fatal(err)
	}
	ids, labels, count := map[string]int{}, map[string]bool{}, map[string]int{}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		count[n.Data]++
		for _, a := range n.Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
				t.Errorf("%s: <%s %s=%q>", where, n.Data, a.Key, a.Val)
			}
		}
		if id := attr(n, "id"); id != "" {
			ids[id]++
		}
		if n.Data == "label" && attr(n, "for") != "" {
			labels[attr(n, "for")] = true
		}
	}
	if count["h1"] != 1 || count["script"]+count["style"]+count["iframe"]+count["img"] > 0 || count["main"] != 1 {
		t.Errorf("%s: elements %v", where, count)
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("%s: id %s stands %d times", where, id, n)
		}
	}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		checkElement(t, where, lang, n, ids, labels)
	}
	if bad := ugly.FindString(visible(doc)); bad != "" {
		t.Errorf("%s says %q:\n%s", where, bad, visible(doc))
	}
	if w.header.Get("Content-Security-Policy") == "" || w.header.Get("Cache-Control") != "no-store" || w.header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("%s: headers %v", where, w.header)
	}
	if len(w.page) > 60_000 {
		t.Errorf("%s: %d bytes", where, len(w.page))
	}
}

func checkElement(t *testing.T, where, lang string, n *html.Node, ids map[string]int, labels map[string]bool) {
	t.Helper()
	switch n.Data {
	case "html":
		if attr(n, "lang") != lang {
			t.Errorf("%s: lang %q", where, attr(n, "lang"))
		}
	case "title":
		if n.FirstChild == nil || !strings.HasSuffix(n.FirstChild.Data, " – Harbour") {
			t.Errorf("%s: title %v", where, n.FirstChild)
		}
	case "input":
		inside := n.Parent != nil && n.Parent.Data == "label"
		if kind := attr(n, "type"); kind != "hidden" && !inside && !labels[attr(n, "id")] {
			t.Errorf("%s: input %s without a label", where, attr(n, "name"))
		}
		if slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "checked" }) {
			t.Errorf("%s: %s is chosen for the owner", where, attr(n, "name"))
		}
	case "form":
		if attr(n, "method") != "post" || !strings.HasPrefix(attr(n, "action"), "/") {
			t.Errorf("%s: form to %q by %q", where, attr(n, "action"), attr(n, "method"))
		}
	case "a":
		href := attr(n, "href")
		ok := strings.HasPrefix(href, "/") && !strings.HasPrefix(href, "//") || strings.HasPrefix(href, "https://harbour.example/") || strings.HasPrefix(href, "tel:") ||
			strings.HasPrefix(href, "otpauth://totp/") || strings.HasPrefix(href, "#") && ids[href[1:]] == 1
		if !ok {
			t.Errorf("%s: link to %q", where, href)
		}
	}
	for _, ref := range strings.Fields(attr(n, "aria-describedby") + " " + attr(n, "aria-labelledby")) {
		if ids[ref] != 1 {
			t.Errorf("%s: <%s> refers to %q, which stands %d times", where, n.Data, ref, ids[ref])
		}
	}
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// visible is the text of a page. Doctype is no text.
func visible(doc *html.Node) string {
	var b strings.Builder
	for n := range doc.Descendants() {
		if n.Type == html.TextNode {
			b.WriteString(n.Data + " ")
		}
	}
	return b.String()
}

// Every text of the catalogues is on some page: what nobody reads is not translated by anybody either.
func TestEveryTextIsUsed(t *testing.T) {
	var source strings.Builder
	for _, folder := range []string{".", "pages", "parts", "../notice", "../web", "../web/tmpl"} {
		files, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if f.IsDir() || strings.HasSuffix(f.Name(), "_test.go") {
				continue
			}
			b, err := os.ReadFile(filepath.Join(folder, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			source.Write(b)
		}
	}
	whole := source.String()
	// keys that are put together at run time, with the words they end in checked by TestPages
	made := regexp.MustCompile(`^portal\.(state|refuse|factor|how|why\.(moved|locked|limited|recovering)|code|recovery_code|mail_code|review|stopped)\.`)
	b, err := os.ReadFile("text/en.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^([\w.]+):`).FindAllStringSubmatch(string(b), -1) {
		if !strings.Contains(whole, `"`+m[1]+`"`) && !made.MatchString(m[1]) {
			t.Errorf("%s is on no page", m[1])
		}
	}
}
