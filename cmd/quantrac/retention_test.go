package main

import (
	"strings"
	"testing"
	"time"
)

func TestRetention(t *testing.T) {
	r, err := parseRetention([]string{"battery_*=2y", "rainfall_millimeters=0", "*_meters=3650d", "*=1w"})
	if err != nil {
		t.Fatal(err)
	}
	for property, want := range map[string]time.Duration{
		"battery_volts": 2 * 365 * 24 * time.Hour, "rainfall_millimeters": 0,
		"water_level_meters": 3650 * 24 * time.Hour, "water_ph": 7 * 24 * time.Hour,
	} {
		if got := r.of(nil, property); got != want {
			t.Errorf("%s is kept for %v, want %v", property, got, want)
		}
	}
	if r, err := parseRetention(nil); err != nil || r.of(nil, "x") != 0 {
		t.Errorf("without classes: %v, %v", r, err)
	}
	for bad, want := range map[string]string{
		"battery_volts": "write PATTERN=DURATION", "=2y": "write PATTERN=DURATION", "[=2y": "write PATTERN=DURATION",
		"x=two years": `"x=two years"`, "x=2h": "less than a day",
	} {
		if _, err := parseRetention([]string{bad}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", bad, err, want)
		}
	}
}
