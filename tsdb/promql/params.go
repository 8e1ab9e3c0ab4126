package promql

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"quantrac"
	"quantrac/internal/params"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// maxBody bounds the form of a POST: the longest expression that anybody sends.
const maxBody = 10 << 20

// form makes the parameters of URL and body readable by r.FormValue, whatever
// kind of form the body is; that of a GET is left alone.
func form(w http.ResponseWriter, r *http.Request) *apiError {
	if r.Method == http.MethodPost {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	}
	err := r.ParseForm()
	if err == nil {
		if err = r.ParseMultipartForm(1 << 20); errors.Is(err, http.ErrNotMultipart) {
			err = nil
		}
	}
	if err != nil {
		return &apiError{badData, fmt.Errorf("error parsing form values: %w", err)}
	}
	return nil
}

// timeParam reads a time as every endpoint does; absent is otherwise.
func timeParam(r *http.Request, name string, otherwise quantrac.Millis) (quantrac.Millis, *apiError) {
	t, err := params.Time(r.Form, name, otherwise)
	if err != nil {
		return 0, &apiError{badData, err}
	}
	return t, nil
}

// wantTime is timeParam for a parameter that must be there.
func wantTime(r *http.Request, name string) (quantrac.Millis, *apiError) {
	if r.FormValue(name) == "" {
		return 0, badParam(name, errors.New("missing; give RFC 3339 or Unix seconds"))
	}
	return timeParam(r, name, 0)
}

// asOfParam reads the parameter asof, 0 where there is none.
func asOfParam(r *http.Request) (quantrac.Millis, *apiError) {
	t, err := params.AsOf(r.Form)
	if err != nil {
		return 0, &apiError{badData, err}
	}
	return t, nil
}

// durationParam reads seconds, with a fraction if need be, or a duration as
// PromQL writes it; 0 where absent, otherwise at least a millisecond.
func durationParam(r *http.Request, name string) (time.Duration, *apiError) {
	s := r.FormValue(name)
	if s == "" {
		return 0, nil
	}
	d, err := parseDuration(s)
	if err == nil && d < time.Millisecond {
		err = fmt.Errorf("%q is not a positive duration of a millisecond or more", s)
	}
	if err != nil {
		return 0, badParam(name, err)
	}
	return d, nil
}

func parseDuration(s string) (time.Duration, error) {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		ns := f * float64(time.Second)
		if !(math.Abs(ns) < math.MaxInt64) {
			return 0, fmt.Errorf("duration %q is out of range", s)
		}
		return time.Duration(ns), nil
	}
	d, err := model.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is neither seconds nor a duration such as 10m", s)
	}
	return time.Duration(d), nil
}

// limitParam reads a number of results; 0, and absent, mean no limit.
func limitParam(r *http.Request, name string) (int, *apiError) {
	s := r.FormValue(name)
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err == nil && n < 0 {
		err = errors.New("must not be negative")
	}
	if err != nil {
		return 0, badParam(name, err)
	}
	return n, nil
}

// matchParams reads the selectors of match[].
func (a *API) matchParams(r *http.Request) ([][]*labels.Matcher, *apiError) {
	return a.selectors(r.Form["match[]"])
}

// selectors reads selectors, each of which has to ask for something.
func (a *API) selectors(texts []string) ([][]*labels.Matcher, *apiError) {
	sets, err := a.parser.ParseMetricSelectors(texts)
	if err != nil {
		return nil, badParam("match[]", err)
	}
next:
	for _, ms := range sets {
		for _, m := range ms {
			if !m.Matches("") {
				continue next
			}
		}
		return nil, badParam("match[]", errors.New("match[] must contain at least one non-empty matcher"))
	}
	return sets, nil
}

// queryParams reads what both kinds of evaluation share.
func queryParams(r *http.Request) (q request, limit int, err *apiError) {
	q.expr = r.FormValue("query")
	if q.timeout, err = durationParam(r, "timeout"); err != nil {
		return q, 0, err
	}
	if q.lookback, err = durationParam(r, "lookback_delta"); err != nil {
		return q, 0, err
	}
	if q.asOf, err = asOfParam(r); err != nil {
		return q, 0, err
	}
	q.anew = r.FormValue("nocache") == "1"
	limit, err = limitParam(r, "limit")
	return q, limit, err
}
