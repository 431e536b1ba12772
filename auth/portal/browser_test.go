package portal

import (
	"context"
	"errors"
	"flag"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"
)

// chromium makes TestInABrowser walk the pages in a real browser; without it the same way is walked by TestBackInWithTheApp.
var chromium = flag.String("chromium", "", "`path` of a Chromium to walk the pages in")

// step is one thing that a person does, and the heading of the page it leads to.
type step struct{ press, field, value, heading string }

// The way back in, on a phone's screen, without JavaScript, over plain http on loopback: the browser keeps the cookie, sends the forms, and
// complains about nothing.
func TestInABrowser(t *testing.T) {
	if *chromium == "" {
		return
	}
	b, public := serve(t)
	ctx, said := openBrowser(t)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile), chromedp.Navigate(public+"/r/good")); err != nil {
		t.Fatal(err)
	}
	const main = "main .btn.main"
	for _, s := range []step{
		{press: main, heading: "Your account is locked"},
		{press: main, heading: "Type the code"},
		{press: main, field: "#code", value: "000000", heading: "Type the code"},
		{press: ".lang button[value=de]", heading: "Geben Sie den Code"},
		{press: ".lang button[value=en]", heading: "Type the code"},
		{press: main, field: "#code", value: "123456", heading: "Choose a new password"},
		{press: "form[action='/password'] button", heading: "Which of these were you"},
		{press: "a[href='/review/none']", heading: "None of this was you"},
		{press: "form[action='/review'] button", heading: "You are back in"},
		{press: "form[action='/codes/saved'] button", heading: "You are back in"},
		{press: "form[action='/leave'] button", heading: "Get back into your account"},
	} {
		s.do(t, ctx)
	}
	if got := said(); len(got) > 0 {
		t.Errorf("the browser says %q", got)
	}
	if len(b.flow.got) != 5 {
		t.Errorf("the recovery was told %+v", b.flow.got)
	}
}

func (s step) do(t *testing.T, ctx context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if s.field != "" {
		if err := chromedp.Do(ctx, chromedp.SendKeys(chromedp.CSS(s.field), s.value)); err != nil {
			t.Fatalf("type into %s: %v", s.field, err)
		}
	}
	if strings.HasPrefix(s.press, ".lang") {
		if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS(".lang summary"))); err != nil {
			t.Fatalf("open the languages: %v", err)
		}
	}
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(s.press))); err != nil {
		t.Fatalf("press %s: %v", s.press, err)
	}
	h, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("h1")))
	if err != nil || !strings.Contains(h, s.heading) {
		t.Fatalf("after %s the heading is %q, want %q (%v)", s.press, h, s.heading, err)
	}
}

func serve(t *testing.T) (*bench, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	public := "http://" + l.Addr().String()
	b := newBenchAt(t, public)
	server := &http.Server{Handler: b.h, ReadHeaderTimeout: time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return b, public
}

// openBrowser starts one without JavaScript; said is what it complains about.
func openBrowser(t *testing.T) (ctx context.Context, said func() []string) {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(*chromium), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-background-networking", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	var mu sync.Mutex
	var all []string
	err := chromedp.Listen(ctx, func(e any) {
		if e, ok := e.(*log.EventEntryAdded); ok {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, e.Entry.Text)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	return ctx, func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(all) }
}
