//go:build browser

package console_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"doorward/auth/staff"
	"doorward/detect/cases"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// go test -tags browser ./detect/console needs Chromium and fails without it; DOORWARD_SHOTS=DIR keeps pictures of the pages.

type css = chromedp.CSS

// chromium starts a browser of its own, with a fresh profile, and fails the test on a script's exception and on anything that the content
// security policy stopped.
func chromium(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if path, err = exec.LookPath("google-chrome"); err != nil {
			t.Fatal("no Chromium here: leave the tag browser out, or install it")
		}
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()))
	alloc, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(alloc)
	t.Cleanup(end)
	ctx, over := context.WithTimeout(ctx, 40*time.Second)
	t.Cleanup(over)
	err = chromedp.Listen(ctx, func(ev any) {
		switch e := ev.(type) {
		case *runtime.EventExceptionThrown:
			t.Errorf("a script failed: %s", e.ExceptionDetails.Text)
		case *log.EventEntryAdded:
			if strings.Contains(e.Entry.Text, "Content Security Policy") {
				t.Errorf("the browser says: %s", e.Entry.Text)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}

func do(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

func ask[T any](t *testing.T, ctx context.Context, a chromedp.Action[T]) T {
	t.Helper()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func press(key string) chromedp.Action[chromedp.Void] { return chromedp.KeyEvent(key) }
func seen(sel css) chromedp.Action[chromedp.Void]     { return chromedp.WaitVisible(sel) }

// enter signs the browser in by a demo's link.
func (w *world) enter(t *testing.T, ctx context.Context, name string, role staff.Role) {
	t.Helper()
	link, err := w.staff.SignInLink(t.Context(), name, role)
	if err != nil {
		t.Fatal(err)
	}
	do(t, ctx, chromedp.Navigate(link), chromedp.Click(css("form[action^='/enter/'] button.main")), seen("footer[data-ready]"))
}

// Three keys decide a case from the queue, and the next one opens by itself.
func TestThreeKeysDecideACase(t *testing.T) {
	w := newWorld(t)
	q := w.trouble("acct-1", "acct-2", "acct-3")
	ctx := chromium(t)
	w.enter(t, ctx, "ana", staff.Analyst)
	do(t, ctx, browserWindow(1440, "light", "en"), seen("table.queue tr.on"), press("j"), seen(css(`.peek a[href="/cases/`+q[1].ID+`"]`)), // the second row, and its preview
		press("c"), press("1"), press(kb.Enter), seen("article.case .notice.t-good"))
	where := ask(t, ctx, chromedp.Location())
	said := ask(t, ctx, chromedp.Text(css("article.case .notice.t-good")))
	if c := w.kase(q[1].ID); c.Status != cases.StatusClosed || c.Outcome != cases.Confirmed || c.Reason != "place" {
		t.Errorf("the case is %+v", c)
	}
	if !strings.Contains(where, "/cases/"+q[0].ID) || !strings.Contains(said, "A stranger") {
		t.Errorf("then the page is %s and says %q", where, said)
	}
	if w.kase(q[0].ID).Status != cases.StatusOpen || w.kase(q[2].ID).Status != cases.StatusOpen {
		t.Error("another case was closed too")
	}
}

// Keys do nothing while somebody types, and nothing at all when they are switched off.
func TestKeysStayOutOfTheWay(t *testing.T) {
	w := newWorld(t)
	q := w.trouble("acct-1")
	ctx := chromium(t)
	w.enter(t, ctx, "ana", staff.Analyst)
	chosen := chromedp.Evaluate[bool](`!!document.querySelector('input[name=act]:checked')`)
	do(t, ctx, chromedp.Navigate(w.server.URL+"/cases/"+q[0].ID), seen("#note"), chromedp.Focus(css("#note")), press("c"), press("1"))
	if typed := ask(t, ctx, chromedp.Value(css("#note"))); typed != "c1" || ask(t, ctx, chosen) {
		t.Errorf("the note says %q, or an answer was chosen", typed)
	}
	do(t, ctx, chromedp.Navigate(w.server.URL+"/settings"), chromedp.Click(css(`input[name=keys][value="0"]`)),
		chromedp.Click(css("form[action='/settings'] button.main")), seen("footer[data-keys=off]"),
		chromedp.Navigate(w.server.URL+"/cases/"+q[0].ID), seen("#note"), press("c"))
	if ask(t, ctx, chosen) {
		t.Error("a key chose although keys are off")
	}
}

// A case that comes while the queue is open is announced; the rows stay where they are until somebody asks.
func TestNewCasesAreAnnouncedNotPushed(t *testing.T) {
	w := newWorld(t)
	w.trouble("acct-1")
	ctx := chromium(t)
	w.enter(t, ctx, "ana", staff.Analyst)
	do(t, ctx, seen("table.queue tr.on"))
	w.happen(takeover("acct-2")...)
	do(t, ctx, seen("a[data-live]"))
	said := ask(t, ctx, chromedp.Text(css("a[data-live]")))
	if rows := ask(t, ctx, chromedp.Evaluate[int](`document.querySelectorAll('table.queue tbody tr').length`)); !strings.Contains(said, "1 new. Show them") || rows != 1 {
		t.Errorf("it says %q above %d rows", said, rows)
	}
	do(t, ctx, chromedp.Click(css("a[data-live]")), seen("table.queue tbody tr:nth-child(2)"))
}

// browserWindow sets size, colours and language of the browser.
func browserWindow(width int64, scheme, lang string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		headers := network.Headers{}
		if err := json.Unmarshal([]byte(`{"Accept-Language":"`+lang+`"}`), &headers); err != nil {
			return err
		}
		if _, err := cdp.Call(ctx, t, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: headers}); err != nil {
			return err
		}
		if _, err := cdp.Call(ctx, t, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 900,
			DeviceScaleFactor: 1}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return err
	})
}

// Pages fit their window: nothing scrolls sideways but what is made for it.
func TestPagesFitTheirWindow(t *testing.T) {
	w := newWorld(t)
	q := w.trouble("acct-20417", "acct-18822", "acct-20950")
	invite, err := w.staff.Invite(t.Context(), "li.wen", staff.Analyst, "operator")
	if err != nil {
		t.Fatal(err)
	}
	ctx := chromium(t)
	dir := os.Getenv("DOORWARD_SHOTS")
	look := func(name, url, lang string, width int64, scheme string, whole bool) {
		t.Helper()
		do(t, ctx, browserWindow(width, scheme, lang), chromedp.Navigate(url), chromedp.WaitReady(css("main")))
		if over := ask(t, ctx, chromedp.Evaluate[float64](`document.documentElement.scrollWidth - document.documentElement.clientWidth`)); over > 0 {
			t.Errorf("%s at %d px in %s is %v px too wide", name, width, lang, over)
		}
		// what scrolls inside a page may: but a story's findings have to be in sight
		if cut := ask(t, ctx, chromedp.Evaluate[bool](`[...document.querySelectorAll('table.story')].some(t => t.scrollWidth > t.parentElement.clientWidth)`)); cut {
			t.Errorf("%s at %d px in %s cuts the story's table", name, width, lang)
		}
		if dir == "" {
			return
		}
		take := chromedp.CaptureScreenshot()
		if whole {
			take = chromedp.FullScreenshot(100)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".png"), ask(t, ctx, take), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	look("sign-in", w.server.URL+"/sign-in", "en", 768, "light", false)
	look("join", invite, "en", 768, "light", false)
	next, err := w.staff.Start(t.Context(), invite[strings.LastIndex(invite, "/")+1:], "four words that do not belong")
	if err != nil {
		t.Fatal(err)
	}
	look("join-app", w.server.URL+"/join/"+next, "de", 768, "dark", false)
	w.enter(t, ctx, "ana", staff.Admin)
	for _, s := range []struct{ name, path string }{{"queue", "/"}, {"case", "/cases/" + q[0].ID}, {"account", "/account?id=acct-20417"}, {"rules", "/rules"},
		{"journal", "/journal"}, {"staff", "/staff"}, {"settings", "/settings"}, {"lookup", "/account"}} {
		look(s.name+"-1440-light-en", w.server.URL+s.path, "en", 1440, "light", s.name == "case")
		look(s.name+"-768-dark-de", w.server.URL+s.path, "de", 768, "dark", s.name == "case")
		look(s.name+"-1440-dark-zh", w.server.URL+s.path, "zh-Hans", 1440, "dark", false)
	}
}
