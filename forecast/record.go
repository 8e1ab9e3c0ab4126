package forecast

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"io"

	"quantrac"
)

// A run's journal record is a version byte and the run as JSON, deflated.
// Readers of later versions keep reading this one; the bytes are for ever.
const (
	recordVersion = 1
	maxRunBytes   = 4 << 20 // of JSON; a run of 200 leads has a tenth of it
)

// encodeRun returns the record of a run. ID and commit time are not in it:
// they are the record's own.
func encodeRun(r *Run) ([]byte, error) {
	c := *r
	c.ID, c.Committed = 0, 0
	text, err := json.Marshal(&c)
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	buf.WriteByte(recordVersion)
	z, err := flate.NewWriter(&buf, flate.DefaultCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(text); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// decodeRun reads a record. Errors are Corrupt.
func decodeRun(data []byte) (*Run, error) {
	bad := func(format string, args ...any) (*Run, error) {
		return nil, quantrac.Errorf(quantrac.Corrupt, "forecast run of %d bytes: "+format, append([]any{len(data)}, args...)...)
	}
	if len(data) == 0 {
		return bad("empty")
	}
	if data[0] != recordVersion {
		return bad("version %d at offset 0, version %d is known", data[0], recordVersion)
	}
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(data[1:])), maxRunBytes+1))
	if err != nil {
		return bad("inflating: %w", err)
	}
	if len(text) > maxRunBytes {
		return bad("more than %d bytes inflated", maxRunBytes)
	}
	var r Run
	if err := json.Unmarshal(text, &r); err != nil {
		return bad("%w", err)
	}
	if err := r.check(); err != nil {
		return bad("%w", err)
	}
	return &r, nil
}

// check says what of a run does not hang together.
func (r *Run) check() error {
	bad := func(format string, args ...any) error { return quantrac.Errorf(quantrac.Corrupt, format, args...) }
	if r.Config.Station == "" || r.Config.Property == "" || r.Config.Model == "" {
		return bad("station %q, property %q, model %q", r.Config.Station, r.Config.Property, r.Config.Model)
	}
	if len(r.Leads) == 0 || len(r.Leads) > len(r.Config.Leads) {
		return bad("%d leads of %d", len(r.Leads), len(r.Config.Leads))
	}
	for i := 1; i < len(r.Levels); i++ {
		if !(r.Levels[i] > r.Levels[i-1]) {
			return bad("levels %v do not rise", r.Levels)
		}
	}
	for i, l := range r.Leads {
		if len(l.Quantiles) != len(r.Levels) || l.Persistence != nil && len(l.Persistence) != len(r.Levels) {
			return bad("lead %d: %d and %d quantiles for %d levels", i, len(l.Quantiles), len(l.Persistence), len(r.Levels))
		}
		if i > 0 && l.Time <= r.Leads[i-1].Time {
			return bad("lead %d does not follow the one before", i)
		}
		for k := 1; k < len(l.Quantiles); k++ {
			if l.Quantiles[k] < l.Quantiles[k-1] {
				return bad("lead %d: quantiles fall", i)
			}
		}
	}
	for i, t := range r.Thresholds {
		if len(t.Prob) != len(r.Leads) {
			return bad("threshold %d: %d probabilities for %d leads", i, len(t.Prob), len(r.Leads))
		}
	}
	return nil
}
