package console

import "doorward/auth/staff"

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
