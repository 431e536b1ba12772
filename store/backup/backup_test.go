package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"doorward/store"
	"doorward/store/badger"
	"doorward/store/storetest"
)

// filled is a store with records of several sizes and a journal.
func filled(t testing.TB) *badger.DB {
	db := storetest.Open(t)
	b := &store.Batch{Shard: store.NoShard}
	for i := range 300 {
		b.Put = append(b.Put, store.Pair{Key: store.Key(store.KindAccount, fmt.Sprint("acct-", i)), Value: bytes.Repeat([]byte{byte(i)}, i)})
		b.Append = append(b.Append, store.Append{Log: store.Journal, Value: fmt.Append(nil, "line ", i)})
	}
	b.Put = append(b.Put, store.Pair{Key: store.Key(store.KindDelta, store.Shard(0), uint64(1)), Value: bytes.Repeat([]byte("w"), 700<<10)},
		store.Pair{Key: store.Key(store.KindDead, "empty"), Value: []byte{}})
	if _, err := db.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return db
}

var header = Header{Format: 1, Store: "s-1", Made: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Check: "ab", Taken: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)}

func written(t testing.TB, db *badger.DB) ([]byte, Summary) {
	t.Helper()
	var b bytes.Buffer
	s, err := Write(t.Context(), &b, db, header, badger.Own, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), s
}

// read is everything that a backup holds.
func read(b io.Reader) (h Header, all map[string]string, s Summary, err error) {
	in, h, err := Begin(b)
	if err != nil {
		return h, nil, s, err
	}
	all = map[string]string{}
	s, err = in.Rest(func(k, v []byte) error { all[string(k)] = string(v); return nil })
	return h, all, s, err
}

