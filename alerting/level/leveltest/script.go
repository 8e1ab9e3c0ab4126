// Package leveltest holds what a second opinion on level rules needs: a script
// language, the scripts that fix the machine's meaning, and Naive, an
// implementation of the same machine that shares no code with it. Tests import
// it, here and end to end; nothing that runs does.
//
// A script is lines of words; # begins a comment. Times are 2024-10-01 at
// +07:00 as 15:04, later days as 2T15:04 (day of the month).
//
//	load I=1.00 II=1.50 hyst=0.10 hold=1h gap=46m   the rule; again: a change
//	load none                                       no threshold in force
//	also III=2.00 hyst=0 hold=0 from=10:00 to=12:00 adds thresholds to it
//	at 08:00 0.95 [suspect|fail|missing] [human] [id=c1]
//	revoke c1
//	expect issue I | update II | clear | cancel     of the line before
//
// A line that brings about a transition must be followed by an expect line,
// and one without must not.
package leveltest

import (
	"bufio"
	"fmt"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
	"testing"
	"time"

	"quantrac"
	"quantrac/alerting/level"
)

// Machine is what runs a script: level.Track behind a rule, or Naive.
type Machine interface {
	Load(level.Rule) level.Transition
	Take(level.Reading) level.Transition
	Revoke(correction string, commit uint64) level.Transition
}

// Of returns level.Track as a Machine.
func Of() Machine { return &tracked{} }

type tracked struct {
	rule  level.Rule
	track level.Track
}

func (m *tracked) Load(r level.Rule) level.Transition {
	m.rule = r
	return m.track.Refit(&m.rule)
}
func (m *tracked) Take(rd level.Reading) level.Transition { return m.track.Take(&m.rule, rd) }
func (m *tracked) Revoke(c string, commit uint64) level.Transition {
	return m.track.Revoke(&m.rule, c, commit)
}

// RunScripts runs every *.txt of dir against machines made by open.
func RunScripts(t *testing.T, fsys fs.FS, dir string, open func() Machine) {
	names, err := fs.Glob(fsys, path.Join(dir, "*.txt"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no scripts in %s: %v", dir, err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(path.Base(name), ".txt"), func(t *testing.T) {
			f, err := fsys.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			s := script{m: open(), t: t}
			sc := bufio.NewScanner(f)
			for line := 1; sc.Scan(); line++ {
				s.where = fmt.Sprintf("%s:%d", name, line)
				text, _, _ := strings.Cut(sc.Text(), "#")
				if words := strings.Fields(text); len(words) > 0 {
					s.line(words)
				}
			}
			s.settle()
		})
	}
}

type script struct {
	m       Machine
	t       *testing.T
	where   string // of this line
	rule    level.Rule
	pending level.Transition // not yet expected
	from    string           // where it came from
	commit  uint64
}

func (s *script) settle() {
	s.t.Helper()
	if s.pending.Change != level.None {
		s.t.Errorf("%s: unexpected %s", s.from, Describe(s.pending))
	}
	s.pending = level.Transition{}
}

func (s *script) line(w []string) {
	s.t.Helper()
	if w[0] == "expect" {
		want := strings.Join(w[1:], " ")
		if got := Describe(s.pending); got != want {
			s.t.Errorf("%s: got %q, want %q", s.where, got, want)
		}
		s.pending = level.Transition{}
		return
	}
	s.settle()
	s.from = s.where
	s.commit++
	switch w[0] {
	case "load":
		s.rule = level.Rule{}
		fallthrough
	case "also":
		s.rule.Thresholds = append([]quantrac.Threshold(nil), s.rule.Thresholds...)
		s.load(w[1:])
		s.pending = s.m.Load(s.rule)
	case "at":
		s.pending = s.m.Take(s.reading(w[1:]))
	case "revoke":
		s.pending = s.m.Revoke(w[1], s.commit)
	default:
		s.t.Fatalf("%s: no such command %q", s.where, w[0])
	}
}

func (s *script) load(words []string) {
	s.t.Helper()
	base := quantrac.Threshold{ValidFrom: quantrac.MinMillis, ValidTo: quantrac.MaxMillis}
	values := map[int]float64{}
	for _, w := range words {
		name, text, _ := strings.Cut(w, "=")
		var err error
		switch name {
		case "none":
		case "I", "II", "III":
			values[len(name)], err = strconv.ParseFloat(text, 64)
		case "hyst":
			base.Hysteresis, err = strconv.ParseFloat(text, 64)
		case "hold":
			base.Hold, err = time.ParseDuration(text)
		case "gap":
			s.rule.MaxGap, err = time.ParseDuration(text)
		case "from":
			base.ValidFrom = s.time(text)
		case "to":
			base.ValidTo = s.time(text)
		default:
			err = fmt.Errorf("unknown setting %q", name)
		}
		if err != nil {
			s.t.Fatalf("%s: %v", s.where, err)
		}
	}
	for l := 1; l <= level.Levels; l++ {
		if v, ok := values[l]; ok {
			th := base
			th.Level, th.Value = l, v
			s.rule.Thresholds = append(s.rule.Thresholds, th)
		}
	}
}

func (s *script) time(text string) quantrac.Millis {
	s.t.Helper()
	day := "1"
	if d, rest, ok := strings.Cut(text, "T"); ok {
		day, text = d, rest
	}
	t, err := time.ParseInLocation("2006-01-2T15:04", "2024-10-"+day+"T"+text, quantrac.Zone)
	if err != nil {
		s.t.Fatalf("%s: %v", s.where, err)
	}
	return quantrac.FloorMillis(t)
}

func (s *script) reading(w []string) level.Reading {
	s.t.Helper()
	rd := level.Reading{Time: s.time(w[0]), Commit: quantrac.Commit{Number: s.commit}}
	for _, x := range w[1:] {
		switch {
		case x == "suspect":
			rd.Quality = quantrac.Suspect
		case x == "fail":
			rd.Quality = quantrac.Fail
		case x == "missing":
			rd.Quality, rd.Value = quantrac.Missing, math.NaN()
		case x == "human":
			rd.Layer = quantrac.LayerHuman
		case strings.HasPrefix(x, "id="):
			rd.Correction = x[3:]
		default:
			v, err := strconv.ParseFloat(x, 64)
			if err != nil {
				s.t.Fatalf("%s: %v", s.where, err)
			}
			rd.Value = v
		}
	}
	return rd
}

// Describe says a transition in the words of a script.
func Describe(tr level.Transition) string {
	switch tr.Change {
	case level.Issue, level.Update:
		return tr.Change.String() + " " + strings.Repeat("I", tr.To)
	case level.None:
		return ""
	}
	return tr.Change.String()
}
