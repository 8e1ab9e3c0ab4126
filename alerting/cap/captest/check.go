// Package captest judges CAP documents as their readers do: Schema by the
// element table of CAP 1.2 (order, number, values), Errors by what Google
// Public Alerts refuses, and Advice by what Google, WMO's composer and alert
// hubs recommend. It reads the XML by itself and shares nothing with package
// cap, so that it can judge what that writes. Only tests import it.
//
// Sources: OASIS CAP 1.2 (element table and section 3.2), the checks of the
// Google profile, the rules found in WMO's CAP Composer.
package captest

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Report is the verdict on a document.
type Report struct {
	Schema []string // against the standard
	Errors []string // against the Google profile
	Advice []string // recommendations not followed
}

// Clean says whether nothing at all was found.
func (r Report) Clean() bool { return len(r.Schema)+len(r.Errors)+len(r.Advice) == 0 }

func (r Report) String() string {
	var b strings.Builder
	for _, l := range []struct {
		name string
		list []string
	}{{"schema", r.Schema}, {"error", r.Errors}, {"advice", r.Advice}} {
		for _, s := range l.list {
			fmt.Fprintf(&b, "%s: %s\n", l.name, s)
		}
	}
	return b.String()
}

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

// Check judges a document.
func Check(doc []byte) Report {
	var r Report
	root, err := parse(doc)
	if err != nil {
		r.Schema = append(r.Schema, err.Error())
		return r
	}
	c := checker{r: &r}
	c.element("alert", root, alertRule)
	c.semantics(root)
	c.google(root)
	c.advice(root)
	return r
}

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

// rule is a row of the element table.
type rule struct {
	name     string
	min, max int // max 0: any number
	value    *regexp.Regexp
	kids     []rule
}

var (
	text     = regexp.MustCompile(`(?s).*`)
	filled   = regexp.MustCompile(`(?s)\S`)
	word     = regexp.MustCompile(`^[^\s,<&]+$`)
	stamp    = regexp.MustCompile(`^\d\d\d\d-\d\d-\d\dT\d\d:\d\d:\d\d[-+]\d\d:\d\d$`)
	language = regexp.MustCompile(`^[a-zA-Z]{2,3}(-[A-Za-z0-9]{1,8})*$`)
	uri      = regexp.MustCompile(`^\s*([a-z]+://\S+)?\s*$`)
)

func enum(words string) *regexp.Regexp {
	return regexp.MustCompile("^(" + strings.ReplaceAll(words, " ", "|") + ")$")
}

var pair = []rule{{"valueName", 1, 1, filled, nil}, {"value", 1, 1, text, nil}}

var alertRule = []rule{
	{"identifier", 1, 1, word, nil},
	{"sender", 1, 1, word, nil},
	{"sent", 1, 1, stamp, nil},
	{"status", 1, 1, enum("Actual Exercise System Test Draft"), nil},
	{"msgType", 1, 1, enum("Alert Update Cancel Ack Error"), nil},
	{"source", 0, 1, text, nil},
	{"scope", 1, 1, enum("Public Restricted Private"), nil},
	{"restriction", 0, 1, text, nil},
	{"addresses", 0, 1, text, nil},
	{"code", 0, 0, text, nil},
	{"note", 0, 1, text, nil},
	{"references", 0, 1, text, nil},
	{"incidents", 0, 1, text, nil},
	{"info", 0, 0, nil, infoRule},
}

var infoRule = []rule{
	{"language", 0, 1, language, nil},
	{"category", 1, 0, enum("Geo Met Safety Security Rescue Fire Health Env Transport Infra CBRNE Other"), nil},
	{"event", 1, 1, filled, nil},
	{"responseType", 0, 0, enum("Shelter Evacuate Prepare Execute Avoid Monitor Assess AllClear None"), nil},
	{"urgency", 1, 1, enum("Immediate Expected Future Past Unknown"), nil},
	{"severity", 1, 1, enum("Extreme Severe Moderate Minor Unknown"), nil},
	{"certainty", 1, 1, enum("Observed Likely Possible Unlikely Unknown"), nil},
	{"audience", 0, 1, text, nil},
	{"eventCode", 0, 0, nil, pair},
	{"effective", 0, 1, stamp, nil},
	{"onset", 0, 1, stamp, nil},
	{"expires", 0, 1, stamp, nil},
	{"senderName", 0, 1, text, nil},
	{"headline", 0, 1, text, nil},
	{"description", 0, 1, text, nil},
	{"instruction", 0, 1, text, nil},
	{"web", 0, 1, uri, nil},
	{"contact", 0, 1, text, nil},
	{"parameter", 0, 0, nil, pair},
	{"resource", 0, 0, nil, []rule{
		{"resourceDesc", 1, 1, filled, nil}, {"mimeType", 0, 1, text, nil}, {"size", 0, 1, text, nil},
		{"uri", 0, 1, text, nil}, {"derefUri", 0, 1, text, nil}, {"digest", 0, 1, text, nil},
	}},
	{"area", 0, 0, nil, []rule{
		{"areaDesc", 1, 1, filled, nil}, {"polygon", 0, 0, text, nil}, {"circle", 0, 0, text, nil},
		{"geocode", 0, 0, nil, pair}, {"altitude", 0, 1, text, nil}, {"ceiling", 0, 1, text, nil},
	}},
}

