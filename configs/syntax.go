package configs

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a file. They lie far above what a county needs and far below what
// hurts: the parser needs time that grows with the square of some of them.
const (
	maxFileBytes   = 16 << 20
	maxIndicators  = 4_000_000 // about one token each, about 300 bytes of memory each
	maxIndentation = 200       // columns
	maxFlowDepth   = 32        // brackets in brackets
	maxDashes      = 8         // "- - - x" on one line
	maxKeys        = 256       // keys of one mapping
	maxEmpty       = 1000      // keys and list items without a value
	maxAnchors     = 10_000
)

// parseYAML returns the root of the one document in data, or nil and what is
// wrong with its syntax. The problems have no File yet.
func parseYAML(data []byte) (root ast.Node, problem *Problem) {
	text, problem := checkText(data)
	if problem != nil {
		return nil, problem
	}
	// The YAML library has met inputs on which it panics; a file of the operator
	// must never end the program. Stack exhaustion cannot be recovered from:
	// checkTokens bounds the nesting for that.
	defer func() {
		if recover() != nil {
			root, problem = nil, &Problem{What: "cannot be read as YAML", Remedy: "check indentation, quotes and brackets"}
		}
	}()
	tokens := lexer.Tokenize(text)
	if problem := checkTokens(tokens); problem != nil {
		return nil, problem
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, syntaxProblem(err)
	}
	for _, doc := range file.Docs {
		if doc.Body != nil && root != nil {
			return nil, problemAt(doc.Body.GetToken(), "a second YAML document", "keep one document in a file")
		}
		if doc.Body != nil {
			root = doc.Body
		}
	}
	if root == nil {
		return nil, &Problem{What: "the file is empty", Remedy: `write at least a section "edge" or "center"; sample files show every key`}
	}
	return root, nil
}

// checkText bounds data and returns it as text without a byte order mark.
func checkText(data []byte) (string, *Problem) {
	if len(data) > maxFileBytes {
		return "", &Problem{What: fmt.Sprintf("the file is larger than %d MiB", maxFileBytes>>20), Remedy: "spread the cameras over several edge nodes"}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) {
		valid := data
		for len(valid) > 0 { // keep what is valid from the start
			r, size := utf8.DecodeRune(valid)
			if r == utf8.RuneError && size == 1 {
				break
			}
			valid = valid[size:]
		}
		line, column := lineColumn(data[:len(data)-len(valid)])
		return "", &Problem{Line: line, Column: column, What: "a byte that is not UTF-8", Remedy: "save the file as UTF-8 (not GBK or UTF-16)"}
	}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		line, column := lineColumn(data[:i])
		return "", &Problem{Line: line, Column: column, What: "a zero byte", Remedy: "save the file as UTF-8 text"}
	}
	indicators := 0
	for _, b := range data {
		switch b {
		case ',', ':', '[', ']', '{', '}', '-', '&', '*', '?', '!', '\n':
			indicators++
		}
	}
	if indicators > maxIndicators {
		return "", &Problem{What: "the file holds too many values", Remedy: "spread the cameras over several edge nodes"}
	}
	return string(data), nil
}

// lineColumn returns the place just after before.
func lineColumn(before []byte) (line, column int) {
	last := bytes.LastIndexByte(before, '\n')
	return bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[last+1:]) + 1
}

// syntaxRemedies turns what the YAML library complains of into what to do.
var syntaxRemedies = []struct{ complaint, remedy string }{
	{`'\t'`, "indent with spaces, not with tabs"},
	{"tab character", "indent with spaces, not with tabs"},
	{"found character '\t'", "indent with spaces, not with tabs"},
	{"quoted text", "close the quotation mark"},
	{"escape", `put text with \ in single quotes`},
	{"mapping value is not allowed", "check the indentation; text with a colon and a space stands in quotes"},
	{"end token", "close the bracket"},
	{"reserved character", "put the text in quotes"},
	{"directive", "put text that begins with % in quotes"},
}

func syntaxProblem(err error) *Problem {
	var known yaml.Error
	if !errors.As(err, &known) || known.GetToken() == nil {
		return &Problem{What: "cannot be read as YAML", Remedy: "check indentation, quotes and brackets"}
	}
	// Only the message: the error's own text repeats lines of the file.
	return syntaxProblemAt(known.GetToken(), known.GetMessage())
}

func syntaxProblemAt(tk *token.Token, message string) *Problem {
	remedy := "check indentation, quotes and brackets here and on the line before"
	for _, r := range syntaxRemedies {
		if strings.Contains(message, r.complaint) {
			remedy = r.remedy
			break
		}
	}
	message = strings.ReplaceAll(message, "\t", `\t`)
	return problemAt(tk, "YAML syntax: "+message, remedy)
}

func problemAt(tk *token.Token, what, remedy string) *Problem {
	p := &Problem{What: what, Remedy: remedy}
	if tk != nil && tk.Position != nil {
		p.Line, p.Column = max(tk.Position.Line, 1), max(tk.Position.Column, 1)
	}
	return p
}

