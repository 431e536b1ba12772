package console

import (
	"errors"
	"net/http"
	"time"

	"doorward/auth/staff"
	"doorward/auth/web"
)

type staffBody struct {
	People  []personBody
	Roles   []staff.Role
	Link    string // shown once, to whom it was made
	For     string
	Problem string
	Expires time.Time
}

type personBody struct {
	Name     string
	Role     staff.Role
	Disabled bool
	Joined   time.Time
	SignedIn time.Time
	Self     bool
}

func (c *Console) showStaff(rq *request) error { return c.staffPage(rq, 0, staffBody{}) }

func (c *Console) staffPage(rq *request, status int, b staffBody) error {
	all, err := c.Staff.List(rq.Context())
	if err != nil {
		return err
	}
	b.Roles = staff.Roles
	for _, i := range all {
		b.People = append(b.People, personBody{visible(i.Name), i.Role, i.Disabled, i.Joined.In(rq.view.zone), i.SignedIn.In(rq.view.zone),
			i.Name == rq.me.Name})
	}
	return c.show(rq, "staff", "staff", status, b)
}

// staffProblems are the texts for what can't be done with a member.
var staffProblems = map[error]string{staff.ErrName: "staff.problem.name", staff.ErrRole: "staff.problem.role", staff.ErrUnknown: "staff.problem.unknown",
	staff.ErrLastAdmin: "staff.problem.last"}

func staffProblem(err error) string {
	for known, text := range staffProblems {
		if errors.Is(err, known) {
			return text
		}
	}
	return ""
}

// answer shows the page again with what went wrong, or goes back to it.
func (c *Console) answer(rq *request, err error) error {
	if problem := staffProblem(err); problem != "" {
		return c.staffPage(rq, http.StatusUnprocessableEntity, staffBody{Problem: problem})
	}
	if err != nil {
		return err
	}
	return c.site.Go(rq.w, rq.Request, "/staff")
}

// invite shows the link in the answer to the form, once: it is stored nowhere but as a hash.
func (c *Console) invite(rq *request) error {
	f, err := web.ReadForm(rq.w, rq.Request, "name", "role")
	if err != nil {
		return err
	}
	link, err := c.Staff.Invite(rq.Context(), f["name"], staff.Role(f["role"]), rq.me.By())
	if err != nil {
		return c.answer(rq, err)
	}
	return c.staffPage(rq, 0, staffBody{Link: link, For: visible(f["name"]), Expires: c.now(rq).Add(staff.InviteLife)})
}

func (c *Console) setRole(rq *request) error {
	f, err := web.ReadForm(rq.w, rq.Request, "name", "role")
	if err != nil {
		return err
	}
	return c.answer(rq, c.Staff.SetRole(rq.Context(), f["name"], staff.Role(f["role"]), rq.me.By()))
}

func (c *Console) setAccess(rq *request) error {
	f, err := web.ReadForm(rq.w, rq.Request, "name", "access")
	if err != nil {
		return err
	}
	if f["access"] != "on" && f["access"] != "off" {
		return refused("access is on or off")
	}
	if err := c.Staff.SetDisabled(rq.Context(), f["name"], f["access"] == "off", rq.me.By()); err != nil {
		return c.answer(rq, err)
	}
	return c.answer(rq, c.sessions.EndAll(rq.Context(), f["name"]))
}

type settingsBody struct {
	Zone    string
	Zones   []string
	Dense   bool
	KeysOff bool
	Problem string
	Keys    []key
	Role    staff.Role
}

// offered are the zones that the settings suggest; any IANA name may be typed.
var offered = []string{"UTC", "Asia/Singapore", "Asia/Shanghai", "Asia/Hong_Kong", "Asia/Tokyo", "Europe/London", "Europe/Berlin", "Europe/Paris",
	"Europe/Madrid", "Europe/Zurich", "Europe/Vienna", "America/New_York", "America/Los_Angeles", "America/Mexico_City", "America/Bogota",
	"America/Toronto", "Australia/Sydney"}

func (c *Console) showSettings(rq *request) error { return c.settingsPage(rq, "", 0) }

func (c *Console) settingsPage(rq *request, problem string, status int) error {
	b := settingsBody{Zone: rq.view.zone.String(), Zones: offered, Dense: rq.view.dense, KeysOff: rq.view.keysOff, Problem: problem, Role: rq.me.Role}
	seen := map[string]bool{}
	for _, page := range []string{"queue", "case", ""} {
		for _, k := range keysOf[page] {
			if !seen[k.Text] {
				seen[k.Text] = true
				b.Keys = append(b.Keys, k)
			}
		}
	}
	return c.show(rq, "settings", "settings", status, b)
}

func (c *Console) settings(rq *request) error {
	f, err := web.ReadForm(rq.w, rq.Request, "zone", "dense", "keys")
	if err != nil {
		return err
	}
	z, ok := zone(f["zone"])
	if !ok {
		return c.settingsPage(rq, "settings.problem.zone", http.StatusUnprocessableEntity)
	}
	v := view{zone: z, dense: f["dense"] == "1", keysOff: f["keys"] == "0"}
	http.SetCookie(rq.w, v.cookie(c.secure()))
	return c.site.Go(rq.w, rq.Request, "/settings")
}

// secure says whether browsers reach the site by https.
func (c *Console) secure() bool { return len(c.PublicURL) >= 6 && c.PublicURL[:6] == "https:" }
