package simulate

import (
	"time"

	"doorward/rules/event"
)

func (a *attack) takeOver(now time.Time) {
	a.worthIt(now)
	s, course, to := a.strangeSeat(), script{a, now}, a.mule()
	course.then(time.Second, time.Minute, func(now time.Time) {
		a.w.say(now, a.victim, s, "account.password.reset_requested", via("recovery"))
	})
	course.then(time.Minute, 4*time.Minute, func(now time.Time) { a.w.say(now, a.victim, s, "account.password.reset", via("recovery")) })
	course.then(10*time.Second, time.Minute, func(now time.Time) {
		a.w.login(now, a.victim, s, event.LoginSucceeded, "password")
		a.w.say(now, a.victim, s, "account.device.added", nil)
	})
	course.then(20*time.Second, 2*time.Minute, func(now time.Time) { a.w.addPayee(now, a.victim, s, to) })
	course.then(20*time.Second, 2*time.Minute, func(now time.Time) { a.take(now, s, "withdrawal", to, 97) })
}

func (a *attack) hijack(now time.Time) {
	a.worthIt(now)
	own, strange := a.w.usualSeat(a.victim, now, a.r), a.strangeSeat()
	a.honest(func() {
		a.w.at(now, func(now time.Time) { a.w.login(now, a.victim, own, event.LoginSucceeded, "password") })
	})
	stolen := own // same session, same device by its cookie
	stolen.ip, stolen.place = strange.ip, strange.place
	course := script{a, now}
	course.then(4*time.Minute, 9*time.Minute, func(now time.Time) { a.w.say(now, a.victim, stolen, "session.seen", nil) })
	course.then(20*time.Second, time.Minute, func(now time.Time) {
		a.w.say(now, a.victim, stolen, "account.profile.changed", func(d *event.Data) { d.Field = "address" })
	})
	to := a.mule()
	course.then(30*time.Second, 2*time.Minute, func(now time.Time) { a.take(now, stolen, "transfer", to, 60) })
}

func (a *attack) newPayee(now time.Time) {
	a.worthIt(now)
	s, course, to := a.w.usualSeat(a.victim, now, a.r), script{a, now}, a.mule()
	course.then(time.Second, 30*time.Second, func(now time.Time) { a.w.login(now, a.victim, s, event.LoginSucceeded, "password") })
	course.then(20*time.Second, 90*time.Second, func(now time.Time) { a.w.addPayee(now, a.victim, s, to) })
	course.then(20*time.Second, 90*time.Second, func(now time.Time) { a.take(now, s, "transfer", to, 92) })
	course.then(20*time.Second, 90*time.Second, func(now time.Time) { a.take(now, s, "transfer", to, 90) })
}

func (a *attack) burst(now time.Time) {
	a.worthIt(now)
	s, course := a.strangeSeat(), script{a, now}
	mules := []payee{a.mule(), a.mule(), a.mule(), a.mule()}
	course.then(time.Second, 30*time.Second, func(now time.Time) { a.w.login(now, a.victim, s, event.LoginSucceeded, "password") })
	for i := range 16 + a.r.IntN(8) {
		course.then(3*time.Second, 10*time.Second, func(now time.Time) { a.take(now, s, "transfer", mules[i%len(mules)], 8) })
	}
}

func (a *attack) oneDevice(now time.Time) {
	s, course := a.strangeSeat(), script{a, now}
	for _, p := range a.targets(10) {
		course.then(30*time.Second, 5*time.Minute, func(now time.Time) { a.w.login(now, p, s, event.LoginSucceeded, "password") })
		course.then(5*time.Second, 30*time.Second, func(now time.Time) { a.w.say(now, p, s, "session.seen", nil) })
	}
}

func (a *attack) denied(now time.Time) {
	a.worthIt(now)
	s, course := a.strangeSeat(), script{a, now}
	shop := payee{id: "shop-" + s.device.id, kind: "merchant", category: "electronics"}
	course.then(time.Second, 30*time.Second, func(now time.Time) { a.w.login(now, a.victim, s, event.LoginSucceeded, "password") })
	var paid string
	course.then(20*time.Second, time.Minute, func(now time.Time) { paid = a.take(now, s, "payment", shop, 35) })
	course.then(2*time.Minute, 20*time.Minute, func(now time.Time) {
		own := a.w.usualSeat(a.victim, now, a.r)
		a.w.say(now, a.victim, own, event.ReportOwnerDenied, func(d *event.Data) { d.RefersTo = paid })
	})
}