// tokenCheck walks the tokens once before they are parsed. It refuses what no
// configuration needs and what the parser would pay for with memory, with time
// that grows with the square, or with its stack.
type tokenCheck struct {
	line   int // of the token before
	dashes int // on this line
	headed bool
	body   bool
	empty  int
	anchor int     // how many
	block  []level // mappings and lists that are open by indentation
	flow   []level // brackets that are open
}

// level is one open mapping: the column of its keys, how many it has; in flow
// style also whether the entry at hand has its colon.
type level struct {
	column, keys int
	isMap, colon bool
}

func checkTokens(tokens token.Tokens) *Problem {
	var c tokenCheck
	for i, tk := range tokens {
		if tk.Type == token.CommentType {
			continue
		}
		if tk.Type == token.InvalidType {
			return syntaxProblemAt(tk, tk.Error)
		}
		if what, remedy := c.next(tk, following(tokens[i+1:])); what != "" {
			return problemAt(tk, what, remedy)
		}
	}
	return nil
}

// following returns the first token that is no comment, nil at the end.
func following(tokens token.Tokens) *token.Token {
	for _, tk := range tokens {
		if tk.Type != token.CommentType {
			return tk
		}
	}
	return nil
}

// next takes one token and the one after it.
func (c *tokenCheck) next(tk, then *token.Token) (what, remedy string) {
	if tk.Position.Line != c.line {
		c.line, c.dashes = tk.Position.Line, 0
		if len(c.flow) == 0 && tk.Position.Column > maxIndentation {
			return "is indented too deeply", "indent each level by two spaces"
		}
	}
	if what, remedy := c.refused(tk); what != "" {
		return what, remedy
	}
	if len(c.flow) > 0 {
		c.inFlow(tk)
	} else {
		c.inBlock(tk, then)
	}
	switch tk.Type {
	case token.MappingStartType, token.SequenceStartType:
		c.flow = append(c.flow, level{isMap: tk.Type == token.MappingStartType})
	case token.MappingEndType, token.SequenceEndType:
		c.flow = c.flow[:max(len(c.flow)-1, 0)]
	case token.AnchorType:
		c.anchor++
	}
	switch {
	case len(c.flow) > maxFlowDepth || c.dashes > maxDashes:
		return "is nested too deeply", "no setting needs more than 5 levels of lists"
	case c.empty > maxEmpty:
		return fmt.Sprintf("more than %d keys or list items have no value", maxEmpty), "write their values or remove them"
	case c.anchor > maxAnchors:
		return fmt.Sprintf("more than %d anchors", maxAnchors), "write the values where they belong"
	case c.tooManyKeys():
		return fmt.Sprintf("a mapping has more than %d keys", maxKeys), "no section has so many; are cameras missing their dash?"
	}
	return "", ""
}

// refused names the parts of YAML that have no use here.
func (c *tokenCheck) refused(tk *token.Token) (what, remedy string) {
	switch tk.Type {
	case token.DocumentHeaderType:
		if c.headed || c.body {
			return "a second YAML document", "keep one document in a file"
		}
		c.headed = true
	case token.DocumentEndType:
		c.body = true
	case token.TagType:
		return "a YAML tag", "remove the tag; text that looks like a number stands in quotes"
	case token.DirectiveType:
		return "a YAML directive", "remove the line, or put text that begins with % in quotes"
	case token.MappingKeyType:
		return `a key that is written with "?"`, "write key: value"
	default:
		c.body = true
	}
	return "", ""
}

func (c *tokenCheck) inFlow(tk *token.Token) {
	top := &c.flow[len(c.flow)-1]
	switch tk.Type {
	case token.MappingValueType:
		top.colon = true
	case token.CollectEntryType, token.MappingEndType:
		if top.isMap && !top.colon {
			c.empty++
		}
		top.keys++
		top.colon = false
	}
}

func (c *tokenCheck) inBlock(tk, then *token.Token) {
	switch tk.Type {
	case token.SequenceEntryType:
		c.dashes++
		c.leave(tk.Position.Column)
		if then == nil || then.Position.Line != tk.Position.Line && then.Position.Column <= tk.Position.Column {
			c.empty++
		}
	case token.MappingValueType:
		if tk.Prev == nil {
			return
		}
		column := tk.Prev.Position.Column
		c.leave(column)
		if n := len(c.block); n > 0 && c.block[n-1].column == column {
			c.block[n-1].keys++
		} else {
			c.block = append(c.block, level{column: column, keys: 1})
		}
		if then == nil || then.Position.Line != tk.Position.Line && (then.Position.Column < column ||
			then.Position.Column == column && then.Type != token.SequenceEntryType) {
			c.empty++
		}
	}
}

// leave closes the mappings that are indented more than column.
func (c *tokenCheck) leave(column int) {
	for len(c.block) > 0 && c.block[len(c.block)-1].column > column {
		c.block = c.block[:len(c.block)-1]
	}
}

func (c *tokenCheck) tooManyKeys() bool {
	if n := len(c.flow); n > 0 {
		return c.flow[n-1].isMap && c.flow[n-1].keys > maxKeys
	}
	n := len(c.block)
	return n > 0 && c.block[n-1].keys > maxKeys
}
