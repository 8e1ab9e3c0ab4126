package score

import (
	"fmt"
	"strings"

	"quantrac/internal/scorecard"
	"quantrac/tsdb/internal/score/store"
)

// bar is a wanted figure: ours may be at most so many times the peer's.
type bar struct {
	figure     string
	peer       string
	peerFigure string // as a rule the same
	most       float64
	with       string // how the peer's is measured, where that is not the same
}

// atMost wants our figure to be no more than a share of the peer's.
func atMost(share float64, figure, peer string) bar {
	return bar{figure: figure, peer: peer, peerFigure: figure, most: share}
}

// faster wants the peer to need at least so many times what we need.
func faster(times float64, figure, peer string) bar { return atMost(1/times, figure, peer) }

// wanted is the form in which a bar is met.
func (r bar) wanted() string {
	form := fmt.Sprintf("≤ %s× of %s", number(r.most), r.peer)
	if r.most < 0.5 {
		form = fmt.Sprintf("%s× less than %s", number(1/r.most), r.peer)
	}
	return form + r.with
}

// row measures a bar.
func (r bar) row(f *Figures) scorecard.Row {
	out := scorecard.Row{Name: r.figure, Wanted: r.wanted()}
	ours, measured := f.Get(r.figure, store.Ours)
	peers, compared := f.Get(r.peerFigure, r.peer)
	unit := f.unit(r.figure)
	switch {
	case !measured:
		out.Measured = "not measured"
	case !compared:
		out.Measured = fmt.Sprintf("%s %s; no peer", number(ours), unit)
	default:
		out.Measured = fmt.Sprintf("%s to %s %s: %s×", number(ours), number(peers), unit, number(ours/peers))
		out.OK = ours <= r.most*peers
	}
	return out
}

func (f *Figures) unit(name string) string {
	if r := f.row(name); r != nil {
		return r.unit
	}
	return ""
}

// bars are the wanted figures of the engine.
func (b *Bench) bars() []bar {
	q := map[string]string{}
	for _, x := range append(questions(b.Scale.network()), b.decadeQuestion()) {
		q[x.name] = x.name + " " + x.what
	}
	latest := b.latestQuestion()
	again := func(figure, warm func(string) string, with string) bar {
		return bar{figure(q["q2"]), store.Victoria, warm(q["q2"]), 1, " with a warm cache" + with}
	}
	return []bar{
		atMost(1.0/3, figCPU(theNetwork, 4), store.Victoria),
		atMost(0.55, figBytes(theNetwork), store.Victoria),
		atMost(0.75, figBytes(theNetwork), store.VictoriaLean),
		atMost(0.6, figBytes(recordedLoad), store.Victoria),
		atMost(0.8, figBytes(recordedLoad), store.VictoriaLean),
		faster(2.5, figQuery(q["q1"]), store.Victoria),
		faster(2.5, figQuery(q["q4"]), store.Victoria),
		faster(2.5, figQuery(q["q4b"]), store.Victoria),
		faster(4, figQuery(q["q4c"]), store.Victoria),
		faster(3, figQuery(q["q5"]), store.Victoria),
		faster(10, figQuery(q["q3"]), store.Victoria),
		faster(4, figQuery(latest.name+" "+latest.what), store.PrometheusName),
		faster(4, figQuery(q["q2"]), store.Victoria),
		again(figWarm, figWarm, ""),
		again(figQueryUnderLate, figPaced, ", asked as often"),
		faster(15, figQuery(q["q6"]), store.Victoria),
		faster(50, figQuery(q["q7"]), store.Victoria),
		atMost(1, figCPU(singlesLoad, 4), store.Victoria),
		atMost(1, figBytes(singlesLoad), store.Victoria),
		atMost(1, figPeak(singlesLoad), store.Victoria),
		atMost(1, figPeak(theNetwork), store.Victoria),
	}
}

// Card sets what was measured against what is wanted.
func (b *Bench) Card() []scorecard.Row {
	var card []scorecard.Row
	for _, r := range b.bars() {
		card = append(card, r.row(&b.Figures))
	}
	card = append(card,
		b.limit(figOnTop, 0.1, ""),
		b.limit(figOpen, 5, fmt.Sprintf(" with %s million values", number(float64(b.opened)/1e6))))
	card = append(card, b.Checks...)
	for _, text := range b.Figures.Failures {
		card = append(card, scorecard.Row{Name: "not measured", Measured: text, Wanted: "measured"})
	}
	return append(card, b.reported()...)
}

// limit is a figure of ours that has a bound of its own.
func (b *Bench) limit(figure string, most float64, more string) scorecard.Row {
	v, ok := b.Figures.Get(figure, store.Ours)
	unit := b.Figures.unit(figure)
	row := scorecard.Row{Name: figure + more, Measured: "not measured", Wanted: fmt.Sprintf("≤ %s %s", number(most), unit)}
	if ok {
		row.Measured, row.OK = fmt.Sprintf("%s %s", number(v), unit), v <= most
	}
	return row
}

// reported are figures of ours that nobody has set a bar for.
func (b *Bench) reported() []scorecard.Row {
	var out []scorecard.Row
	n := b.Scale.network()
	q2 := areaMaxima(n, lastWeek(n))
	for _, name := range []string{figSettledCPU(theNetwork), figCPU(theNetwork, 1), figFirst(q2.name + " " + q2.what), figLost} {
		var parts []string
		for _, s := range b.Stores() {
			if v, ok := b.Figures.Get(name, s); ok {
				parts = append(parts, fmt.Sprintf("%s %s", s, number(v)))
			}
		}
		if len(parts) > 0 {
			out = append(out, scorecard.Row{Name: name, Measured: strings.Join(parts, "; ") + " " + b.Figures.unit(name)})
		}
	}
	return out
}
