package score

import (
	"fmt"
	"net/url"
	"time"

	"quantrac/tsdb/internal/score/load"
	"quantrac/tsdb/internal/score/store"
)

// question is one query of the comparison.
type question struct {
	name string // q1 …, as in the published figures
	what string
	store.Question
	// tolerance is how far values may lie from the peer's, as answer.Compare
	// takes it.
	tolerance float64
}

// slopes is how far the slopes of two implementations may lie apart, for the
// order in which they add up.
const slopes = 1e-9

// seriesOnly has the values left alone: a rate of VictoriaMetrics looks before
// its window and does not extrapolate, so that it is another number.
const seriesOnly = -1

// level is the metric that every station has.
func level() string { return load.Metric(0) }

// latestOfAll is the place of q3 among the questions.
const latestOfAll = 3

// questions are those of the published figures, over a network's whole time, its
// last week and its last day.
func questions(n load.Network) []question {
	span := n.Until.Sub(n.Start())
	week, day := min(span, 7*24*time.Hour), min(span, 24*time.Hour)
	one := fmt.Sprintf("%s{station=%q}", level(), load.Station(n.Stations/3))
	// Half a minute after the last reading, jitter included.
	now := n.Until.Add(-n.Step + 30*time.Second)
	return []question{
		{"q1", "one series over " + days(span), lookback(ranged(one, n.Start(), n.Until, n.Step)), 0},
		{"q1r", "its raw values", instant(fmt.Sprintf("%s[%s]", one, seconds(span)), now), 0},
		areaMaxima(n, week),
		{"q3", "latest of all", instant(fmt.Sprintf("last_over_time(%s[1h])", level()), now), 0},
		{"q4", "deriv of all over " + days(day), ranged(fmt.Sprintf("deriv(%s[1h])", level()), n.Until.Add(-day), n.Until, n.Step), slopes},
		{"q4b", "rate of all over " + days(day), ranged(fmt.Sprintf("rate(%s[1h])", level()), n.Until.Add(-day), n.Until, n.Step), seriesOnly},
		{"q4c", "average of the slopes", ranged(fmt.Sprintf("avg(deriv(%s[1h]))", level()), n.Until.Add(-day), n.Until, n.Step), slopes},
		{"q5", "label values of " + days(day), store.Question{Path: "/api/v1/label/station/values", Params: url.Values{
			"start": {stamp(n.Until.Add(-day))}, "end": {stamp(n.Until)},
		}}, 0},
		{"q6", "maxima by area over " + days(span), instant(fmt.Sprintf("max by (area) (max_over_time(%s[%s]))", level(), seconds(span)), now), 0},
	}
}

// areaMaxima asks for the maxima by area per hour, q2.
func areaMaxima(n load.Network, span time.Duration) question {
	from := n.Until.Add(-span).Truncate(time.Hour)
	return question{
		"q2", "maxima by area per hour over " + days(span),
		ranged(fmt.Sprintf("max by (area) (max_over_time(%s[1h]))", level()), from, n.Until.Truncate(time.Hour), time.Hour), 0,
	}
}

// dailyMaxima asks for the highest level of every civil day at +07:00.
func dailyMaxima(n load.Network) question {
	const day = 24 * time.Hour
	first := n.Start().Truncate(day).Add(day + 17*time.Hour)
	return question{
		"q7", "daily maxima over " + days(n.Until.Sub(n.Start())),
		ranged(fmt.Sprintf("max_over_time(%s[1d])", level()), first, n.Until, day), 0,
	}
}

func instant(expr string, at time.Time) store.Question {
	return store.Question{Path: "/api/v1/query", Params: url.Values{"query": {expr}, "time": {stamp(at)}}}
}

func ranged(expr string, from, to time.Time, step time.Duration) store.Question {
	return store.Question{Path: "/api/v1/query_range", Params: url.Values{
		"query": {expr}, "start": {stamp(from)}, "end": {stamp(to)}, "step": {seconds(step)},
	}}
}

// lookback has an instant see no further than one step of the network back, so
// that no store's own idea of staleness counts.
func lookback(q store.Question) store.Question {
	q.Lookback = q.Params.Get("step")
	return q
}

func stamp(t time.Time) string          { return fmt.Sprint(t.Unix()) }
func seconds(d time.Duration) string    { return fmt.Sprintf("%ds", int(d.Seconds())) }
func days(d time.Duration) string       { return number(d.Hours()/24) + " d" }
func figQuery(q string) string          { return q + " p50, nothing cached" }
func figQueryCPU(q string) string       { return q + " CPU, nothing cached" }
func figWarm(q string) string           { return q + " p50, again" }
func figFirst(q string) string          { return q + ", the first time after a restart" }
func figPaced(q string) string          { return q + " p50, again, ten times a second" }
func figQueryUnderLate(q string) string { return q + " p50, again, while late data arrive" }
