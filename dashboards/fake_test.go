package dashboards

import (
	"context"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"quantrac"
)

// fakeNow is when the tests look: 03:12 at +07:00 in the flood season.
var fakeNow = quantrac.FloorMillis(time.Date(2026, 10, 7, 3, 12, 0, 0, quantrac.Zone))

// fakeStore holds series in memory and answers as the store does.
type fakeStore struct {
	mu    sync.Mutex
	now   func() quantrac.Millis
	data  map[string]*Series
	err   error // returned by both calls while set
	calls int
}

func newFakeStore(now func() quantrac.Millis) *fakeStore {
	return &fakeStore{now: now, data: map[string]*Series{}}
}

// put appends a sample in time order.
func (f *fakeStore) put(ls quantrac.Labels, t quantrac.Millis, v float64, q quantrac.Quality) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.data[ls.Key()]
	if s == nil {
		s = &Series{Labels: ls}
		f.data[ls.Key()] = s
	}
	i, found := slices.BinarySearch(s.Times, t)
	if found {
		s.Values[i], s.Qualities[i] = v, q
		return
	}
	s.Times = slices.Insert(s.Times, i, t)
	s.Values = slices.Insert(s.Values, i, v)
	s.Qualities = slices.Insert(s.Qualities, i, q)
}

func (f *fakeStore) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fakeStore) Latest(ctx context.Context, ms []*quantrac.Matcher) ([]Reading, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if f.err != nil {
		return nil, f.err
	}
	var out []Reading
	for _, s := range f.data {
		if !quantrac.MatchAll(s.Labels, ms) || !sees(quantrac.PrincipalFrom(ctx), s.Labels.Station()) {
			continue
		}
		for i := len(s.Times) - 1; i >= 0; i-- {
			if s.Qualities[i].Usable() && s.Times[i] <= f.now().Add(quantrac.MaxAhead) {
				out = append(out, Reading{Labels: s.Labels, Time: s.Times[i], Value: s.Values[i], Quality: s.Qualities[i]})
				break
			}
		}
	}
	return out, nil
}

func (f *fakeStore) Range(ctx context.Context, ms []*quantrac.Matcher, from, to, asOf quantrac.Millis, qs quantrac.QualitySet) ([]Series, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if f.err != nil {
		return nil, f.err
	}
	var out []Series
	for _, s := range f.data {
		if !quantrac.MatchAll(s.Labels, ms) || !sees(quantrac.PrincipalFrom(ctx), s.Labels.Station()) {
			continue
		}
		cut := Series{Labels: s.Labels}
		for i, t := range s.Times {
			known := asOf == 0 || t <= asOf // everything came at once
			if known && t >= from && t <= to && qs.Has(s.Qualities[i]) {
				cut.Times, cut.Values, cut.Qualities = append(cut.Times, t), append(cut.Values, s.Values[i]), append(cut.Qualities, s.Qualities[i])
			}
		}
		if len(cut.Times) > 0 {
			out = append(out, cut)
		}
	}
	return out, nil
}

// fakeRegistry holds stations, what they measure and their levels.
type fakeRegistry struct {
	mu         sync.Mutex
	stations   []quantrac.Station
	properties map[string][]quantrac.Property
	thresholds []quantrac.Threshold
}

func (f *fakeRegistry) Stations(quantrac.Millis) []quantrac.Station {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.stations)
}

func (f *fakeRegistry) Properties(station string) []quantrac.Property {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.properties[station]
}

func (f *fakeRegistry) Thresholds(station, property string, at quantrac.Millis) []quantrac.Threshold {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []quantrac.Threshold
	for _, t := range f.thresholds {
		if t.Station == station && t.Property == property && t.InForce(at) {
			out = append(out, t)
		}
	}
	return out
}

type fakeWarnings struct {
	mu   sync.Mutex
	list []quantrac.Warning
}

func (f *fakeWarnings) Current(_ context.Context, a quantrac.Audience) []quantrac.Warning {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []quantrac.Warning
	for _, w := range f.list {
		if w.Audience == a {
			out = append(out, w)
		}
	}
	return out
}

