package captest

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

var (
	markup   = regexp.MustCompile(`</?[a-zA-Z][^>]*>|&[a-z]+;`)
	decimals = regexp.MustCompile(`\.\d{7,}`)
)

// advice is what is recommended.
func (c *checker) advice(a *node) {
	if mt := a.get("msgType"); mt == "Ack" || mt == "Error" {
		c.should("a publisher sends no %s", mt)
	}
	c.zone("sent", a.get("sent"))
	said := map[string]string{}
	for i, in := range a.all("info") {
		for _, n := range []string{"effective", "onset", "expires"} {
			c.zone(fmt.Sprintf("info[%d]/%s", i, n), in.get(n))
		}
		c.complete(i, in)
		c.texts(i, in, said)
		c.areas(i, in.all("area"))
	}
}

func (c *checker) zone(path, t string) {
	if strings.HasSuffix(strings.TrimSpace(t), "00:00") && len(t) > 6 && strings.ContainsAny(t[len(t)-6:], "+-") {
		c.should("%s: %s names no local zone", path, t)
	}
}

func (c *checker) complete(i int, in *node) {
	for _, n := range []string{"senderName", "responseType", "instruction", "contact", "headline", "language"} {
		if strings.TrimSpace(in.get(n)) == "" {
			c.should("info[%d]: no %s", i, n)
		}
	}
	for _, n := range []string{"urgency", "severity", "certainty"} {
		if in.get(n) == "Unknown" {
			c.should("info[%d]: %s Unknown", i, n)
		}
	}
}

// texts judges what people read; said is in which language each text was said
// in the blocks before.
func (c *checker) texts(i int, in *node, said map[string]string) {
	h, d, ins := in.get("headline"), in.get("description"), in.get("instruction")
	if n := utf8.RuneCountInString(h); n >= 140 {
		c.should("info[%d]: headline of %d characters", i, n)
	}
	if n := utf8.RuneCountInString(in.get("event")); n > 35 {
		c.should("info[%d]: event of %d characters", i, n)
	}
	if h == d || d != "" && d == ins {
		c.should("info[%d]: headline, description and instruction repeat", i)
	}
	for _, n := range []string{"event", "headline", "description", "instruction"} {
		t := in.get(n)
		if markup.MatchString(t) {
			c.should("info[%d]: markup in %s", i, n)
		}
		if other, ok := said[n+t]; ok && t != "" && other != in.get("language") {
			c.should("info[%d]: the same %s in %s and %s", i, n, other, in.get("language"))
		}
		said[n+t] = in.get("language")
	}
}

func (c *checker) areas(i int, areas []*node) {
	shape := false
	for _, ar := range areas {
		for _, p := range append(ar.all("polygon"), ar.all("circle")...) {
			shape = true
			if decimals.MatchString(p.text) {
				c.should("info[%d]: more than six decimals in %q", i, p.text)
			}
			if len(strings.Fields(p.text)) > 100 {
				c.should("info[%d]: polygon of more than 100 points", i)
			}
		}
		for _, p := range ar.all("circle") {
			if w := strings.Fields(p.text); len(w) == 2 && strings.Trim(w[1], "0.") == "" {
				c.should("info[%d]: circle of no radius", i)
			}
		}
	}
	if len(areas) > 0 && !shape {
		c.should("info[%d]: geocode alone", i)
	}
}
