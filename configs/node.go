package configs

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// place is where a value stands in the structure: a chain from the value up to
// the root. nil is the root.
type place struct {
	up    *place
	key   string
	index int // place in a list, -1 for a key
}

func (p *place) to(key string) *place  { return &place{p, key, -1} }
func (p *place) item(index int) *place { return &place{p, "", index} }
func (p *place) isItem() bool          { return p.index >= 0 }
func (p *place) join(keys string) *place { // keys joined by dots
	for key := range strings.SplitSeq(keys, ".") {
		p = p.to(key)
	}
	return p
}

// String returns the path in the form edge.cameras[3].zones.
func (p *place) String() string {
	switch {
	case p == nil:
		return ""
	case p.isItem():
		return p.up.String() + "[" + strconv.Itoa(p.index) + "]"
	case p.up == nil:
		return p.key
	}
	return p.up.String() + "." + p.key
}

// document is a parsed file: its nodes, and where each alias leads.
type document struct {
	root    ast.Node
	targets map[*ast.AliasNode]ast.Node
}

// newDocument finds the anchor of every alias. An alias sees the anchors whose
// values end before it, so that none can contain itself; what sees none is
// absent from targets.
func newDocument(root ast.Node) *document {
	d := &document{root, make(map[*ast.AliasNode]ast.Node)}
	d.link(root, make(map[string]ast.Node))
	return d
}

func (d *document) link(n ast.Node, anchors map[string]ast.Node) {
	switch n := n.(type) {
	case *ast.AnchorNode:
		d.link(n.Value, anchors)
		if n.Name != nil {
			anchors[n.Name.GetToken().Value] = n.Value
		}
	case *ast.AliasNode:
		if n.Value != nil {
			if target, ok := anchors[n.Value.GetToken().Value]; ok {
				d.targets[n] = target
			}
		}
	case *ast.MappingNode:
		for _, v := range n.Values {
			d.link(v, anchors)
		}
	case *ast.MappingValueNode:
		d.link(n.Key, anchors)
		d.link(n.Value, anchors)
	case *ast.SequenceNode:
		for _, v := range n.Values {
			d.link(v, anchors)
		}
	}
}

// resolve follows anchors and aliases to a value. It returns nil for an alias
// without an anchor.
func (d *document) resolve(n ast.Node) ast.Node {
	for {
		switch at := n.(type) {
		case *ast.AnchorNode:
			n = at.Value
		case *ast.AliasNode:
			target, ok := d.targets[at]
			if !ok {
				return nil
			}
			n = target
		default:
			return n
		}
	}
}

// entry is one key of a mapping and its value.
type entry struct {
	key   string
	at    *token.Token // of the key
	value ast.Node
	// merged is true for an entry that came by "<<"; the mapping's own entries
	// go before it.
	merged bool
}

// entries returns the entries of a mapping, its own first, then those merged by
// "<<: *anchor", nearest first. ok is false when n is no mapping. bad is the
// token of a "<<" that leads to no mapping.
func (d *document) entries(n ast.Node) (list []entry, bad *token.Token, ok bool) {
	return d.collect(n, make(map[ast.Node]bool), false)
}

// collect takes each mapping once, however often it is merged: repeated merging
// of merges would double the work at each level.
func (d *document) collect(n ast.Node, seen map[ast.Node]bool, merged bool) (list []entry, bad *token.Token, ok bool) {
	n = d.resolve(n)
	var values []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		values = m.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{m}
	default:
		return nil, nil, false
	}
	if seen[n] {
		return nil, nil, true
	}
	seen[n] = true
	var merges []*ast.MappingValueNode
	for _, v := range values {
		if v.Key.IsMergeKey() {
			merges = append(merges, v)
			continue
		}
		list = append(list, entry{keyText(v.Key), v.Key.GetToken(), v.Value, merged})
	}
	for _, m := range merges {
		sources := []ast.Node{m.Value}
		if s, isList := d.resolve(m.Value).(*ast.SequenceNode); isList {
			sources = s.Values
		}
		for _, source := range sources {
			more, worse, isMap := d.collect(source, seen, true)
			if !isMap {
				worse = m.Key.GetToken()
			}
			if worse != nil {
				bad = worse
			}
			list = append(list, more...)
		}
	}
	return list, bad, true
}

// keyText is the text of a key; a key that is no scalar has its first token.
func keyText(key ast.MapKeyNode) string {
	if s, ok := key.(*ast.StringNode); ok {
		return s.Value
	}
	return key.GetToken().Value
}

// items returns the items of a list; ok is false when n is none.
func (d *document) items(n ast.Node) (list []ast.Node, ok bool) {
	if s, isList := d.resolve(n).(*ast.SequenceNode); isList {
		return s.Values, true
	}
	return nil, false
}

// find returns the token at which p stands, or, when p is not in the file, the
// token of the nearest thing above it that is.
func (d *document) find(p *place) *token.Token {
	n, _ := d.walk(p)
	return tokenOf(n)
}

// has reports whether p is in the file.
func (d *document) has(p *place) bool { return d.at(p) != nil }

// at returns the node of p, nil when p is not in the file.
func (d *document) at(p *place) ast.Node {
	if n, found := d.walk(p); found {
		return n
	}
	return nil
}

// walk returns the node of p; found is false when it is that of something above.
func (d *document) walk(p *place) (n ast.Node, found bool) {
	if p == nil {
		return d.root, true
	}
	above, found := d.walk(p.up)
	if !found {
		return above, false
	}
	if p.isItem() {
		if list, ok := d.items(above); ok && p.index < len(list) {
			return list[p.index], true
		}
		return above, false
	}
	list, _, _ := d.entries(above)
	for _, e := range list {
		if e.key == p.key {
			return e.value, true
		}
	}
	return above, false
}

// tokenOf returns the token at which a reader sees n begin: of a mapping its
// first key, not its first colon.
func tokenOf(n ast.Node) *token.Token {
	switch n := n.(type) {
	case nil:
		return nil
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return n.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		return n.Key.GetToken()
	}
	return n.GetToken()
}

// scalarText returns the text of n and whether it is text: unquoted numbers,
// true, false and nothing are not.
func scalarText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	}
	return "", false
}

// kindOf says in words what n is.
func kindOf(n ast.Node) string {
	switch n.(type) {
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.IntegerNode, *ast.FloatNode:
		return "a number"
	case *ast.InfinityNode, *ast.NanNode:
		return "infinite or no number"
	case *ast.BoolNode:
		return "true or false"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode, nil:
		return "empty"
	}
	return fmt.Sprintf("a YAML %s", strings.ToLower(n.Type().String()))
}
