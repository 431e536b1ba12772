package recovery

import (
	"slices"
	"time"

	"doorward/auth"
)

// InputKind is what an owner, or the shard's answer, brings.
type InputKind string

const (
	InputCode         InputKind = "code"
	InputRecoveryCode InputKind = "recovery_code"
	InputMailSend     InputKind = "mail_code_send"
	InputMailCode     InputKind = "mail_code"
	InputPasswordDone InputKind = "password_done"
	InputReviewed     InputKind = "reviewed"
	InputFinish       InputKind = "finish" // after a hold
	InputGiveUp       InputKind = "give_up"
	InputCodesSaved   InputKind = "new_codes_saved"

	inputApplied InputKind = "applied" // the shard has applied the act
	inputRefused InputKind = "refused" // the shard has refused the act
)

// Inputs are all that an owner can bring.
var Inputs = []InputKind{InputCode, InputRecoveryCode, InputMailSend, InputMailCode, InputPasswordDone, InputReviewed, InputFinish,
	InputGiveUp, InputCodesSaved}

// Input is one of them. The portal fills the upper fields; Flow fills the lower ones.
type Input struct {
	Kind     InputKind
	Code     string   // code, recovery_code, mail_code: as typed
	Address  int      // mail_code_send: index into View.Addresses
	Denied   []string // reviewed: ChangeIDs, each change of View.Changes in exactly one of the two
	Approved []string

	Right bool      // the code was right; its burning is in the same transaction
	Mail  *MailCode // mail_code_send: the code that will be sent
	Facts Facts
}

// Refused says why an input had no effect.
type Refused string

const (
	RefusedStep       Refused = "step"       // not what is asked for now
	RefusedState      Refused = "state"      // the account needs no way back, or has another one
	RefusedWrong      Refused = "wrong"      // the code was wrong
	RefusedHold       Refused = "hold"       // the wait is not over
	RefusedIncomplete Refused = "incomplete" // a change has no answer, or two
	RefusedOften      Refused = "often"      // three mail codes an hour
	RefusedBusy       Refused = "busy"       // the act is with the shard
)

// EffectKind is what Flow has to do.
type EffectKind string

const (
	Refuse   EffectKind = "refuse"    // tell why
	MakeAct  EffectKind = "act"       // submit Act with this transaction
	SendMail EffectKind = "send_mail" // after this transaction
	TellHold EffectKind = "tell_hold" // tell the owner, at every address, that a wait has begun
	VoidApp  EffectKind = "void_app"  // the app came after the first bad event: it counts no more
	Unpause  EffectKind = "unpause"   // the app's budget begins anew: another proof has been given
	KeepNew  EffectKind = "keep_new"  // the recovery codes shown last are saved: they replace the old ones
	Done     EffectKind = "done"      // a step is done: an entry in the journal
)

// Effect is one of them.
type Effect struct {
	Kind EffectKind
	Why  Refused
	Act  auth.ActKind
	Step Step
}

// Next is a recovery after an input. It is total: every input in every state gives a recovery and says what follows. now is Flow's clock.
func Next(r Recovery, in Input, now time.Time) (Recovery, []Effect) {
	before := r
	r = r.clone()
	switch in.Kind {
	case inputApplied, inputRefused:
		return answered(r, in.Kind)
	case InputCodesSaved:
		if r.Status != Finished || len(r.Proofs) == 0 { // without proofs it was staff who let the owner in
			return r, refuse(RefusedStep)
		}
		return r, []Effect{{Kind: KeepNew}}
	}
	switch {
	case r.Status == Applying:
		return r, refuse(RefusedBusy)
	case r.Status == Finished || !restricted(&in.Facts.Account) || in.Facts.Account.Recovery != r.ID:
		return r, refuse(RefusedState)
	case in.Kind == InputGiveUp:
		return giveUp(r, in)
	}
	r = r.lapse(now)
	step := r.current(Demand(r.known(in.Facts, now)), now)
	if !accepts(step, in.Kind) {
		return before, refuse(RefusedStep)
	}
	next, effects := r.take(step, in, now)
	if effects[0].Kind == Refuse {
		return before, effects
	}
	return next, effects
}

// lapse begins anew when nobody came back after a wait.
func (r Recovery) lapse(now time.Time) Recovery {
	if !r.Hold.IsZero() && !now.Before(r.Hold.Add(HeldLife)) {
		r.Status, r.Hold, r.Proofs, r.Reviews = Proving, time.Time{}, nil, nil
	}
	return r
}

func refuse(why Refused) []Effect { return []Effect{{Kind: Refuse, Why: why}} }

// known are the facts as they count for r: what has been proved stays proved when the proof was the last of its kind.
func (r *Recovery) known(f Facts, now time.Time) Facts {
	for _, p := range r.Proofs {
		if _, ok := r.proved(p.Step, now); !ok {
			continue
		}
		if p.Step == StepRecoveryCode && f.Codes == 0 {
			f.Codes = 1
		}
		if p.Step == StepCode && f.App == PausedApp {
			f.App = GoodApp
		}
	}
	return f
}

