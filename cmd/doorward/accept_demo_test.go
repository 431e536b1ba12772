//go:build accept

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"doorward/detect"
)

// The demo, as somebody meets it who has nothing but this program, a browser and kcat.
func TestAcceptDemo(t *testing.T) {
	need(t, "kcat")
	chromium := need(t, "chromium")
	dir := t.TempDir()
	c := exec.Command(built(t), "demo", "-o", "json", "--for", "45s", "--dir", dir)
	var talk strings.Builder
	c.Stderr = &talk
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill() })
	lines := make(chan string, 16)
	go func() {
		s := bufio.NewScanner(out)
		for s.Scan() {
			lines <- s.Text()
		}
		close(lines)
	}()
	var d demoLine
	select {
	case l := <-lines:
		d = readDemo(t, l)
	case <-time.After(time.Minute):
		t.Fatalf("nothing is ready after a minute\n%s", talk.String())
	}
	if !d.Ready || !strings.HasPrefix(d.Recovery, d.Portal+"/r/") || !strings.HasPrefix(d.Staff, d.Console+"/") || !strings.HasPrefix(d.Code, d.Outbox+"/") {
		t.Fatalf("the first line names places that don't fit together: %+v", d)
	}
	w := &world{T: t, broker: broker{address: d.Broker}, dir: dir, topic: detect.TopicEvents}
	w.write("doorward.yaml", "store: "+d.Store+"\n")

	lock := w.stateOf(d.Account, func(r stateRecord) bool { return r.State == "locked" })
	came := false
	for _, r := range w.read(detect.TopicEvents) {
		came = came || r.key == d.Account && strings.Contains(r.value, `"id":"`+d.Event[strings.LastIndex(d.Event, " ")+1:]+`"`)
	}
	if !came {
		t.Errorf("kcat does not find event %s of %s", d.Event, d.Account)
	}
	w.explained(d, lock)
	ctx := browse(t, chromium)
	w.ownerComesBack(ctx, d)
	in := w.stateOf(d.Account, func(r stateRecord) bool { return r.State == "probation" })
	if in.Version <= lock.Version {
		t.Errorf("version %d after version %d", in.Version, lock.Version)
	}
	w.caseIsClosed(ctx, d, lock.Case)

	last := ""
	for l := range lines {
		last = l
	}
	if err := c.Wait(); err != nil {
		t.Fatalf("the demo ended with %v\n%s", err, talk.String())
	}
	end := readDemo(t, last)
	sum := 0
	for _, n := range end.ByRule {
		sum += n
	}
	if end.Portal != d.Portal || end.Console != d.Console || end.Events < 100 || end.Findings < 1 || sum != end.Findings || end.Locked < 1 || end.Recovered < 1 ||
		end.Cases < 1 || end.FirstFindingMs < 1 || end.FirstFindingMs > 5000 {
		t.Errorf("the last line says %s", last)
	}
}

// demoLine is what COMMANDS.md promises of the demo.
type demoLine struct {
	Ready                                bool
	Broker, Portal, Console, API, Outbox string
	Staff                                string `json:"staff_link"`
	Account                              string
	Recovery                             string `json:"recovery_link"`
	Code                                 string `json:"code_page"`
	Event, Store                         string
	Events, Findings, Locked, Recovered  int
	Cases                                int
	ByRule                               map[string]int `json:"by_rule"`
	FirstFindingMs                       int            `json:"first_finding_ms"`
}

func readDemo(t *testing.T, line string) (d demoLine) {
	t.Helper()
	if err := json.Unmarshal([]byte(line), &d); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
	for name, value := range map[string]string{"broker": d.Broker, "portal": d.Portal, "console": d.Console, "api": d.API, "outbox": d.Outbox, "staff_link": d.Staff,
		"account": d.Account, "recovery_link": d.Recovery, "code_page": d.Code, "event": d.Event, "store": d.Store} {
		if value == "" {
			t.Fatalf("no %s in %s", name, line)
		}
	}
	return d
}

