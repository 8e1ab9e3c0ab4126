// Package params reads the parameters that read endpoints share, so that a time
// means the same wherever it is asked for.
//
// Times have the forms of quantrac.ParseTime. asof asks for what was known at
// an earlier time; an endpoint that can only say what is known now is wrapped in
// NowOnly, because an answer that ignores the question would pass for one.
// Errors are of kind Invalid and name the parameter in Prometheus' words. Any
// package with an HTTP surface may import it; it knows no room.
package params

import (
	"math"
	"net/http"
	"net/url"
	"strconv"

	"quantrac"
	"quantrac/internal/jsonapi"
)

// AsOfName is the parameter that AsOf reads.
const AsOfName = "asof"

// Time reads a time; absent is otherwise. A number beyond all times is the end
// of time it lies at: clients write "since ever" so, and Grafana mistakes
// milliseconds for seconds.
func Time(v url.Values, name string, otherwise quantrac.Millis) (quantrac.Millis, error) {
	s := v.Get(name)
	if s == "" {
		return otherwise, nil
	}
	// The Prometheus client for Go writes its ends of time with years of six digits.
	switch s {
	case "-292273086-05-16T16:47:06Z":
		return quantrac.MinMillis, nil
	case "292277025-08-18T07:12:54.999999999Z":
		return quantrac.MaxMillis, nil
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && !math.IsInf(f, 0) {
		if f*1000 <= float64(quantrac.MinMillis) {
			return quantrac.MinMillis, nil
		}
		if f*1000 >= float64(quantrac.MaxMillis) {
			return quantrac.MaxMillis, nil
		}
	}
	t, err := quantrac.ParseTime(s)
	if err != nil {
		return 0, quantrac.Errorf(quantrac.Invalid, "invalid parameter %q: %w", name, err)
	}
	return t, nil
}

// AsOf reads the time as of which is asked, 0 where it is now.
func AsOf(v url.Values) (quantrac.Millis, error) {
	t, err := Time(v, AsOfName, 0)
	if err == nil && v.Get(AsOfName) != "" {
		t = Knowledge(t)
	}
	return t, err
}

// Knowledge makes an as-of of a time, which counts in whole seconds, rounded down, as
// the store's does: readers take 0 for "now", and nothing was committed at or before
// 1970.
func Knowledge(t quantrac.Millis) quantrac.Millis { return max(t-t%1000, 1) }

// NowOnly refuses what is asked as of an earlier time.
func NowOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get(AsOfName) != "" {
			jsonapi.Fail(w, quantrac.Errorf(quantrac.Invalid, "invalid parameter %q: %s answers with what is known now, and keeps no earlier answers; leave it out", AsOfName, r.URL.Path))
			return
		}
		next.ServeHTTP(w, r)
	})
}