func (f *fakeWarnings) set(list ...quantrac.Warning) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = list
}

type fakeForecasts map[string][]Forecast

func (f fakeForecasts) Current(_ context.Context, station, property string) ([]Forecast, error) {
	return f[station+" "+property], nil
}

// fakeFeed passes on what tests send.
type fakeFeed chan Change

func (f fakeFeed) Changes(ctx context.Context) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		for {
			select {
			case c := <-f:
				if !yield(c, nil) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

// network is a made-up province to look at.
type network struct {
	clock     *quantrac.ManualClock
	store     *fakeStore
	registry  *fakeRegistry
	warnings  *fakeWarnings
	forecasts fakeForecasts
	feed      fakeFeed
}

func (n *network) deps() Deps {
	return Deps{Registry: n.registry, Readings: n.store, Warnings: n.warnings, Forecasts: n.forecasts, Feed: n.feed}
}

func nan() float64 { return math.NaN() }

func level() quantrac.Property {
	return quantrac.Property{Name: "water_level_meters", Unit: "m", Interval: 10 * time.Minute, Decimals: 2, HumanName: "Mực nước", HumanNameEn: "Water level", TrendEpsilon: 0.01, Min: nan(), Max: nan()}
}

// newNetwork makes a network shaped like the plan's: two gauges (one above its
// second watch level, rising), a silent and a failing lightning station, traps.
func newNetwork() *network {
	n := &network{
		clock: quantrac.NewManualClock(fakeNow), registry: &fakeRegistry{properties: map[string][]quantrac.Property{}},
		warnings: &fakeWarnings{}, forecasts: fakeForecasts{}, feed: make(fakeFeed, 16),
	}
	n.store = newFakeStore(n.clock.Now)
	rnd := rand.New(rand.NewPCG(7, 7))
	n.addGauge("tan-quoi", "Tân Quới", 10.6568, 105.3775, "30154", "Sông Tiền", 2.62, 0.0022, rnd)
	n.addGauge("tram-chim", "Tràm Chim", 10.6692, 105.5650, "30001", "Kênh Đồng Tiến", 1.31, -0.0001, rnd)
	n.addLightning(rnd)
	n.addTraps(rnd)
	n.addForecast("tan-quoi")
	n.warnings.set(n.warning())
	return n
}

func (n *network) add(s quantrac.Station, ps ...quantrac.Property) {
	s.Simulated = true
	s.Operator = "Chi cục Thủy lợi"
	n.registry.stations = append(n.registry.stations, s)
	n.registry.properties[s.ID] = ps
}

func (n *network) addGauge(id, name string, lat, lon float64, commune, river string, base, slope float64, rnd *rand.Rand) {
	n.add(quantrac.Station{ID: id, Name: name, Family: quantrac.FamilyGauge, Lat: lat, Lon: lon, Commune: commune, River: river, District: "Huyện Thanh Bình", Upstream: map[string][]string{"tram-chim": {"tan-quoi"}}[id]},
		level(),
		quantrac.Property{Name: "battery_volts", Unit: "V", Interval: time.Hour, Decimals: 1, HumanName: "Điện áp pin", HumanNameEn: "Battery", TrendEpsilon: 0.5})
	for i, v := range []float64{base - 0.4, base - 0.05, base + 0.35} {
		n.registry.thresholds = append(n.registry.thresholds, quantrac.Threshold{
			ID: fmt.Sprint(id, i), Station: id, Property: "water_level_meters", Kind: quantrac.ThresholdWatch, Level: i + 1, Value: math.Round(v*100) / 100, Unit: "m", ValidTo: quantrac.MaxMillis,
		})
	}
	if id == "tram-chim" { // calm: all levels above
		for i := range n.registry.thresholds[3:] {
			n.registry.thresholds[3+i].Value += 0.6
		}
	}
	ls := quantrac.NewLabels(quantrac.LabelMetric, "water_level_meters", quantrac.LabelStation, id)
	volts := quantrac.NewLabels(quantrac.LabelMetric, "battery_volts", quantrac.LabelStation, id)
	for i := 0; i < 31*144; i++ {
		t := fakeNow.Add(-2 * time.Minute).Add(-time.Duration(i) * 10 * time.Minute)
		h := t.Sub(fakeNow).Hours()
		if h < -52 && h > -60 {
			continue // a gap
		}
		v := base + slope*h + 0.16*math.Sin(2*math.Pi*(h+1.2)/12.42) + 0.07*math.Sin(2*math.Pi*h/23.93) + 0.004*rnd.NormFloat64()
		q := quantrac.Good
		switch i {
		case 70, 71:
			v, q = v+0.35, quantrac.Suspect
		case 90:
			v, q = -9999, quantrac.Fail
		}
		n.store.put(ls, t, math.Round(v*100)/100, q)
		if i%6 == 0 {
			n.store.put(volts, t, math.Round((12.6+0.4*math.Sin(2*math.Pi*h/24))*10)/10, quantrac.Good)
		}
	}
}

func (n *network) addLightning(rnd *rand.Rand) {
	places := []struct {
		name     string
		lat, lon float64
	}{
		{"Cao Lãnh", 10.4550, 105.6340}, {"Sa Đéc", 10.2901, 105.7517}, {"Hồng Ngự", 10.8083, 105.3414}, {"Tân Hồng", 10.8761, 105.4771},
		{"Thường Phước", 10.7980, 105.2897}, {"Tam Nông", 10.7193, 105.5474}, {"Tháp Mười", 10.5303, 105.8290}, {"Mỹ Thọ", 10.4708, 105.7116},
		{"Thanh Bình", 10.5935, 105.4771}, {"Lấp Vò", 10.3648, 105.5179}, {"Lai Vung", 10.2555, 105.6647}, {"Châu Thành", 10.2485, 105.8055},
		{"Tân Hồng 2", 10.8400, 105.5500}, {"Tháp Mười 2", 10.6000, 105.8000}, {"Hồng Ngự 2", 10.8600, 105.3100}, {"Lai Vung 2", 10.3000, 105.6000},
	}
	for i, p := range places {
		id := fmt.Sprintf("dong-%02d", i+1)
		n.add(quantrac.Station{ID: id, Name: p.name, Family: quantrac.FamilyLightning, Lat: p.lat, Lon: p.lon, District: "Huyện " + p.name},
			quantrac.Property{Name: "lightning_state", Interval: time.Minute, HumanName: "Trạng thái dông", HumanNameEn: "Thunderstorm state"})
		ls := quantrac.NewLabels(quantrac.LabelMetric, "lightning_state", quantrac.LabelStation, id)
		from := 0
		if i == 8 {
			from = 5 * 60 // silent for five hours
		}
		for m := from; m < 24*60; m++ {
			v := 0.0
			if m < 90 && i%5 == 1 {
				v = float64(1 + rnd.IntN(2))
			}
			if i == 6 && m < 40 {
				v = 3
			}
			q := quantrac.Good
			if i == 9 && m < 10 {
				v, q = 99, quantrac.Fail
			}
			n.store.put(ls, fakeNow.Add(-time.Duration(m)*time.Minute), v, q)
		}
	}
}

func (n *network) addTraps(rnd *rand.Rand) {
	places := []struct {
		name     string
		lat, lon float64
		commune  string
	}{
		{"HTX Mỹ Đông", 10.5212, 105.7938, "30055"}, {"HTX Thắng Lợi", 0, 0, ""}, {"Bình Phú", 10.8901, 105.4185, "29926"}, {"Tân Thành A", 10.8858, 105.5482, "29938"},
		{"An Phước", 10.8046, 105.4830, "29944"}, {"Hòa Bình", 10.7634, 105.6471, "30025"}, {"An Long", 10.7206, 105.4127, "30028"}, {"Tân Mỹ", 10.6215, 105.5357, "30130"},
		{"Phương Thịnh", 10.5983, 105.6706, "30043"}, {"Vĩnh Thạnh", 10.3396, 105.6119, "30169"}, {"Mỹ Xương", 10.4112, 105.7058, "30076"}, {"An Nhơn", 10.2730, 105.8584, "30244"}, {"Long Hậu", 10.2847, 105.6237, "30208"},
	}
	species := map[string]float64{"nilaparvata_lugens": 90, "sogatella_furcifera": 25, "cnaphalocrocis_medinalis": 12, "scirpophaga_incertulas": 8, "cyrtorhinus_lividipennis": 30, "paederus_fuscipes": 9}
	for i, p := range places {
		id := fmt.Sprintf("bay-%02d", i+1)
		n.add(quantrac.Station{ID: id, Name: p.name, Family: quantrac.FamilyInsect, Lat: p.lat, Lon: p.lon, Commune: p.commune},
			quantrac.Property{Name: "insect_catch", Unit: "con/bẫy/đêm", Interval: 24 * time.Hour, HumanName: "Số con vào đèn", HumanNameEn: "Catch"})
		for _, sp := range sortedKeys(species) {
			ls := quantrac.NewLabels(quantrac.LabelMetric, "insect_catch", quantrac.LabelStation, id, quantrac.LabelSpecies, sp)
			for night := 1; night <= 31; night++ {
				at := time.Date(2026, 10, 7-night, 22, 0, 0, 0, quantrac.Zone)
				v := math.Round(species[sp] * math.Exp(0.6*rnd.NormFloat64()) * (1 + 2*math.Exp(-math.Pow(float64(night-4), 2)/8)))
				n.store.put(ls, quantrac.FloorMillis(at), v, quantrac.Good)
			}
		}
	}
}

func (n *network) addForecast(id string) {
	f := Forecast{Model: "arx", Issue: fakeNow.Add(-42 * time.Minute), Quantiles: []float64{0.1, 0.25, 0.5, 0.75, 0.9}, Values: make([][]float64, 5)}
	for lead := 1; lead <= 48; lead++ {
		h := float64(lead) - 0.7
		f.Times = append(f.Times, f.Issue.Add(time.Duration(lead)*time.Hour))
		mid := 2.62 + 0.0022*h + 0.16*math.Sin(2*math.Pi*(h+1.2)/12.42) + 0.07*math.Sin(2*math.Pi*h/23.93)
		for q, z := range []float64{-1.28, -0.67, 0, 0.67, 1.28} {
			f.Values[q] = append(f.Values[q], mid+z*0.02*math.Sqrt(h))
		}
	}
	for _, t := range n.registry.thresholds[:3] {
		f.Exceed = append(f.Exceed, quantrac.Exceedance{Threshold: t, PMax: map[int]float64{1: 0.999, 2: 0.97, 3: 0.34}[t.Level]})
	}
	n.forecasts[id+" water_level_meters"] = []Forecast{f}
}

func (n *network) warning() quantrac.Warning {
	return quantrac.Warning{
		ID: "w1", Revision: 2, Epoch: 1, State: quantrac.WarningUpdated, Rule: "level", Audience: quantrac.AudiencePublic, Station: "tan-quoi", Property: "water_level_meters",
		Level: 2, Value: 2.71, Threshold: 2.57, Unit: "m", ValidTime: fakeNow.Add(-2 * time.Minute), Onset: fakeNow.Add(-95 * time.Minute), Sent: fakeNow.Add(-time.Minute), Simulated: true,
		Headline: quantrac.Text{Vi: "Tân Quới: mực nước trên ngưỡng theo dõi II", En: "Tân Quới: water above watch level II"},
		Detail:   quantrac.Text{Vi: "Lúc 03:10 ngày 07/10 mực nước tại Tân Quới là 2,71 m, vượt ngưỡng theo dõi II (2,57 m) 0,14 m và đang lên.", En: "At 03:10 on 7 October the water at Tân Quới stood at 2.71 m, 0.14 m above watch level II (2.57 m), rising."},
		Advice:   quantrac.Text{Vi: "Kiểm tra bờ bao và cống, đưa máy bơm, vật tư lên cao. Theo dõi bản tin của cơ quan khí tượng thủy văn.", En: "Check dikes and sluices, move pumps and material up. Follow the bulletins of the hydrometeorological service."},
	}
}

// feedFunc is a feed of one function.
type feedFunc func(ctx context.Context, yield func(Change, error) bool)

func (f feedFunc) Changes(ctx context.Context) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) { f(ctx, yield) }
}
