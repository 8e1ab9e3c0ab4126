package dashboards

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// opened sets the range of the queries that have none of their own: the
// dashboard's, or Grafana's.
func (d *grafanaDashboard) opened(qs []Query, file string) error {
	from, err1 := fromNow(cmp.Or(d.Time.From, "now-6h"))
	to, err2 := fromNow(cmp.Or(d.Time.To, "now"))
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("grafana dashboard %s: %w", file, err)
	}
	for i := range qs {
		if !qs[i].Pinned {
			qs[i].From, qs[i].To = from, to
		}
	}
	return nil
}

// span is the panel's own range, if it has one: Grafana reads "2d" as the last
// two days and "+2d" as the next, and a shift takes it back.
func (p *grafanaPanel) span() (from, to time.Duration, pinned bool, err error) {
	if p.TimeFrom == "" {
		if p.TimeShift != "" {
			err = errors.New("timeShift without timeFrom")
		}
		return 0, 0, false, err
	}
	var shift time.Duration
	if p.TimeShift != "" {
		shift, err = fromNow("now-" + p.TimeShift)
	}
	next, ok := strings.CutPrefix(p.TimeFrom, "+")
	length, err2 := fromNow("now+" + next)
	if !ok {
		from, length = -length, 0
	}
	return from + shift, length + shift, true, errors.Join(err, err2)
}

// relative is a time as Grafana writes it relative to now, without rounding.
var relative = regexp.MustCompile(`^now(?:([+-])(\d+)([smhdw]))?$`)

var grafanaUnits = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}

func fromNow(text string) (time.Duration, error) {
	m := relative.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("time %q is not of the form now-5d", text)
	}
	if m[1] == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(m[1] + m[2])
	if err != nil {
		return 0, fmt.Errorf("time %q: %w", text, err)
	}
	return time.Duration(n) * grafanaUnits[m[3]], nil
}
