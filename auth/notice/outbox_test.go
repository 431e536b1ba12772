package notice

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"doorward/auth"
)

func TestOutbox(t *testing.T) {
	o, err := NewOutbox(OutboxConfig{Name: "Harbour", PublicURL: "http://127.0.0.1:8025", Keep: 3, Now: time.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	var send Send = o.Send
	w := writer(t, &auth.Profile{Language: "fr"})
	show := func(path string) (int, string) {
		r := httptest.NewRequest("GET", "http://127.0.0.1:8025"+path, nil)
		rec := httptest.NewRecorder()
		o.Handler().ServeHTTP(rec, r)
		if strings.Contains(rec.Body.String(), "style=") || strings.Contains(rec.Body.String(), "<script") {
			t.Errorf("%s has inline style or script", path)
		}
		return rec.Code, rec.Body.String()
	}
	if code, page := show("/"); code != 200 || !strings.Contains(page, "No message yet") || !strings.Contains(page, "demo only") {
		t.Errorf("empty: %d %s", code, page)
	}
	for i := range 5 {
		d := due(Locked)
		d.ID = fmt.Sprintf("n/%d?#", i)
		n, _, err := w.Write(context.Background(), d)
		if err != nil {
			t.Fatal(err)
		}
		n.Text += "<script>alert(1)</script>"
		for _, to := range []string{"a@b.example", "c@d.example", "a@b.example"} {
			if err := send(context.Background(), n, []string{to}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := o.Newest(); len(got) != 3 || got[0].ID != "n/4?#" || got[2].ID != "n/2?#" || strings.Join(got[0].To, " ") != "a@b.example c@d.example" {
		t.Errorf("keeps %v", got)
	}
	path := func(id string) string { return Sent{Notice: Notice{ID: id}}.Path() }
	if _, page := show("/"); !strings.Contains(page, path("n/4?#")) || strings.Contains(page, path("n/1?#")) {
		t.Errorf("list: %s", page)
	}
	if code, page := show(path("n/4?#")); code != 200 || !strings.Contains(page, `href="https://account.example/r/token-of-r-7"`) || !strings.Contains(page, "a@b.example") ||
		!strings.Contains(page, "demo only") {
		t.Errorf("one: %d %s", code, page)
	}
	if code, _ := show(path("n/1?#")); code != 404 {
		t.Errorf("one that is gone: %d", code)
	}
}