type checker struct{ r *Report }

func (c *checker) schema(format string, args ...any) {
	c.r.Schema = append(c.r.Schema, fmt.Sprintf(format, args...))
}
func (c *checker) error(format string, args ...any) {
	c.r.Errors = append(c.r.Errors, fmt.Sprintf(format, args...))
}
func (c *checker) should(format string, args ...any) {
	c.r.Advice = append(c.r.Advice, fmt.Sprintf(format, args...))
}

// element checks children against their rules: order, number, values.
func (c *checker) element(path string, n *node, rules []rule) {
	at := 0
	for _, k := range n.kids {
		if strings.HasPrefix(k.name, "{http://www.w3.org/2000/09/xmldsig#}") {
			continue // a signature may close the document
		}
		i := -1
		for j, r := range rules {
			if r.name == k.name {
				i = j
			}
		}
		switch {
		case i < 0:
			c.schema("%s: no element %s here", path, k.name)
		case i < at:
			c.schema("%s: %s after %s", path, k.name, rules[at].name)
		default:
			at = i
		}
	}
	for _, r := range rules {
		found := n.all(r.name)
		if len(found) < r.min {
			c.schema("%s: %s is missing", path, r.name)
		}
		if r.max > 0 && len(found) > r.max {
			c.schema("%s: %d times %s", path, len(found), r.name)
		}
		for _, k := range found {
			if r.kids != nil {
				c.element(path+"/"+r.name, k, r.kids)
			} else if !r.value.MatchString(strings.TrimSpace(k.text)) {
				c.schema("%s/%s: %q", path, r.name, k.text)
			}
		}
	}
}

func (c *checker) time(path, text string) (time.Time, bool) {
	t, err := time.Parse("2006-01-02T15:04:05-07:00", strings.TrimSpace(text))
	return t, err == nil
}

