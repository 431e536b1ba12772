package window

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Limits of spans. Across accounts they are shorter, because every shard keeps its own part of such a window for each address and device.
const (
	MinSpan       = time.Second
	MaxSpan       = 90 * 24 * time.Hour
	MaxSpanAcross = 48 * time.Hour
	MinSteps      = 2 // of a sequence
	MaxSteps      = 6
)

// Check says what is wrong with s, in a sentence for the author of a rule.
func (s Spec) Check() error {
	s = s.normal()
	if !slices.Contains(Keys, s.Key) {
		return fmt.Errorf("%s: there is no window per %q; use one of %s", s.Func, s.Key, keyNames())
	}
	k := kindOf(s)
	if k == nil {
		if !known(s.Func) {
			return fmt.Errorf("there is no window function %q", s.Func)
		}
		return fmt.Errorf("%s can only be remembered per account, not per %s", s.Func, s.Key)
	}
	if err := s.checkSpan(k); err != nil {
		return err
	}
	if err := s.checkField(k); err != nil {
		return err
	}
	return s.checkTypes()
}

func (s Spec) checkSpan(k *kind) error {
	longest := MaxSpan
	if s.Key != Account {
		longest = MaxSpanAcross
	}
	switch {
	case !k.span && s.Span != 0:
		return fmt.Errorf("%s takes no span", s.Func)
	case !k.span:
		return nil
	case s.Span < MinSpan || s.Span > longest:
		return fmt.Errorf("%s per %s needs a span from %s to %s, not %q", s.Func, s.Key, SpanText(MinSpan), SpanText(longest), s.Span)
	case s.Span%time.Second != 0:
		return fmt.Errorf("%s: the span %q is not a whole number of seconds", s.Func, s.Span)
	}
	return nil
}

func (s Spec) checkField(k *kind) error {
	switch {
	case s.Func == Again && s.Field == "":
		return fmt.Errorf("again needs the id of its rule")
	case s.Func == Again:
		return nil
	case !k.field && s.Field != "":
		return fmt.Errorf("%s takes no field, but has %q", s.Func, s.Field)
	case !k.field:
		return nil
	case s.Field == "":
		return fmt.Errorf("%s needs the field whose values it tells apart, such as \"device\"", s.Func)
	case !IsField(s.Field):
		return fmt.Errorf("%s: there is no field %q; use one of %s, or extra.NAME", s.Func, s.Field, strings.Join(Fields(), ", "))
	case s.Field == string(s.Key) || s.Field == "counterparty" && s.Key == Payee:
		return fmt.Errorf("%s: %q has only one value per %s", s.Func, s.Field, s.Key)
	}
	return nil
}

func (s Spec) checkTypes() error {
	if s.Func == Sequence && (len(s.Types) < MinSteps || len(s.Types) > MaxSteps) {
		return fmt.Errorf("sequence needs %d to %d steps, not %d", MinSteps, MaxSteps, len(s.Types))
	}
	if (s.Func == Age || s.Func == Again) && len(s.Types) > 0 {
		return fmt.Errorf("%s takes no event types", s.Func)
	}
	for _, t := range s.Types {
		for alternative := range strings.SplitSeq(t, "|") {
			stem := strings.TrimSuffix(alternative, ".*")
			if stem == "" || strings.ContainsAny(stem, "* \t\n\"") {
				return fmt.Errorf("%s: %q is no event type; write \"login.failed\" or \"login.*\"", s.Func, alternative)
			}
		}
	}
	if s.Where != "" && s.Where != "in" && s.Where != "out" {
		return fmt.Errorf("%s: the direction is \"in\" or \"out\", not %q", s.Func, s.Where)
	}
	if s.Where != "" && (s.Func == Age || s.Func == Again) {
		return fmt.Errorf("%s takes no direction", s.Func)
	}
	if len(s.Was) > 0 && s.Func != Again {
		return fmt.Errorf("%s has no earlier ids", s.Func)
	}
	return nil
}

func keyNames() string {
	names := make([]string, len(Keys))
	for i, k := range Keys {
		names[i] = string(k)
	}
	return strings.Join(names, ", ")
}
