// Package web owns what the owner's site and the staff site share: sessions, headers and other guards, the page shell and languages.
//
// Invariant: every answer of a [Site], errors too, carries the strict headers; a request for another host than the public URL's is
// answered 421 and one that a foreign site made is answered 403 before any handler sees it; nothing in a link comes from a request; a
// session's secret is in the browser only, the store holds its hash (store.KindSession: s <site> 0 <SHA-256 of the id>).
//
// How a site is made:
//
//	site, err := web.New(web.Config{
//		Kind: "console", Name: "Harbour", PublicURL: "https://staff.example", Now: time.Now, Log: log,
//		Texts:     texts,     // fs.FS: en.yaml zh-Hans.yaml es.yaml fr.yaml de.yaml, flat keys "queue.title: Queue"
//		Templates: templates, // fs.FS: pages/*.html define "title" and "main"; parts/*.html are shared by all pages
//		Assets:    assets,    // fs.FS or nil: own .js, .css, .svg, .json, served beside doorward.css and icons.svg under one hash
//	})
//	sessions := &web.Sessions{Site: site, Engine: engine, Idle: 15 * time.Minute, Absolute: 12 * time.Hour}
//	mux := http.NewServeMux()
//	mux.Handle("GET /queue", site.Do(func(w http.ResponseWriter, r *http.Request) error {
//		s, err := sessions.Load(r) // nil, nil: nobody is signed in
//		if err != nil || s == nil {
//			...
//		}
//		return site.Show(w, r, web.Page{Template: "queue", Body: view, Chrome: nav})
//	}))
//	mux.Handle("POST /queue", site.Do(func(w http.ResponseWriter, r *http.Request) error {
//		f, err := web.ReadForm(w, r, "case", "outcome") // at most 64 KiB, other and repeated fields refused
//		...
//		return site.Go(w, r, "/queue") // 303
//	}))
//	http.Serve(listener, site.Handler(mux))
//
// What a template gets: a [View] with .Body, .Chrome, .Lang, .Name, and the functions t (text by key: {{t "tries" "n" 3}}, "n" chooses the
// plural), tw (the same with <wbr> at zero-width spaces), icon "lock", door 0 (shut) to 5 (wide open), asset "doorward.css", moment, day,
// clock, when, since, span, stamp, money, country, device; times are shown in their own time.Location. A page may define "head" (module
// scripts: <script type="module" src="{{asset "queue.js"}}"></script>), a site's parts may define "top" and "foot" anew.
package web
