package captest

import (
	"regexp"
	"strings"
)

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
