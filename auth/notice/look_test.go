package notice

import (
	"context"
	"flag"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"doorward/auth"
)

// writePages makes TestLook write a mail and the outbox to a folder, to be looked at in a browser.
var writePages = flag.String("pages", "", "write mails and the outbox's pages to this `folder`")

func TestLook(t *testing.T) {
	o, err := NewOutbox(OutboxConfig{Name: "Harbour", PublicURL: "http://127.0.0.1:8025", Now: time.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{}
	for _, lang := range []string{"en", "zh-Hans", "de"} {
		w := writer(t, &auth.Profile{Language: lang})
		d := due(Locked)
		d.ID = "n-" + lang
		n, _, err := w.Write(context.Background(), d)
		if err != nil {
			t.Fatal(err)
		}
		pages["mail."+lang+".html"] = w.HTML(n)
		if err := o.Send(context.Background(), n, []string{"wei@old.example"}); err != nil {
			t.Fatal(err)
		}
	}
	for name, path := range map[string]string{"outbox-list.html": "/", "outbox-one.html": Sent{Notice: Notice{ID: "n-de"}}.Path()} {
		rec := httptest.NewRecorder()
		o.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "http://127.0.0.1:8025"+path, nil))
		pages[name] = rec.Body.String()
	}
	for name, page := range pages {
		if len(page) < 500 {
			t.Errorf("%s is %q", name, page)
		}
		if *writePages == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(*writePages, name), []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
