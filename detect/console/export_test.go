package console

import (
	"time"

	"doorward/auth/staff"
)

// Route is a route as the tests see it.
type Route struct {
	Pattern string
	Needs   staff.Permission
}

// Routes are all routes.
func Routes() (all []Route) {
	for _, r := range routes {
		all = append(all, Route{r.pattern, r.needs})
	}
	return all
}

// LookEvery lets streams look more often than people need.
func (c *Console) LookEvery(d time.Duration) { c.every = d }
