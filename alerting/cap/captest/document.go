package captest

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// node is an element with its children in order.
type node struct {
	name string
	text string
	kids []*node
}

func (n *node) all(name string) []*node {
	var out []*node
	for _, k := range n.kids {
		if k.name == name {
			out = append(out, k)
		}
	}
	return out
}

func (n *node) get(name string) string {
	if l := n.all(name); len(l) > 0 {
		return l[0].text
	}
	return ""
}

const (
	v12 = "urn:oasis:names:tc:emergency:cap:1.2"
	v11 = "urn:oasis:names:tc:emergency:cap:1.1"
)

func parse(doc []byte) (*node, error) {
	dec := xml.NewDecoder(strings.NewReader(string(doc)))
	var stack []*node
	var root *node
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		switch t := tok.(type) {
		case xml.StartElement:
			n := &node{name: t.Name.Local}
			if t.Name.Space != v12 && t.Name.Space != v11 {
				if len(stack) == 0 {
					return nil, fmt.Errorf("namespace %q is not CAP's", t.Name.Space)
				}
				n.name = "{" + t.Name.Space + "}" + t.Name.Local
			}
			if len(stack) > 0 {
				top := stack[len(stack)-1]
				top.kids = append(top.kids, n)
			} else if root != nil {
				return nil, fmt.Errorf("two root elements")
			} else {
				root = n
			}
			stack = append(stack, n)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].text += string(t)
			}
		}
	}
	if root == nil || root.name != "alert" {
		return nil, fmt.Errorf("the root element is not alert")
	}
	return root, nil
}
