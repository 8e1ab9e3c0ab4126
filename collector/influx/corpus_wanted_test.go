package influx

import (
	"encoding/json"
	"fmt"
	"math"
	"quantrac"
	"sort"
	"strconv"
	"strings"
)

// wanted writes what of the recorded points our rules store, and whether they
// refuse something: integers beyond 2^53, label sets that cannot be a series, a
// tag given twice or one that names the metric, a time that no clock has said.
func wanted(c recordedCase) (stored string, refused bool) {
	var lines []string
	for _, p := range c.Output.Result {
		pairs := []string{}
		seen := map[text]bool{}
		at := quantrac.Millis(floorDiv(p.Time, 1e6))
		bad := c.noClock(at) != ""
		for _, tag := range p.Tags {
			bad = bad || seen[tag.Key] || tag.Key == quantrac.LabelMetric
			seen[tag.Key] = true
			pairs = append(pairs, string(tag.Key), string(tag.Value))
		}
		group := quantrac.NewLabels(pairs...)
		cells := map[string]float64{}
		for _, f := range p.Fields {
			name := string(p.Name) + "_" + string(f.Key)
			v, ok, text := number(f.Value)
			switch {
			case text:
				continue
			case !ok:
				bad = true
				continue
			}
			if group.With(quantrac.LabelMetric, name).Validate() != nil {
				bad = true
			}
			cells[name] = v
		}
		if bad {
			refused = true
			continue
		}
		for name, v := range cells {
			lines = append(lines, fmt.Sprintf("%s %v @%d", group.With(quantrac.LabelMetric, name), v, at))
		}
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n"), refused
}

// number returns a recorded field as float64; ok is false where it has none
// that is exact.
func number(v map[string]json.RawMessage) (f float64, ok, isText bool) {
	for kind, raw := range v {
		s := strings.Trim(string(raw), `"`)
		switch kind {
		case "string":
			return 0, false, true
		case "bool":
			if s == "true" {
				return 1, true, false
			}
			return 0, true, false
		case "int":
			n, err := strconv.ParseInt(s, 10, 64)
			return float64(n), err == nil && n >= -1<<53 && n <= 1<<53, false
		case "uint":
			n, err := strconv.ParseUint(s, 10, 64)
			return float64(n), err == nil && n <= 1<<53, false
		case "float":
			f, err := strconv.ParseFloat(s, 64)
			return f, err == nil && !math.IsNaN(f), false
		}
	}
	return 0, false, false
}
