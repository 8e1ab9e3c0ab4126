package captest

import (
	"cmp"
	"strings"
)

// google is what the Google profile counts as errors.
func (c *checker) google(a *node) {
	mt := a.get("msgType")
	if (mt == "Update" || mt == "Cancel") && strings.TrimSpace(a.get("references")) == "" {
		c.error("%s without references", mt)
	}
	infos := a.all("info")
	if len(infos) == 0 {
		c.error("no info")
	}
	for i, in := range infos {
		c.alike(i, infos)
		for _, name := range []string{"description", "web", "expires", "urgency", "severity", "certainty"} {
			if strings.TrimSpace(in.get(name)) == "" {
				c.error("info[%d]: no %s", i, name)
			}
		}
		c.validity(i, in, a.get("sent"))
		c.located(i, in.all("area"))
	}
}

// alike wants what all info blocks of a message have in common.
func (c *checker) alike(i int, infos []*node) {
	in := infos[i]
	if set(in.all("category")) != set(infos[0].all("category")) {
		c.error("info[%d]: categories differ", i)
	}
	if set(in.all("eventCode")) != set(infos[0].all("eventCode")) {
		c.error("info[%d]: event codes differ", i)
	}
	for j := range i {
		if infos[j].get("language") == in.get("language") && infos[j].get("event") != in.get("event") {
			c.error("info[%d]: another event in the same language", i)
		}
	}
}

func set(l []*node) string {
	var s []string
	for _, n := range l {
		s = append(s, n.text+n.get("valueName")+"="+n.get("value"))
	}
	return strings.Join(s, ";")
}

func (c *checker) validity(i int, in *node, sent string) {
	from := cmp.Or(in.get("effective"), sent)
	f, ok1 := c.time("effective", from)
	e, ok2 := c.time("expires", in.get("expires"))
	if ok1 && ok2 && f.After(e) {
		c.error("info[%d]: effective after expires", i)
	}
}

func (c *checker) located(i int, areas []*node) {
	if len(areas) == 0 {
		c.error("info[%d]: no area", i)
	}
	for j, ar := range areas {
		if len(ar.all("circle"))+len(ar.all("polygon"))+len(ar.all("geocode")) == 0 {
			c.error("info[%d]/area[%d]: no circle, polygon or geocode", i, j)
		}
	}
}
