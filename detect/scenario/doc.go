// Package scenario owns the test language: a timeline of events, and the findings and states that it must lead to.
//
// A scenario is a txtar file. Rules are tested with it, ours and the operator's (`doorward rules test`), and the README's snippets are some:
//
//	Five wrong passwords within ten minutes ask for a second factor.
//	-- events --
//	+0s  repeat 5 every 10s  login.failed account=anna device=d1 ip=203.0.113.9 country=SG reason=bad_password
//	+2m  login.succeeded account=anna device=d1
//	-- want --
//	+40s login.guessing anna challenge
//	state anna challenged
//
// events: a line is a time since the scenario's start, perhaps "repeat N every D" ({n} in a value is then 1 to N), the event type and NAME=VALUE
// fields, values with spaces in quotation marks. Names are those of EVENTS.md; country, city, lat, lon are where the event came from,
// data.country what a transaction says, extra.NAME and labels.NAME the platform's own, arrived=+D when the event reached Doorward. A line
// "+1h do recovered account=anna" is what a person or a deadline does. "#" begins a comment.
//
// rules: a rule file, instead of the rules under test. want: findings in the order they are made, "+D RULE ACCOUNT RESPONSE" with "(floor)" or
// "(new_window)" where the response is less than the rule's; then the states of accounts that are or were not open. "nothing" is a want, too.
//
// Invariant: a scenario is evaluated by the engine itself, over as many shards as a file's replay has, and says the same every time.
package scenario
