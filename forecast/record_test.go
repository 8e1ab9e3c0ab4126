package forecast

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"quantrac"
)

func sampleRun() *Run {
	h := Duration(time.Hour)
	pi := 0.4
	r := &Run{Config: Config{Source: Source{Station: "a", Property: StageMetric}, Model: "arx", Kind: KindARX, Step: h, Leads: []Duration{h, 2 * h}},
		Issue: 3600_000, Levels: []float64{.05, .5, .95}, Reason: ReasonSchedule, Inputs: []Input{{Source: Source{Station: "a", Property: StageMetric}}}}
	for i := range 2 {
		r.Leads = append(r.Leads, Lead{Ahead: Duration(i+1) * h, Time: r.Issue.Add(time.Duration(i+1) * time.Hour), Point: 1,
			Quantiles: []float64{.9, 1, 1.1}, Persistence: []float64{.8, 1, 1.2}, Index: &pi})
	}
	r.Thresholds = []Exceedance{{Threshold: thresholdOf(quantrac.Threshold{ID: "x", Kind: quantrac.ThresholdAlarm, Level: 1, Value: 2, ValidTo: quantrac.MaxMillis}), Prob: []float64{.1, .2}, PMax: .3}}
	return r
}

func TestRecordRoundTrip(t *testing.T) {
	r := sampleRun()
	data, err := encodeRun(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeRun(data)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, r) {
		t.Errorf("decoded %+v, want %+v", got, r)
	}
	again, err := encodeRun(got)
	if err != nil || !bytes.Equal(again, data) {
		t.Errorf("encoded again differs (%v)", err)
	}
}

// pack makes a record of any JSON.
func pack(t testing.TB, text []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	buf.WriteByte(recordVersion)
	z, err := flate.NewWriter(&buf, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestDamagedRecords(t *testing.T) {
	good, err := encodeRun(sampleRun())
	if err != nil {
		t.Fatal(err)
	}
	edit := func(change func(r *Run)) []byte {
		r := sampleRun()
		change(r)
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return pack(t, text)
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":           {nil, "empty"},
		"later version":   {[]byte{9, 1, 2}, "version 9"},
		"cut":             {good[:len(good)-3], "inflating"},
		"not JSON":        {pack(t, []byte("levels")), "invalid character"},
		"a bomb":          {pack(t, bytes.Repeat([]byte{' '}, maxRunBytes+2)), "inflated"},
		"no station":      {edit(func(r *Run) { r.Config.Station = "" }), "station"},
		"no leads":        {edit(func(r *Run) { r.Leads = nil }), "0 leads"},
		"too many leads":  {edit(func(r *Run) { r.Config.Leads = r.Config.Leads[:1] }), "2 leads of 1"},
		"leads fall":      {edit(func(r *Run) { r.Leads[1].Time = r.Leads[0].Time }), "does not follow"},
		"quantiles fall":  {edit(func(r *Run) { r.Leads[1].Quantiles[2] = 0 }), "quantiles fall"},
		"quantiles short": {edit(func(r *Run) { r.Leads[1].Quantiles = nil }), "quantiles for"},
		"levels fall":     {edit(func(r *Run) { r.Levels[0] = .9 }), "do not rise"},
		"probabilities":   {edit(func(r *Run) { r.Thresholds[0].Prob = nil }), "probabilities"},
	} {
		_, err := decodeRun(c.data)
		if quantrac.KindOf(err) != quantrac.Corrupt || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want a corrupt record that says %q", name, err, c.want)
		}
	}
}

func FuzzDecodeRun(f *testing.F) {
	good, err := encodeRun(sampleRun())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(pack(f, []byte(`{"leads":[{}]}`)))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeRun(data)
		if err != nil {
			if quantrac.KindOf(err) != quantrac.Corrupt {
				t.Fatalf("error %v is not corrupt", err)
			}
			return
		}
		again, err := encodeRun(r)
		if err != nil {
			t.Fatalf("decoded run cannot be encoded: %v", err)
		}
		b, err := decodeRun(again)
		if err != nil {
			t.Fatalf("encoded again it cannot be decoded: %v", err)
		}
		third, err := encodeRun(b)
		if err != nil || !bytes.Equal(again, third) {
			t.Fatalf("encoding is not stable (%v)", err)
		}
		r.batch()
		r.Outlook()
	})
}

// FuzzRunText feeds the JSON below the compression.
func FuzzRunText(f *testing.F) {
	text, err := json.Marshal(sampleRun())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := decodeRun(pack(t, text))
		if err == nil {
			r.batch()
			r.Outlook()
		} else if quantrac.KindOf(err) != quantrac.Corrupt {
			t.Fatalf("error %v is not corrupt", err)
		}
	})
}
