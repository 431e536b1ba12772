//go:build accept

package faults

// trafficRows are what producers do.
var trafficRows = []row{
	{"F-15", "clock", clockRow},
}