// explained: the event that the account was locked for is explained by the running process.
func (w *world) explained(d demoLine, lock stateRecord) {
	w.Helper()
	var x struct {
		Rules []struct {
			ID         string
			Fired      bool
			Conditions []map[string]any
		}
		Findings []struct {
			ID, Rule, Response string
			Evidence           []map[string]any
		}
		Verdict struct{ Response string }
		Journal []map[string]any
	}
	w.eventually(30*time.Second, "the event is in the account's history", func() bool {
		out, _, code := w.run("explain", d.Event, "-o", "json")
		return code == 0 && json.Unmarshal([]byte(out), &x) == nil
	})
	fired := 0
	for _, r := range x.Rules {
		if r.Fired {
			fired++
		}
	}
	if len(x.Findings) == 0 || x.Findings[len(x.Findings)-1].ID != lock.Findings[len(lock.Findings)-1] || len(x.Findings[0].Evidence) == 0 || fired == 0 || len(x.Rules) < 12 ||
		x.Verdict.Response != "lock" || len(x.Journal) == 0 {
		w.Errorf("explain says %+v, the lock names %v", x, lock.Findings)
	}
	if out, _, code := w.run("explain", d.Event); code != 0 || !strings.Contains(out, "CONSEQUENCE") {
		w.Errorf("explain, for people: %d %s", code, out)
	}
}

// browse starts a Chromium with a fresh profile.
func browse(t *testing.T, path string) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("headless", "new"), chromedp.Flag("no-first-run", true), chromedp.Flag("disable-background-networking", true))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(ctx)
	t.Cleanup(end)
	ctx, over := context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(over)
	return ctx
}

// where is the path the browser is on.
func (w *world) where(ctx context.Context) string {
	w.Helper()
	at, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil {
		w.Fatalf("the browser: %v", err)
	}
	u, err := url.Parse(at)
	if err != nil {
		w.Fatal(err)
	}
	return u.Path
}

func (w *world) do(ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	w.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		at := w.where(ctx)
		w.Fatalf("on %s: %v", at, err)
	}
}

// ownerComesBack goes from the link to the end by what stands on the pages.
func (w *world) ownerComesBack(ctx context.Context, d demoLine) {
	w.Helper()
	click := func(what string) chromedp.Action[chromedp.Void] { return chromedp.Click(chromedp.CSS(what)) }
	w.do(ctx, chromedp.Navigate(d.Recovery))
	var way []string
	for last := ""; last != "/done"; {
		at := w.where(ctx)
		if at == last && at != "/wait" {
			w.Fatalf("stuck on %s after %v", at, way)
		}
		last = at
		way = append(way, at)
		switch {
		case strings.HasPrefix(at, "/r/"):
			w.do(ctx, click(`form[method=post][action^="/r/"] button.main`))
		case at == "/why":
			w.do(ctx, click("main a.btn.main"))
		case at == "/code":
			w.do(ctx, chromedp.SendKeys(chromedp.CSS("#code"), w.appCode(d.Code)), click(`form[action="/code"] button.main`))
		case at == "/password":
			w.do(ctx, click(`form[action="/password"] button.main`))
		case at == "/review":
			w.do(ctx, click(`a[href="/review/none"]`))
		case at == "/review/none":
			w.do(ctx, click(`form[action="/review"] button.main`))
		case at == "/wait":
			w.eventually(30*time.Second, "the page goes on by itself", func() bool { return w.where(ctx) != "/wait" })
		case at == "/done":
			return
		default:
			w.Fatalf("the way back leads to %s after %v", at, way)
		}
		w.eventually(20*time.Second, "the page after "+at, func() bool { return w.where(ctx) != at })
	}
}

// appCode is what the demo's page of the owner's app says.
func (w *world) appCode(page string) string {
	w.Helper()
	resp, err := http.Get(page)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || len(b) < 6 {
		w.Fatalf("the code page says %q: %v", b, err)
	}
	var code string
	if _, err := fmt.Sscan(string(b), &code); err != nil || len(code) != 6 {
		w.Fatalf("the code page says %q", b)
	}
	return code
}

// caseIsClosed signs in as staff by the demo's link and looks at the case.
func (w *world) caseIsClosed(ctx context.Context, d demoLine, id string) {
	w.Helper()
	w.do(ctx, chromedp.Navigate(d.Staff), chromedp.Click(chromedp.CSS(`form[action^="/enter/"] button.main`)), chromedp.WaitVisible(chromedp.CSS("footer.keys")),
		chromedp.Navigate(d.Console+"/cases/"+id), chromedp.WaitVisible(chromedp.CSS("article.case")))
	closed := false
	w.eventually(20*time.Second, "the console shows the case closed", func() bool {
		n, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.querySelectorAll('article.case h1 ~ .pill.t-calm').length`))
		if err != nil {
			w.Fatal(err)
		}
		if closed = n == 1; !closed {
			w.do(ctx, chromedp.Navigate(d.Console+"/cases/"+id), chromedp.WaitVisible(chromedp.CSS("article.case")))
		}
		return closed
	})
	text, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("article.case")))
	if err != nil {
		w.Fatal(err)
	}
	if !strings.Contains(text, d.Account) {
		w.Errorf("the case is not about %s: %.300s", d.Account, text)
	}
}
