package geo

import "math"

// earthRadius is the mean radius of the earth, km (IUGG: (2a+b)/3 of the GRS 80 ellipsoid).
const earthRadius = 6371.0088

// Kilometres is the great-circle distance of two places by the haversine formula, 0 to 20015.1; 0 when either has no point. The products
// are rounded one by one, so that a processor with fused multiply-add gets the same bits.
func Kilometres(a, b Place) float64 {
	if !a.HasPoint || !b.HasPoint {
		return 0
	}
	const radian = math.Pi / 180
	phi1, phi2 := float64(a.Lat*radian), float64(b.Lat*radian)
	sinPhi := math.Sin(float64((phi2 - phi1) / 2))
	sinLambda := math.Sin(float64(float64(b.Lon-a.Lon) * radian / 2))
	along := float64(sinPhi * sinPhi)
	across := float64(float64(math.Cos(phi1)*math.Cos(phi2)) * float64(sinLambda*sinLambda))
	return 2 * earthRadius * math.Asin(math.Min(1, math.Sqrt(along+across)))
}

// Merge combines what the platform says of an event's place with what its address says. The platform knows better; the address fills in
// what it leaves out, unless the two name different countries: half of one place and half of another is no place.
func Merge(platform, byAddress Place) Place {
	if platform.Country != "" && byAddress.Country != "" && platform.Country != byAddress.Country {
		return platform
	}
	merged := platform
	if merged.Country == "" {
		merged.Country = byAddress.Country
	}
	if !merged.HasPoint && (merged.City == "" || merged.City == byAddress.City) {
		merged.Lat, merged.Lon, merged.HasPoint = byAddress.Lat, byAddress.Lon, byAddress.HasPoint
	}
	if merged.City == "" && !platform.HasPoint {
		merged.City = byAddress.City
	}
	return merged
}
