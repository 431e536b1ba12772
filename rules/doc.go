// Package rules owns the rule language: load, check, compile, evaluate, explain.
//
// A rule is data: YAML that a security analyst reads like a book, its `when` an expr-lang/expr expression whose window functions have
// constant arguments. [Load] refuses what is wrong with file, line, column and a suggestion, or returns a [Set] whose evaluation is a pure
// function of the event, its facts and the account: same input, same findings, byte for byte.
package rules
