package geo

import (
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// write makes a database of network -> record and returns its path.
func write(t *testing.T, kind string, networks map[string]mmdbtype.Map) string {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: kind, RecordSize: 24, IncludeReservedNetworks: true, BuildEpoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	for network, record := range networks {
		_, prefix, err := net.ParseCIDR(network)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Insert(prefix, record); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), kind+".mmdb")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func country(code string) mmdbtype.Map {
	return mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String(code)}}
}

func city(code, name string, lat, lon float64) mmdbtype.Map {
	m := country(code)
	m["city"] = mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String(name), "fr": mmdbtype.String("x")}}
	m["location"] = mmdbtype.Map{"latitude": mmdbtype.Float64(lat), "longitude": mmdbtype.Float64(lon)}
	return m
}

func TestLookup(t *testing.T) {
	cities := write(t, "Test-City", map[string]mmdbtype.Map{
		"192.0.2.0/25":    city("FR", "Lyon", 45.75, 4.85),
		"2001:db8::/48":   city("JP", "Osaka", 34.69, 135.5),
		"198.51.100.0/24": {"city": mmdbtype.Map{}}, // known, but nowhere
		"203.0.113.0/25":  city("GH", "Tema", 5.67, 0),
	})
	countries := write(t, "Test-Country", map[string]mmdbtype.Map{
		"192.0.2.0/24":    country("DE"),
		"198.51.100.0/24": country("es"),
	})
	flat := write(t, "Test-Flat", map[string]mmdbtype.Map{
		"203.0.113.0/24": {"country_code": mmdbtype.String("CN"), "city": mmdbtype.String("Xiamen"),
			"latitude": mmdbtype.Float32(24.5), "longitude": mmdbtype.Float32(118)},
	})
	db, err := Open([]string{cities, countries, flat})
	if err != nil {
		t.Fatal(err)
	}
	for ip, want := range map[string]Place{
		"192.0.2.9":        {Lat: 45.75, Lon: 4.85, HasPoint: true, City: "Lyon", Country: "FR"},
		"::ffff:192.0.2.9": {Lat: 45.75, Lon: 4.85, HasPoint: true, City: "Lyon", Country: "FR"},
		"2001:db8::7":      {Lat: 34.69, Lon: 135.5, HasPoint: true, City: "Osaka", Country: "JP"},
		"192.0.2.200":      {Country: "DE"}, // the second file answers
		"198.51.100.1":     {Country: "ES"}, // the first knows the network, but no place
		"203.0.113.1":      {Lat: 5.67, HasPoint: true, City: "Tema", Country: "GH"},
		"203.0.113.200":    {Lat: 24.5, Lon: 118, HasPoint: true, City: "Xiamen", Country: "CN"},
		"10.0.0.1":         {},
		"2001:db9::1":      {},
		"not an address":   {},
		"":                 {},
	} {
		if got := db.Lookup(ip); got != want {
			t.Errorf("Lookup(%q) = %+v, want %+v", ip, got, want)
		}
	}
	if got := (*DB)(nil).Lookup("192.0.2.9"); got != (Place{}) {
		t.Errorf("a nil DB answers %+v", got)
	}
}

func TestOpenNamesTheFileAndTheFault(t *testing.T) {
	if db, err := Open(nil); db != nil || err != nil {
		t.Errorf("Open(nil) = %v, %v: want no database", db, err)
	}
	text := filepath.Join(t.TempDir(), "text.mmdb")
	if err := os.WriteFile(text, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	providers := write(t, "Test-ASN", map[string]mmdbtype.Map{"192.0.2.0/24": {"autonomous_system_number": mmdbtype.Uint32(64500)}})
	for path, want := range map[string]string{
		filepath.Join(t.TempDir(), "none.mmdb"): "no such file",
		text:                                    "not an mmdb file",
		providers:                               `neither cities nor countries (its type is "Test-ASN")`,
	} {
		_, err := Open([]string{path})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("Open(%s): %v, want the path and %q", path, err, want)
		}
	}
}

func point(lat, lon float64) Place { return Place{Lat: lat, Lon: lon, HasPoint: true} }

func TestKilometres(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b Place
		want float64
	}{
		{"one degree of the equator", point(0, 0), point(0, 1), 111.19508},
		{"pole to pole", point(90, 0), point(-90, 0), 20015.11444},
		{"antipodes", point(0, 0), point(0, 180), 20015.11444},
		{"across the date line", point(0, 179.5), point(0, -179.5), 111.19508},
		{"London to New York", point(51.5007, -0.1246), point(40.6892, -74.0445), 5574.84},
		{"nowhere", point(51, 0), Place{}, 0},
		{"same place", point(12.3, 45.6), point(12.3, 45.6), 0},
	} {
		if got := Kilometres(c.a, c.b); math.Abs(got-c.want) > 0.01 {
			t.Errorf("%s: %.5f km, want %.5f", c.name, got, c.want)
		}
		if there, back := Kilometres(c.a, c.b), Kilometres(c.b, c.a); there != back {
			t.Errorf("%s: %v there, %v back", c.name, there, back)
		}
	}
}

func TestMerge(t *testing.T) {
	lyon := Place{Lat: 45.75, Lon: 4.85, HasPoint: true, City: "Lyon", Country: "FR"}
	for _, c := range []struct {
		name                      string
		platform, byAddress, want Place
	}{
		{"only the address", Place{}, lyon, lyon},
		{"only the platform", lyon, Place{}, lyon},
		{"the platform knows better", point(48.85, 2.35), lyon, Place{Lat: 48.85, Lon: 2.35, HasPoint: true, Country: "FR"}},
		{"same country: filled in", Place{Country: "FR"}, lyon, lyon},
		{"other city: its point is not taken", Place{Country: "FR", City: "Paris"}, lyon, Place{Country: "FR", City: "Paris"}},
		{"other country: nothing is mixed", Place{Country: "DE"}, lyon, Place{Country: "DE"}},
	} {
		if got := Merge(c.platform, c.byAddress); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
