package forecast

import "strings"

// splitUnit parts a metric name into what it is of and its unit, which is the
// last word, or the words around "per": discharge, cubic_meters_per_second.
// base is "" where the name is a single word.
func splitUnit(metric string) (base, unit string) {
	words := strings.Split(metric, "_")
	at := len(words) - 1
	for i, w := range words {
		if w == "per" && i > 0 && i+1 < len(words) {
			at = i - 1
			break
		}
	}
	if at > 0 && (words[at-1] == "cubic" || words[at-1] == "square") {
		at--
	}
	return strings.Join(words[:at], "_"), strings.Join(words[at:], "_")
}
