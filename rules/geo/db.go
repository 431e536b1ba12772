package geo

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"
)

// DB answers where an address is from the operator's files. A nil DB knows nothing. Safe for use by many goroutines.
type DB struct {
	readers []*maxminddb.Reader
}

// Open reads the databases, mmdb files of cities or countries; of several, the first that knows an address answers. No path: a nil DB. The
// files are read whole rather than mapped: an update written over a mapped file would kill the process.
func Open(paths []string) (*DB, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	db := new(DB)
	for _, path := range paths {
		r, err := openFile(path)
		if err != nil {
			return nil, fmt.Errorf("geo database %s: %w", path, err)
		}
		db.readers = append(db.readers, r)
	}
	return db, nil
}

func openFile(path string) (*maxminddb.Reader, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		var at *os.PathError
		if errors.As(err, &at) {
			err = at.Err // the path is in the caller's sentence
		}
		return nil, err
	}
	r, err := maxminddb.OpenBytes(content)
	if err != nil {
		return nil, fmt.Errorf("not an mmdb file, which is what it must be: %w", err)
	}
	return r, holdsPlaces(r)
}

// holdsPlaces looks at the first networks: a database of providers or proxies opens as well as one of cities, and would answer nothing
// for ever.
func holdsPlaces(r *maxminddb.Reader) error {
	const enough = 1000
	n := 0
	for result := range r.Networks() {
		if err := result.Err(); err != nil {
			return fmt.Errorf("is damaged: %w", err)
		}
		if place(result) != (Place{}) {
			return nil
		}
		if n++; n == enough {
			break
		}
	}
	return fmt.Errorf("it holds neither cities nor countries (its type is %q): use a city or country database", r.Metadata.DatabaseType)
}

// Lookup returns where the address is; the empty Place when no database knows, or when it is no address.
func (db *DB) Lookup(ip string) Place {
	if db == nil || ip == "" {
		return Place{}
	}
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return Place{}
	}
	addr = addr.Unmap()
	for _, r := range db.readers {
		if p := place(r.Lookup(addr)); p != (Place{}) {
			return p
		}
	}
	return Place{}
}

// The paths at which the known makers of databases keep a place (MaxMind, DB-IP and IP2Location nest, others are flat).
var (
	countryPaths   = [][]any{{"country", "iso_code"}, {"country_code"}, {"country"}}
	cityPaths      = [][]any{{"city", "names", "en"}, {"city"}}
	latitudePaths  = [][]any{{"location", "latitude"}, {"latitude"}}
	longitudePaths = [][]any{{"location", "longitude"}, {"longitude"}}
)

func place(r maxminddb.Result) Place {
	if r.Err() != nil || !r.Found() {
		return Place{}
	}
	var p Place
	if country := strings.ToUpper(first[string](r, countryPaths)); len(country) == 2 {
		p.Country = country
	}
	p.City = first[string](r, cityPaths)
	lat, lon := first[*float64](r, latitudePaths), first[*float64](r, longitudePaths)
	if lat != nil && lon != nil && *lat >= -90 && *lat <= 90 && *lon >= -180 && *lon <= 180 {
		p.Lat, p.Lon, p.HasPoint = *lat, *lon, true
	}
	return p
}

// first returns what stands at the first path that has a value of the type. A value of another type means another maker's layout, so the
// next path is tried.
func first[T comparable](r maxminddb.Result, paths [][]any) T {
	var none T
	for _, path := range paths {
		var v T
		if err := r.DecodePath(&v, path...); err == nil && v != none {
			return v
		}
	}
	return none
}

// Versions name the databases, in their order, each by its type, when it was built (RFC 3339) and how large it is: two that have the same name
// answer alike. A nil DB has none.
func (db *DB) Versions() []string {
	if db == nil {
		return nil
	}
	var all []string
	for _, r := range db.readers {
		built := time.Unix(int64(r.Metadata.BuildEpoch), 0).UTC()
		all = append(all, fmt.Sprintf("%s %s, %d nodes", r.Metadata.DatabaseType, built.Format(time.RFC3339), r.Metadata.NodeCount))
	}
	return all
}
