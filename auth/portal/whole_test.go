package portal

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"doorward/auth"
	"doorward/auth/recovery"
	"doorward/auth/totp"
	"doorward/store"
	"doorward/store/badger"
	"doorward/store/storetest"
)

// house is a portal over the real recovery, apps, codes and store, with a shard that applies its inbox at once.
type house struct {
	t       *testing.T
	db      *badger.DB
	keys    *auth.Keys
	flow    *recovery.Flow
	factors *totp.Factors
	codes   *totp.Codes
	b       *bench

	mu     sync.Mutex
	at     time.Time
	taken  uint64
	mailed string
}

const owner auth.AccountID = "wei.zhang"

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) now() time.Time       { h.mu.Lock(); defer h.mu.Unlock(); return h.at }
func (h *house) wait(d time.Duration) { h.mu.Lock(); defer h.mu.Unlock(); h.at = h.at.Add(d) }

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, db: storetest.Open(t), at: start.Add(-48 * time.Hour)}
	var err error
	h.keys, err = auth.NewKeys([]byte("0123456789abcdef0123456789abcdef"))
	h.must(err)
	c := totp.Config{Store: h.db, Keys: h.keys, Now: h.now, Issuer: "Harbour"}
	h.factors, err = totp.NewFactors(c)
	h.must(err)
	h.codes = totp.NewCodes(c)
	desk := auth.NewDesk(auth.DeskConfig{Store: h.db, Now: h.now, Home: func(context.Context, auth.AccountID) (int, error) { return 0, nil },
		Wake: func(int) { h.apply() }})
	h.flow = recovery.NewFlow(recovery.FlowConfig{Store: h.db, Keys: h.keys, TOTP: h.factors, Codes: h.codes, Desk: desk, Now: h.now, Wait: time.Minute,
		SendCode: func(_ context.Context, _ auth.AccountID, _, code string) error { h.mailed = code; return nil }})
	h.b = &bench{t: t, keys: h.keys, asked: make(chan string, 10), address: "203.0.113.7:1"}
	h.b.portal, err = New(Config{Name: "Harbour", PublicURL: site, Now: h.now, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Engine: h.db, Keys: h.keys,
		Flow: h.flow, Ask: func(context.Context, auth.AccountID) error { return nil }, Again: func(context.Context, string) error { return nil },
		Asked: func(context.Context, string) (Event, error) { return Event{}, ErrUnknown }, Answer: func(context.Context, string, bool) error { return nil },
		Enrol: h.factors.Enrol, Confirm: h.factors.Confirm, OfferCodes: h.codes.Offer})
	h.must(err)
	h.b.h = h.b.portal.Handler()
	return h
}

// apply is the shard: it takes what is new in its inbox.
func (h *house) apply() {
	var lines [][]byte
	inbox := string(store.Inbox(0))
	h.must(h.db.Scan(context.Background(), store.Key(store.KindLog, inbox, h.taken+1), store.Key(store.KindLog, inbox, ^uint64(0)), false,
		func(_, v []byte) bool { lines = append(lines, append([]byte(nil), v...)); return true }))
	for _, l := range lines {
		_, line, err := store.DecodeLine(l)
		h.must(err)
		act, err := auth.DecodeAct(line)
		h.must(err)
		h.taken++
		a := h.account()
		next, refused := a.Do(act, h.taken, 72*time.Hour)
		h.put(store.Key(store.KindOutcome, act.ID), auth.Outcome{Applied: refused == "", Refused: refused, Sequence: h.taken, Record: next.Record()})
		h.put(store.Key(store.KindAccount, string(owner)), next)
	}
}

func (h *house) account() auth.Account {
	a, _, err := auth.LoadAccount(context.Background(), h.db, owner)
	h.must(err)
	return a
}

func (h *house) put(key []byte, v any) {
	h.t.Helper()
	value, err := json.Marshal(v)
	h.must(err)
	_, err = h.db.Commit(context.Background(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: key, Value: value}}})
	h.must(err)
}

// owned gives the owner an app, codes and an address, two days before start.
func (h *house) owned() (uri string, codes []string) {
	ctx := context.Background()
	e, err := h.factors.Enrol(ctx, owner)
	h.must(err)
	first, err := totp.CodeAt(e.URI, h.now())
	h.must(err)
	if r, err := h.factors.Confirm(ctx, owner, first); err != nil || r.Reason != totp.Accepted {
		h.t.Fatal(r, err)
	}
	codes, err = h.codes.Issue(ctx, owner)
	h.must(err)
	pair, err := auth.ProfilePair(h.keys, owner, &auth.Profile{Emails: []auth.Contact{{Address: "wei@old.example", Since: h.now().UnixMilli()}}})
	h.must(err)
	_, err = h.db.Commit(ctx, &store.Batch{Shard: store.NoShard, Put: []store.Pair{pair}})
	h.must(err)
	h.wait(start.Sub(h.now()))
	return e.URI, codes
}