// semantics is what the text of the standard asks beyond its schema.
func (c *checker) semantics(a *node) {
	scope := a.get("scope")
	if (scope == "Restricted") != (strings.TrimSpace(a.get("restriction")) != "") {
		c.schema("alert: scope %s with restriction %q", scope, a.get("restriction"))
	}
	if scope == "Private" && strings.TrimSpace(a.get("addresses")) == "" {
		c.schema("alert: scope Private without addresses")
	}
	own := a.get("sender") + "," + a.get("identifier") + "," + a.get("sent")
	sent, _ := c.time("sent", a.get("sent"))
	if l := a.all("references"); len(l) > 0 {
		refs := strings.Fields(l[0].text)
		if len(refs) == 0 {
			c.schema("alert/references: empty")
		}
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
	for i, in := range a.all("info") {
		for _, ar := range in.all("area") {
			for _, p := range ar.all("polygon") {
				if why := polygon(p.text); why != "" {
					c.schema("info[%d] polygon: %s", i, why)
				}
			}
			for _, p := range ar.all("circle") {
				if why := circle(p.text); why != "" {
					c.schema("info[%d] circle %q: %s", i, p.text, why)
				}
			}
		}
	}
}

func point(text string) (lat, lon float64, why string) {
	a, b, ok := strings.Cut(text, ",")
	if !ok {
		return 0, 0, fmt.Sprintf("%q is not lat,lon", text)
	}
	lat, e1 := strconv.ParseFloat(a, 64)
	lon, e2 := strconv.ParseFloat(b, 64)
	if e1 != nil || e2 != nil || math.Abs(lat) > 90 || math.Abs(lon) > 180 {
		return 0, 0, fmt.Sprintf("%q is not lat,lon in degrees", text)
	}
	return lat, lon, ""
}

func circle(text string) string {
	w := strings.Fields(text)
	if len(w) != 2 {
		return "not point and radius"
	}
	if _, _, why := point(w[0]); why != "" {
		return why
	}
	if r, err := strconv.ParseFloat(w[1], 64); err != nil || r < 0 {
		return "bad radius"
	}
	return ""
}

func polygon(text string) string {
	w := strings.Fields(text)
	if len(w) < 4 {
		return fmt.Sprintf("%d points, four are the least", len(w))
	}
	if w[0] != w[len(w)-1] {
		return "not closed"
	}
	var x, y []float64
	for _, p := range w {
		lat, lon, why := point(p)
		if why != "" {
			return why
		}
		y, x = append(y, lat), append(x, lon)
	}
	side := func(i, j int) float64 {
		return (x[i+1]-x[i])*(y[j]-y[i]) - (y[i+1]-y[i])*(x[j]-x[i])
	}
	for i := 0; i+1 < len(x); i++ {
		for j := i + 2; j+1 < len(x); j++ {
			if i == 0 && j+2 == len(x) {
				continue // neighbours around the end
			}
			if side(i, j)*side(i, j+1) < 0 && side(j, i)*side(j, i+1) < 0 {
				return fmt.Sprintf("edges %d and %d cross", i, j)
			}
		}
	}
	return ""
}

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
	set := func(l []*node) string {
		var s []string
		for _, n := range l {
			s = append(s, n.text+n.get("valueName")+"="+n.get("value"))
		}
		return strings.Join(s, ";")
	}
	for i, in := range infos {
		if i > 0 && set(in.all("category")) != set(infos[0].all("category")) {
			c.error("info[%d]: categories differ", i)
		}
		if i > 0 && set(in.all("eventCode")) != set(infos[0].all("eventCode")) {
			c.error("info[%d]: event codes differ", i)
		}
		for j := range i {
			if infos[j].get("language") == in.get("language") && infos[j].get("event") != in.get("event") {
				c.error("info[%d]: another event in the same language", i)
			}
		}
		for _, name := range []string{"description", "web", "expires", "urgency", "severity", "certainty"} {
			if strings.TrimSpace(in.get(name)) == "" {
				c.error("info[%d]: no %s", i, name)
			}
		}
		from := in.get("effective")
		if from == "" {
			from = a.get("sent")
		}
		f, ok1 := c.time("effective", from)
		e, ok2 := c.time("expires", in.get("expires"))
		if ok1 && ok2 && f.After(e) {
			c.error("info[%d]: effective after expires", i)
		}
		if len(in.all("area")) == 0 {
			c.error("info[%d]: no area", i)
		}
		for j, ar := range in.all("area") {
			if len(ar.all("circle"))+len(ar.all("polygon"))+len(ar.all("geocode")) == 0 {
				c.error("info[%d]/area[%d]: no circle, polygon or geocode", i, j)
			}
		}
	}
}

var (
	markup   = regexp.MustCompile(`</?[a-zA-Z][^>]*>|&[a-z]+;`)
	decimals = regexp.MustCompile(`\.\d{7,}`)
)

// advice is what is recommended.
func (c *checker) advice(a *node) {
	if mt := a.get("msgType"); mt == "Ack" || mt == "Error" {
		c.should("a publisher sends no %s", mt)
	}
	zone := func(path, t string) {
		if strings.HasSuffix(strings.TrimSpace(t), "00:00") && len(t) > 6 && strings.ContainsAny(t[len(t)-6:], "+-") {
			c.should("%s: %s names no local zone", path, t)
		}
	}
	zone("sent", a.get("sent"))
	said := map[string]string{}
	for i, in := range a.all("info") {
		for _, n := range []string{"effective", "onset", "expires"} {
			zone(fmt.Sprintf("info[%d]/%s", i, n), in.get(n))
		}
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
		h, d, ins := in.get("headline"), in.get("description"), in.get("instruction")
		if utf8.RuneCountInString(h) >= 140 {
			c.should("info[%d]: headline of %d characters", i, utf8.RuneCountInString(h))
		}
		if utf8.RuneCountInString(in.get("event")) > 35 {
			c.should("info[%d]: event of %d characters", i, utf8.RuneCountInString(in.get("event")))
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
		shape := false
		for _, ar := range in.all("area") {
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
		if len(in.all("area")) > 0 && !shape {
			c.should("info[%d]: geocode alone", i)
		}
	}
}
