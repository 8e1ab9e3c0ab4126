package captest

import "strings"

// semantics is what the text of the standard asks beyond its schema.
func (c *checker) semantics(a *node) {
	scope := a.get("scope")
	if (scope == "Restricted") != (strings.TrimSpace(a.get("restriction")) != "") {
		c.schema("alert: scope %s with restriction %q", scope, a.get("restriction"))
	}
	if scope == "Private" && strings.TrimSpace(a.get("addresses")) == "" {
		c.schema("alert: scope Private without addresses")
	}
	if l := a.all("references"); len(l) > 0 {
		c.references(a, strings.Fields(l[0].text))
	}
	for i, in := range a.all("info") {
		for _, ar := range in.all("area") {
			c.shapes(i, ar)
		}
	}
}

// references wants earlier messages, each once, and not the message itself.
func (c *checker) references(a *node, refs []string) {
	if len(refs) == 0 {
		c.schema("alert/references: empty")
	}
	own := a.get("sender") + "," + a.get("identifier") + "," + a.get("sent")
	sent, _ := c.time("sent", a.get("sent"))
	seen := map[string]bool{}
	for _, ref := range refs {
		w := strings.Split(ref, ",")
		if len(w) != 3 {
			c.schema("alert/references: %q is not sender,identifier,sent", ref)
			continue
		}
		if t, ok := c.time("references", w[2]); !ok {
			c.schema("alert/references: time %q", w[2])
		} else if t.After(sent) {
			c.schema("alert/references: %q is postdated", ref)
		}
		if ref == own {
			c.schema("alert/references: refers to itself")
		}
		if seen[ref] {
			c.schema("alert/references: %q twice", ref)
		}
		seen[ref] = true
	}
}

func (c *checker) shapes(i int, area *node) {
	for _, p := range area.all("polygon") {
		if why := polygon(p.text); why != "" {
			c.schema("info[%d] polygon: %s", i, why)
		}
	}
	for _, p := range area.all("circle") {
		if why := circle(p.text); why != "" {
			c.schema("info[%d] circle %q: %s", i, p.text, why)
		}
	}
}
