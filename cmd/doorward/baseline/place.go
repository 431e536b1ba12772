package baseline

import (
	"bytes"
	"fmt"
	"net"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"github.com/oschwald/maxminddb-golang/v2"
)

// place is what the mmdb file knows of an address.
type place struct {
	Latitude  float64 `maxminddb:"latitude"`
	Longitude float64 `maxminddb:"longitude"`
	Country   string  `maxminddb:"country_code"`
}

// places makes a small mmdb file in memory: the networks that the load's accounts and attackers have, /20 by /20.
func places() (*maxminddb.Reader, error) {
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "doorward-baseline", IncludeReservedNetworks: true, IPVersion: 4})
	if err != nil {
		return nil, fmt.Errorf("baseline: make an mmdb file: %w", err)
	}
	codes := []string{"SG", "DE", "FR", "ES", "CN", "US", "GB", "BR", "IN", "NG", "JP", "ID"}
	for _, first := range []byte{10, 203} {
		for n := range 1 << 12 {
			network := &net.IPNet{IP: net.IPv4(first, byte(n>>4), byte(n<<4), 0).To4(), Mask: net.CIDRMask(20, 32)}
			at := mmdbtype.Map{"latitude": mmdbtype.Float64(n%120 - 60), "longitude": mmdbtype.Float64(n%340 - 170),
				"country_code": mmdbtype.String(codes[n%len(codes)])}
			if err := tree.Insert(network, at); err != nil {
				return nil, fmt.Errorf("baseline: make an mmdb file: %w", err)
			}
		}
	}
	var file bytes.Buffer
	if _, err := tree.WriteTo(&file); err != nil {
		return nil, fmt.Errorf("baseline: make an mmdb file: %w", err)
	}
	r, err := maxminddb.OpenBytes(file.Bytes())
	if err != nil {
		return nil, fmt.Errorf("baseline: read the mmdb file: %w", err)
	}
	return r, nil
}
