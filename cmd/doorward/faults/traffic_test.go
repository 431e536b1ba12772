//go:build accept

package faults

// trafficRows are what producers do.
var trafficRows = []row{
	{"F-13", "poison", poisonRow},
	{"F-13", "bomb", bombRow},
	{"F-14", "dead", deadRow},
	{"F-15", "clock", clockRow},
}
