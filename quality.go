package quantrac

import "strconv"

// Quality is the verdict of quality control on one value, by the flags of the
// QARTOD manuals (US IOOS). The zero value is NotEvaluated.
//
// Only syntax and gross range may Fail a reading; every other test says at
// most Suspect, because a real flood trips the rate-of-change test.
type Quality uint8

// The verdicts. Code returns their published numbers.
const (
	NotEvaluated Quality = iota // 2: no test has looked at it
	Good                        // 1: passed
	Suspect                     // 3: shown, marked
	Fail                        // 4: kept, never used by rules and forecasts
	Missing                     // 9: said to be absent; the value is NaN
)

var qualityCodes = [...]uint8{NotEvaluated: 2, Good: 1, Suspect: 3, Fail: 4, Missing: 9}

var qualityNames = [...]string{NotEvaluated: "not evaluated", Good: "good", Suspect: "suspect", Fail: "fail", Missing: "missing"}

// Code returns the QARTOD flag: 1, 2, 3, 4 or 9.
func (q Quality) Code() uint8 {
	if int(q) < len(qualityCodes) {
		return qualityCodes[q]
	}
	return qualityCodes[NotEvaluated]
}

// String returns the verdict's name.
func (q Quality) String() string {
	if int(q) < len(qualityNames) {
		return qualityNames[q]
	}
	return "Quality(" + strconv.Itoa(int(q)) + ")"
}

// Usable says whether rules and forecasts may use the value: Good,
// NotEvaluated or Suspect.
func (q Quality) Usable() bool { return q != Fail && q != Missing && int(q) < len(qualityCodes) }

// QualityFromCode returns the verdict of a QARTOD flag.
func QualityFromCode(code uint8) (Quality, error) {
	for q, c := range qualityCodes {
		if c == code {
			return Quality(q), nil
		}
	}
	return NotEvaluated, Errorf(Invalid, "quality flag %d is none of 1 (good), 2 (not evaluated), 3 (suspect), 4 (fail), 9 (missing)", code)
}

// QualitySet is a set of verdicts; the zero value is DefaultQualities.
type QualitySet uint8

// Sets of verdicts.
const (
	// DefaultQualities is what a read shows unless asked otherwise: good, not
	// evaluated, suspect.
	DefaultQualities QualitySet = 1<<Good | 1<<NotEvaluated | 1<<Suspect
	// AllQualities is every verdict.
	AllQualities QualitySet = DefaultQualities | 1<<Fail | 1<<Missing
)

// Has says whether the set holds q.
func (s QualitySet) Has(q Quality) bool {
	if s == 0 {
		s = DefaultQualities
	}
	return s&(1<<q) != 0
}

// ParseQualitySet reads a set as the selector __quality__ writes it: flags
// with commas or bars between ("1,2,3" or "1|2|3"), or "all".
func ParseQualitySet(text string) (QualitySet, error) {
	if text == "all" {
		return AllQualities, nil
	}
	var s QualitySet
	start := 0
	for i := 0; i <= len(text); i++ {
		if i < len(text) && text[i] != ',' && text[i] != '|' {
			continue
		}
		code, err := strconv.ParseUint(text[start:i], 10, 8)
		if err != nil {
			return 0, Errorf(Invalid, "quality set %q: %q is not a flag; write flags such as 1,2,3 or all", text, text[start:i])
		}
		q, err := QualityFromCode(uint8(code))
		if err != nil {
			return 0, Errorf(Invalid, "quality set %q: %w", text, err)
		}
		s, start = s|1<<q, i+1
	}
	return s, nil
}
