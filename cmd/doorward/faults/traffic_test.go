//go:build accept

package faults

// trafficRows are what producers do.
var trafficRows = []row{
	{"F-12", "order", orderRow},
	{"F-13", "poison", poisonRow},
	{"F-13", "bomb", bombRow},
	{"F-14", "dead", deadRow},
	{"F-15", "clock", clockRow},
	{"F-16/17", "crowd", crowdRow},
	{"issue", "explosion", explosionRow},
}
