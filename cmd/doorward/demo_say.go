package main

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"doorward/auth"
	"doorward/auth/totp"
	"doorward/detect"
	"doorward/store"
)

func (d *demo) counts() detect.Counts {
	var c detect.Counts
	for _, sh := range d.s.shards {
		c = c.Add(sh.Status().Counts)
	}
	return c
}

func sum(by map[string]uint64) (n uint64) {
	for _, v := range by {
		n += v
	}
	return n
}

// welcome says what there is to see.
func (d *demo) welcome(w io.Writer) {
	r := d.ready
	fmt.Fprintf(w, `Doorward is running on this machine, with simulated people and thieves. Ctrl-C ends it.

A thief has just been stopped. You are the owner of %s:
  why, and back in   %s
  your code          %s
  your mail          %s

You are security staff:
  signed in          %s
  the console        %s

You are an engineer:
  broker             %s   kcat -b %s -t %s -C -o beginning
  states             kcat -b %s -t %s -C
  API                %s   bearer token %s
  metrics            %s/metrics
  why it was locked  doorward explain "%s" --store %s

`, r.Account, r.Recovery, r.Code, r.Outbox, r.Staff, r.Console, r.Broker, r.Broker, detect.TopicEvents, r.Broker, detect.TopicState,
		r.API, r.APIToken, r.Metrics, r.Event, r.Store)
}

// total prints the counts at the end.
func (d *demo) total(ctx context.Context) error {
	c := d.counts()
	from := store.Key(store.KindCase)
	n := 0
	if err := d.s.db.Scan(ctx, from, store.After(from), false, func(_, _ []byte) bool {
		n++
		return true
	}); err != nil {
		return err
	}
	out := demoTotals{demonstration: d.ready, Events: c.Events, Findings: sum(c.ByRule), ByRule: c.ByRule, Locked: c.ByState[auth.Locked],
		Recovered: c.ByState[auth.Probation], Cases: n, FirstFindingMs: d.first.Milliseconds()}
	return d.t.print(out, func(w io.Writer) {
		fmt.Fprintf(w, "\n%d events, %d findings, %d locked, %d back in, %d cases; the first finding came %d ms after the thief's first event\n",
			out.Events, out.Findings, out.Locked, out.Recovered, out.Cases, out.FirstFindingMs)
	})
}

// pages are the outbox, and the code that an owner's authenticator app shows now: only a demo knows that.
func (d *demo) pages() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", d.outbox.Handler())
	mux.HandleFunc("GET /code/{account}", func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		uri, ok := d.seeds[auth.AccountID(r.PathValue("account"))]
		d.mu.Unlock()
		if !ok {
			http.NotFound(w, r)
			return
		}
		code, err := totp.CodeAt(uri, d.s.now())
		if err != nil {
			d.s.log.Error("the demo's code page", "problem", err)
			http.Error(w, "no code", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Refresh", "5")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "%s\n\nThis is what the authenticator app of %s shows now. Only this demo can show it.\n", code, r.PathValue("account"))
	})
	return mux
}