func TestRoundTrip(t *testing.T) {
	db := filled(t)
	b, wrote := written(t, db)
	h, got, s, err := read(bytes.NewReader(b))
	if err != nil || h != header || s != wrote || s.Entries != 300 || len(s.Head) != 64 {
		t.Fatalf("%+v %+v %v, wrote %+v", h, s, err, wrote)
	}
	want := map[string]string{}
	if err := db.Scan(t.Context(), nil, nil, false, func(k, v []byte) bool {
		if !badger.Own(k) {
			want[string(k)] = string(v)
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if len(want) < 600 || len(got) != len(want) || uint64(len(got)) != s.Records {
		t.Errorf("%d records, want %d, told %d", len(got), len(want), s.Records)
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%q differs", k)
		}
	}
}

// TestCutAndAltered: no beginning of a backup, and no backup with another byte in it, is taken for whole; sealed or not.
func TestCutAndAltered(t *testing.T) {
	b, _ := written(t, filled(t))
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	w, err := Seal(&file, key.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	open := func(b []byte) error {
		r, err := Open(bytes.NewReader(b), key)
		if err != nil {
			return err
		}
		_, _, _, err = read(r)
		return err
	}
	plain := func(b []byte) error { _, _, _, err := read(bytes.NewReader(b)); return err }
	for name, c := range map[string]struct {
		b    []byte
		read func([]byte) error
	}{"plain": {b, plain}, "sealed": {file.Bytes(), open}} {
		if err := c.read(c.b); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for n := 0; n < len(c.b); n += 1 + len(c.b)/200 {
			if c.read(c.b[:n]) == nil {
				t.Errorf("%s: cut at %d of %d it is taken", name, n, len(c.b))
			}
			altered := bytes.Clone(c.b)
			altered[n] ^= 1
			if c.read(altered) == nil {
				t.Errorf("%s: with a bit of byte %d turned it is taken", name, n)
			}
		}
		if c.read(append(bytes.Clone(c.b), 'x')) == nil {
			t.Errorf("%s: with a byte behind its end it is taken", name)
		}
	}
	if err := plain(b[:len(b)-1]); !errors.Is(err, ErrDamaged) {
		t.Errorf("without its last byte: %v", err)
	}
	if err := plain(bytes.Replace(b, []byte("backup 1"), []byte("backup 2"), 1)); !errors.Is(err, ErrNewer) {
		t.Errorf("of a later form: %v", err)
	}
}

func TestWrongKey(t *testing.T) {
	mine, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	sealed := func(r Recipient) []byte {
		var file bytes.Buffer
		w, err := Seal(&file, r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, "secret"); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return file.Bytes()
	}
	right, alsoRight, err := passphrase([]byte("correct horse battery\nsecond line"), 10)
	if err != nil {
		t.Fatal(err)
	}
	_, wrong, err := passphrase([]byte("correct horse batteri"), 10)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file []byte
		with Identity
		ok   bool
	}{
		"right key": {sealed(mine.Recipient()), mine, true}, "another key": {sealed(mine.Recipient()), theirs, false},
		"right passphrase": {sealed(right), alsoRight, true}, "another passphrase": {sealed(right), wrong, false},
		"a key for a passphrase": {sealed(right), mine, false}, "a passphrase for a key": {sealed(mine.Recipient()), wrong, false},
	} {
		if _, err := Open(bytes.NewReader(c.file), c.with); c.ok != (err == nil) || !c.ok && !errors.Is(err, ErrNotOurs) {
			t.Errorf("%s: %v", name, err)
		}
		if bytes.Contains(c.file, []byte("secret")) {
			t.Errorf("%s: what is sealed can be read", name)
		}
	}
	for _, p := range []string{"", "short", "\nlong enough below the first line"} {
		if _, _, err := passphrase([]byte(p), 10); err == nil {
			t.Errorf("%q is taken for a passphrase", p)
		}
	}
	for _, k := range []string{"", "age1", mine.String(), "ssh-ed25519 AAAA", mine.Recipient().String() + "\n" + theirs.Recipient().String()} {
		if _, err := ParseRecipient(k); err == nil {
			t.Errorf("%.20q is taken for one public key", k)
		} else if strings.Contains(err.Error(), "AGE-SECRET-KEY-1"+mine.String()[16:]) {
			t.Error("the error shows a private key")
		}
	}
	if _, err := ParseIdentities([]byte("# comment\n" + mine.String())); err != nil {
		t.Error(err)
	}
	if _, err := ParseIdentities([]byte(mine.String() + "x")); err == nil || strings.Contains(err.Error(), mine.String()[16:]) {
		t.Errorf("a damaged key: %v", err)
	}
}

// crafted is a backup made by hand, with a right trailer.
func crafted(records string, more func(*Summary)) []byte {
	h, _ := json.Marshal(header)
	body := magic + string(h) + "\n" + records + "\x00"
	sum := sha256.Sum256([]byte(body))
	s := Summary{SHA256: hex.EncodeToString(sum[:])}
	more(&s)
	t, _ := json.Marshal(s)
	return []byte(body + string(t) + "\n")
}

func TestStrangeRecords(t *testing.T) {
	for name, c := range map[string]struct {
		records string
		n, size uint64
		ok      bool
	}{
		"none":          {"", 0, 0, true},
		"two":           {"\x01\x01aA\x01\x00b", 2, 3, true},
		"the same key":  {"\x01\x01aA\x01\x01aB", 2, 4, false},
		"out of order":  {"\x01\x01bA\x01\x01aB", 2, 4, false},
		"a long key":    {"\x81\x20\x00" + strings.Repeat("k", 4097), 1, 4097, false},
		"a long value":  {"\x01\xff\xff\xff\x7fv", 1, 1, false},
		"another count": {"\x01\x01aA", 2, 2, false},
		"another size":  {"\x01\x01aA", 1, 3, false},
	} {
		b := crafted(c.records, func(s *Summary) { s.Records, s.Bytes = c.n, c.size })
		if _, _, _, err := read(bytes.NewReader(b)); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(crafted("\x01\x01aA\x01\x00b", func(s *Summary) { s.Records, s.Bytes = 2, 3 }))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, all, s, err := read(bytes.NewReader(b))
		if err == nil && (h.Format < 1 || uint64(len(all)) != s.Records) {
			t.Errorf("%+v %+v", h, s)
		}
	})
}
