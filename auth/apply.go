package auth

import "time"

// Do moves the account as an act asks. refused is empty, or one of Refused* with next as it was. An act that asks for what is so already
// (lock when locked) is applied and changes nothing: its version stays, and its maker learns that it is so. sequence is the shard's;
// probation is how long a recovered account stays guarded, DefaultProbation when not positive.
func (a Account) Do(act Act, sequence uint64, probation time.Duration) (next Account, refused string) {
	if act.Saw != 0 && act.Saw != a.Version {
		return a, RefusedVersion
	}
	n := a
	var changed, ok bool
	switch act.Kind {
	case ActLock, ActDenied:
		changed, ok = n.doLock(act)
	case ActLimit:
		changed, ok = n.doLimit(act)
	case ActUnlock:
		changed, ok = n.doUnlock(act, sequence)
	case ActVerified:
		return a.doVerified(act, sequence)
	case ActBegin, ActGiveUp, ActRecovered:
		if act.Recovery != "" && act.Recovery != a.Recovery {
			return a, RefusedUnknown // an older way back, or another account's
		}
		changed, ok = n.doRecovery(act, sequence, probation)
	case ActExpire:
		if n, changed = a.Expire(act.At); !changed {
			return a, RefusedState
		}
		n.Sequence = sequence
		return n, ""
	case ActAdopt:
		return a.adopt(act, sequence)
	case ActApproved, ActTrust, ActCaseClose, ActCaseNote:
		return a, ""
	}
	switch {
	case !ok:
		return a, RefusedState
	case !changed:
		return a, ""
	}
	n.Sequence = sequence
	n.Version++
	return n, ""
}

// opened gives an act that restricts its cause and its way back.
func (a *Account) opened(act Act) {
	a.suspect(time.Time{}, act.ID, act.At)
	if act.Case != "" {
		a.Case = act.Case
	}
	if a.Recovery = act.Recovery; a.Recovery == "" {
		a.Recovery = RecoveryID(act.ID)
	}
}

// doLock: what staff lock ends a recovery that is under way (its owner may begin again); what an owner denies only raises Before, because
// he says it in the middle of his own recovery.
func (a *Account) doLock(act Act) (changed, ok bool) {
	was := a.restriction()
	if was == Locked && (a.State == Locked || act.Kind == ActDenied) {
		return false, true
	}
	if act.Kind == ActDenied {
		a.restrict(Locked, act.At)
	} else {
		a.State, a.Before, a.Since = Locked, "", act.At
	}
	a.Until, a.Challenge = time.Time{}, false
	a.Reason = actReasons[act.Kind]
	if was != Locked && was != Limited {
		a.opened(act)
	}
	return true, true
}

func (a *Account) doLimit(act Act) (changed, ok bool) {
	switch a.State {
	case Locked, Recovering:
		return false, false // it would loosen, or cut into a recovery: lock or unlock says what is meant
	case Limited:
		if a.Until.IsZero() {
			return false, true
		}
		a.Until = time.Time{}
		return true, true
	}
	a.restrict(Limited, act.At)
	a.Until = time.Time{}
	a.Reason = actReasons[act.Kind]
	a.opened(act)
	return true, true
}

func (a *Account) doUnlock(act Act, sequence uint64) (changed, ok bool) {
	if a.restriction() == Open {
		return false, true
	}
	a.settle()
	a.State, a.Since = Open, act.At
	a.Floor, a.FloorSequence = act.At, sequence
	return true, true
}

// doVerified: the right factor ends a challenge, wherever one is asked for, and nothing else.
func (a Account) doVerified(act Act, sequence uint64) (Account, string) {
	if !a.Challenge {
		return a, RefusedState
	}
	n := a.answered(act.At)
	n.Sequence = sequence
	return n, ""
}

func (a *Account) doRecovery(act Act, sequence uint64, probation time.Duration) (changed, ok bool) {
	was := a.restriction()
	if was != Limited && was != Locked {
		return false, false
	}
	switch act.Kind {
	case ActBegin:
		if a.State == Recovering {
			return false, true
		}
		a.Before, a.State, a.Since = a.State, Recovering, act.At
	case ActGiveUp:
		if a.State != Recovering {
			return false, false
		}
		a.State, a.Before, a.Since = a.Before, "", act.At
	case ActRecovered:
		if probation <= 0 {
			probation = DefaultProbation
		}
		a.settle()
		a.State, a.Since, a.Until = Probation, act.At, act.At.Add(probation)
		a.Recovered = act.At
		a.Floor, a.FloorSequence = act.At, sequence
	}
	return true, true
}

// actReasons are what owners are told of an act that restricts, in the voice of the sites.
var actReasons = map[ActKind]Reason{
	ActLock: {"locked_by_staff", map[string]string{
		"en":      "Our security team has locked your account to protect it.",
		"zh-Hans": "为保护您的账户，我们的安全人员已将其锁定。",
		"es":      "Nuestro equipo de seguridad ha bloqueado tu cuenta para protegerla.",
		"fr":      "Notre équipe de sécurité a bloqué votre compte pour le protéger.",
		"de":      "Unser Sicherheitsteam hat Ihr Konto zu Ihrem Schutz gesperrt.",
	}},
	ActLimit: {"limited_by_staff", map[string]string{
		"en":      "Our security team has paused payments and changes on your account.",
		"zh-Hans": "我们的安全人员已暂停您账户的付款和资料修改。",
		"es":      "Nuestro equipo de seguridad ha pausado los pagos y los cambios en tu cuenta.",
		"fr":      "Notre équipe de sécurité a suspendu les paiements et les modifications sur votre compte.",
		"de":      "Unser Sicherheitsteam hat Zahlungen und Änderungen in Ihrem Konto angehalten.",
	}},
	ActDenied: {"owner_denied", map[string]string{
		"en":      "You told us that this was not you. Your account is locked to protect it.",
		"zh-Hans": "您告诉我们那不是您本人的操作，账户已锁定以作保护。",
		"es":      "Nos dijiste que no fuiste tú. Tu cuenta está bloqueada para protegerla.",
		"fr":      "Vous nous avez dit que ce n’était pas vous. Votre compte est bloqué pour le protéger.",
		"de":      "Sie haben uns gesagt, dass Sie das nicht waren. Ihr Konto ist zu Ihrem Schutz gesperrt.",
	}},
}