// accepts says which inputs a step takes.
func accepts(s Step, in InputKind) bool {
	switch in {
	case InputCode:
		return s == StepCode
	case InputRecoveryCode:
		return s == StepCode || s == StepRecoveryCode
	case InputMailSend, InputMailCode:
		return s == StepMailCode
	case InputPasswordDone:
		return s == StepPassword
	case InputReviewed:
		return s == StepReview
	case InputFinish:
		return s == StepHold || s == "" // all done, but the act was refused: once more
	}
	return false
}

// take does the step that an input is for, and what follows from it.
func (r Recovery) take(step Step, in Input, now time.Time) (Recovery, []Effect) {
	proof := Proof{Step: step, At: now}
	switch in.Kind {
	case InputMailSend:
		return r.send(in, now)
	case InputFinish:
		if step == StepHold {
			return r, refuse(RefusedHold)
		}
		return r.finish(in, nil)
	case InputMailCode:
		if r.Mail == nil || !now.Before(r.Mail.Until) || !in.Right {
			return r, refuse(RefusedWrong)
		}
		r.Mail = nil
	case InputCode, InputRecoveryCode:
		if !in.Right {
			return r, refuse(RefusedWrong)
		}
		proof.Step = Step(in.Kind)
	case InputPasswordDone:
		proof.How = "owner"
		if changed := in.Facts.Account.PasswordChanged(); len(r.Proofs) > 0 && !changed.Before(r.Proofs[0].At) {
			proof.How = "event"
		}
	case InputReviewed:
		if !complete(in.Facts.Account.Suspects(), in) {
			return r, refuse(RefusedIncomplete)
		}
		r.Reviews = &Review{in.Denied, in.Approved}
	}
	r.Proofs = append(r.drop(now), proof)
	return r.after(in, []Effect{{Kind: Done, Step: proof.Step}}, now)
}

// drop are the proofs that still count.
func (r *Recovery) drop(now time.Time) []Proof {
	return slices.DeleteFunc(r.Proofs, func(p Proof) bool { _, ok := r.proved(p.Step, now); return !ok })
}

// after a step: on to the next one, into the wait, or out.
func (r Recovery) after(in Input, done []Effect, now time.Time) (Recovery, []Effect) {
	step := r.current(Demand(r.known(in.Facts, now)), now)
	switch {
	case step == "":
		return r.finish(in, done)
	case step == StepHold && r.Hold.IsZero():
		r.Hold = now.Add(HoldTime)
		r.Status = Held
		done = append(done, Effect{Kind: TellHold})
	case r.Status != Held:
		r.Status = Proving
	}
	if in.Facts.Account.State != auth.Recovering {
		r.Acts++
		done = append(done, Effect{Kind: MakeAct, Act: auth.ActBegin})
	}
	return r, done
}

func (r Recovery) finish(in Input, done []Effect) (Recovery, []Effect) {
	r.Status = Applying
	r.Acts++
	done = append(done, Effect{Kind: MakeAct, Act: auth.ActRecovered})
	switch in.Facts.App {
	case NewApp:
		done = append(done, Effect{Kind: VoidApp})
	case PausedApp:
		done = append(done, Effect{Kind: Unpause})
	}
	return r, done
}

func (r Recovery) send(in Input, now time.Time) (Recovery, []Effect) {
	r.Sends = slices.DeleteFunc(r.Sends, func(t time.Time) bool { return now.Sub(t) >= time.Hour })
	switch {
	case in.Address < 0 || in.Address >= len(in.Facts.Addresses) || in.Mail == nil:
		return r, refuse(RefusedStep)
	case len(r.Sends) >= IssuesAnHour:
		return r, refuse(RefusedOften)
	}
	r.Sends = append(r.Sends, now)
	m := *in.Mail
	m.Until, m.Tries = now.Add(mailLife), 0
	r.Mail = &m
	return r, []Effect{{Kind: SendMail}}
}

// complete says whether each change has exactly one answer.
func complete(changes []auth.Change, in Input) bool {
	said := map[string]int{}
	for _, id := range slices.Concat(in.Denied, in.Approved) {
		said[id]++
	}
	for _, c := range changes {
		id := ChangeID(c)
		if said[id] != 1 {
			return false
		}
		delete(said, id)
	}
	return len(said) == 0
}

func giveUp(r Recovery, in Input) (Recovery, []Effect) {
	if in.Facts.Account.State != auth.Recovering && len(r.Proofs) == 0 {
		return r, refuse(RefusedStep)
	}
	r.Status, r.Proofs, r.Mail, r.Hold, r.Reviews = GivenUp, nil, nil, time.Time{}, nil
	if in.Facts.Account.State != auth.Recovering {
		return r, nil
	}
	r.Acts++
	return r, []Effect{{Kind: MakeAct, Act: auth.ActGiveUp}}
}

// answered takes the shard's answer to the act that lets the owner in. What was proved stays proved when it was refused: the owner sees what
// has changed and goes on from there.
func answered(r Recovery, kind InputKind) (Recovery, []Effect) {
	if r.Status != Applying {
		return r, refuse(RefusedStep)
	}
	r.Act = ""
	if r.Status = Finished; kind == inputRefused {
		r.Status = Proving
	}
	return r, nil
}
