package geo

// Place is where an event came from, as exactly as is known.
type Place struct {
	Lat, Lon float64 // degrees, WGS 84
	HasPoint bool
	City     string
	Country  string // ISO 3166-1 alpha-2, upper case; empty: unknown
}
