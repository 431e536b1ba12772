package builtin

import (
	"strings"
	"testing"
	"unicode/utf8"

	"doorward/auth"
	"doorward/rules"
)

func shipped(t *testing.T) []*rules.Rule {
	t.Helper()
	set, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return set.Rules()
}

// The rules that ship have nothing left to say: no warning, and every key that a reader looks for.
func TestRulesAreWhole(t *testing.T) {
	_, warnings, err := rules.Check(FS)
	if err != nil || len(warnings) > 0 {
		t.Errorf("%v %v, want neither error nor warning", err, warnings)
	}
	for _, r := range shipped(t) {
		if len(r.Attack) == 0 || len(r.FalsePositives) == 0 || len(r.References) == 0 || r.Status != "stable" || r.Score == 0 {
			t.Errorf("%s lacks attack, false_positives, references, status or score", r.ID)
		}
	}
}

// Failures are what anybody can make happen to anybody, and places are often wrong: rules that look at nothing else ask for a second factor
// at most (PRODUCT S2; reference: security S-17, S-27, D-2).
func TestWhatMustNotLock(t *testing.T) {
	for _, r := range shipped(t) {
		failures := true
		for _, on := range r.On {
			failures = failures && on == "login.failed"
		}
		place := strings.Contains(r.When, "country") || strings.Contains(r.When, "speed_kmh")
		if (failures || place) && r.Response > auth.Challenge {
			t.Errorf("%s would %s for wrong passwords or a place alone", r.ID, r.Response)
		}
	}
}

// What owners read keeps to the voice of the house: calm, short, without our jargon.
func TestReasonsKeepTheVoice(t *testing.T) {
	codes := map[string]string{}
	for _, r := range shipped(t) {
		if before, ok := codes[r.Reason.Code]; ok && before != r.Reason.User["en"] {
			t.Errorf("%s: code %s has two sentences", r.ID, r.Reason.Code)
		}
		codes[r.Reason.Code] = r.Reason.User["en"]
		for _, lang := range rules.Languages {
			s := r.Reason.User[lang]
			for sentence := range strings.SplitSeq(strings.TrimRight(s, ".。"), ". ") {
				if n := len(strings.Fields(sentence)); n > 17 || lang == "en" && n > 15 {
					t.Errorf("%s, %s: a sentence of %d words: %s", r.ID, lang, n, sentence)
				}
			}
			if n := utf8.RuneCountInString(s); lang == "zh-Hans" && n > 40 {
				t.Errorf("%s, %s: %d characters: %s", r.ID, lang, n, s)
			}
			if strings.ContainsAny(s, "!！") {
				t.Errorf("%s, %s: no exclamation: %s", r.ID, lang, s)
			}
			for _, jargon := range []string{"TOTP", "OTP", "MFA", "token", "session", "risk", "fraud", "score", "rule", "suspicious", "stranger"} {
				if lang == "en" && strings.Contains(strings.ToLower(s), strings.ToLower(jargon)) {
					t.Errorf("%s: %q is not an owner's word: %s", r.ID, jargon, s)
				}
			}
		}
	}
}
