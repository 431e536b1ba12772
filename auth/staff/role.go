package staff

import "slices"

// Role is what a member of staff is for.
type Role string

const (
	Viewer  Role = "viewer"  // reads
	Analyst Role = "analyst" // reviews cases and moves accounts
	Admin   Role = "admin"   // and invites, changes and disables staff
)

// Roles are all roles, the weakest first.
var Roles = []Role{Viewer, Analyst, Admin}

// Permission is one thing that a request may need.
type Permission string

const (
	Read     Permission = "read"     // queue, cases, accounts, rules, with personal data masked
	Audit    Permission = "audit"    // the journal
	Reveal   Permission = "reveal"   // personal data in full, with a reason
	Decide   Permission = "decide"   // close a case, write a note
	Restrict Permission = "restrict" // lock or limit an account
	Release  Permission = "release"  // unlock an account
	Manage   Permission = "manage"   // invite, disable, change roles
	Self     Permission = "self"     // one's own sign-out and settings
	Anyone   Permission = "anyone"   // pages for those who are not signed in
)

// may is the one table of who may do what. The pages' routes name a permission each; nothing else decides.
var may = map[Role][]Permission{
	Viewer:  {Self, Read, Audit},
	Analyst: {Self, Read, Audit, Reveal, Decide, Restrict, Release},
	Admin:   {Self, Read, Audit, Reveal, Decide, Restrict, Release, Manage},
}

// Can says whether a role has a permission; an unknown role has none.
func Can(r Role, p Permission) bool { return slices.Contains(may[r], p) }

// ParseRole reads a role's name.
func ParseRole(s string) (Role, bool) {
	return Role(s), slices.Contains(Roles, Role(s))
}
