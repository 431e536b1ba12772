package history

import "testing"

func FuzzDecode(f *testing.F) {
	l := Line{Account: "a", Source: "s", ID: "i", Raw: []byte("{}")}
	b, err := l.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := decode(b)
		if err != nil {
			return
		}
		again, err := l.encode()
		if err != nil {
			return // a time that JSON reads but does not write
		}
		m, err := decode(again)
		if err != nil || string(m.Raw) != string(l.Raw) || m.Account != l.Account || !m.At.Equal(l.At) {
			t.Errorf("%+v became %+v, %v", l, m, err)
		}
	})
}