// lock locks the account as its shard does, and gives the link's path.
func (h *house) lock(changes ...auth.ChangeKind) string {
	id := recovery.ID("finding " + h.now().String())
	a := h.account()
	a.ID = owner
	a, ok := a.Judge(auth.Verdict{Response: auth.Lock, Findings: []string{"f-1"}, Reason: auth.Reason{Code: "drained"}, At: h.now(), Event: "s e-1", Recovery: id})
	if !ok {
		h.t.Fatal("not locked")
	}
	for i, k := range changes {
		a = a.Touch(k, h.now().Add(time.Duration(i)*time.Second), "passkey")
	}
	h.put(store.Key(store.KindAccount, string(owner)), a)
	pair, err := recovery.New(id, a, h.now())
	h.must(err)
	_, err = h.db.Commit(context.Background(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{pair}})
	h.must(err)
	h.wait(time.Minute)
	token, err := h.flow.Current(context.Background(), id)
	h.must(err)
	return "/r/" + token
}

func TestWholeWayWithTheApp(t *testing.T) {
	h := newHouse(t)
	uri, _ := h.owned()
	link := h.lock()
	w := h.b.browser("de").get(link).post(link).want("/why", "Ihr Konto ist gesperrt")
	code, err := totp.CodeAt(uri, h.now())
	h.must(err)
	wrong := "000000"
	if code == wrong {
		wrong = "111111"
	}
	w.post("/code", "code", "12345").want("/code", "6 Ziffern").post("/code", "code", wrong).want("/code", "Noch 4 Versuche")
	w.post("/code", "code", code[:3]+" "+code[3:]).want("/done", "Sie sind wieder drin")
	if got := h.account().State; got != auth.Probation {
		t.Fatalf("the account is %s", got)
	}
	shown := 0
	w.get("/codes.txt")
	lines := strings.Split(strings.TrimSpace(w.page), "\n")
	for _, l := range lines[2:] {
		if strings.TrimSpace(l) != "" {
			shown++
		}
	}
	if shown != 10 {
		t.Fatalf("%d codes in %q", shown, w.page)
	}
	w.post("/codes/saved").want("/done", "Gerade gespeichert")
	if s, err := h.codes.Standing(context.Background(), owner); err != nil || !s.Enrolled || s.Left != 10 || s.Offered {
		t.Errorf("codes stand at %+v (%v)", s, err)
	}
	// the same code, on the same link, later: the way back is over, and nothing is shown to who only has the link
	h.b.browser("de").get(link).post(link).want("/done", "Hier ist nichts mehr zu tun").lacks(lines[2])
}

func TestWholeWayAfterAFactorWasTouched(t *testing.T) {
	h := newHouse(t)
	uri, codes := h.owned()
	link := h.lock(auth.ChangedFactor, auth.ChangedEmail)
	w := h.b.browser("en").get(link).post(link).want("/why").get("/code").want("/recovery-code")
	code, err := totp.CodeAt(uri, h.now())
	h.must(err)
	w.post("/code", "code", code).want("/recovery-code")
	w.post("/recovery-code", "recovery_code", strings.ToLower(codes[3])).want("/mail-code", "w•••@o•••.example")
	w.post("/mail-code", "mail_code", "00000000").want("/mail-code", "There is no code to compare with")
	w.post("/mail-code/send", "address", "0").want("/mail-code", "We sent it to w•••@o•••.example").post("/mail-code", "mail_code", h.mailed)
	w.want("/password").post("/password").want("/review", "Mail address changed", "passkey")
	w.post("/review").want("/review", "One answer is missing").get("/review/none").post("/review", "all", "not_mine").want("/stopped", "1 day left")
	if got := h.account().State; got != auth.Recovering {
		t.Fatalf("the account is %s", got)
	}
	w.post("/stopped").want("/stopped", "1 day left")

	h.wait(24*time.Hour - 2*time.Minute)
	token, err := h.flow.Current(context.Background(), h.account().Recovery)
	h.must(err)
	late := h.b.browser("en").get("/r/"+token).post("/r/"+token).want("/why").get("/stopped").want("/stopped", "left")
	h.wait(3 * time.Minute)
	late.get("/stopped").want("/stopped", "The wait is over").post("/stopped").want("/done").lacks("recovery codes")
	if got := h.account().State; got != auth.Probation {
		t.Errorf("the account is %s", got)
	}
}

func TestWholeWayWithNothingLeft(t *testing.T) {
	h := newHouse(t)
	link := h.lock()
	w := h.b.browser("en").get(link).post(link).want("/why").get("/code").want("/stopped", "A person has to help here", Reference(h.account().Recovery))
	w.post("/code", "code", "123456").want("/stopped")
}
