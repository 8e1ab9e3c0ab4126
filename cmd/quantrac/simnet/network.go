package simnet

import (
	"fmt"
	"math"
	"time"

	"quantrac"
)

// Metric names of the simulated instruments.
const (
	WaterLevel = "water_level_meters"
	Rainfall   = "rainfall_millimeters"
	Battery    = "battery_volts"
	Field      = "electric_field_volts_per_meter"
	State      = "lightning_state"
	Catch      = "insect_catch"
)

// Expected intervals between readings.
const (
	gaugeInterval     = 10 * time.Minute
	lightningInterval = time.Minute
	trapInterval      = 24 * time.Hour
)

// Station is one simulated station with its device and what it measures.
type Station struct {
	quantrac.Station
	Device     string
	Properties []quantrac.Property
	Thresholds []quantrac.Threshold
	key        uint64 // of its own noise
}

// place is a line of the plan's station list, with the coordinates of the
// former commune's centre.
type place struct {
	id, name, district, commune string
	lat, lon                    float64
}

// The two gauges of the plan. No authority has set alarm levels for them, so
// they carry watch levels.
var gauges = []place{
	{"tan_quoi", "Tân Quới", "Huyện Thanh Bình", "30154", 10.6568, 105.3775},
	{"tram_chim", "Tràm Chim", "Huyện Tam Nông", "30001", 10.6692, 105.5650},
}

// The thirteen light traps of the plan.
var traps = []place{
	{"my_dong", "HTX Mỹ Đông", "Huyện Tháp Mười", "30055", 10.5212, 105.7938},
	{"thang_loi", "HTX Thắng Lợi", "Huyện Tháp Mười", "", 10.5303, 105.8290},
	{"binh_phu", "Bình Phú", "Huyện Tân Hồng", "29926", 10.8901, 105.4185},
	{"tan_thanh_a", "Tân Thành A", "Huyện Tân Hồng", "29938", 10.8858, 105.5482},
	{"an_phuoc", "An Phước", "Huyện Tân Hồng", "29944", 10.8046, 105.4830},
	{"hoa_binh", "Hòa Bình", "Huyện Tam Nông", "30025", 10.7634, 105.6471},
	{"an_long", "An Long", "Huyện Tam Nông", "30028", 10.7206, 105.4127},
	{"tan_my", "Tân Mỹ", "Huyện Thanh Bình", "30130", 10.6215, 105.5357},
	{"phuong_thinh", "Phương Thịnh", "Huyện Cao Lãnh", "30043", 10.5983, 105.6706},
	{"vinh_thanh", "Vĩnh Thạnh", "Huyện Lấp Vò", "30169", 10.3396, 105.6119},
	{"my_xuong", "Mỹ Xương", "Huyện Cao Lãnh", "30076", 10.4112, 105.7058},
	{"an_nhon", "An Nhơn", "Huyện Châu Thành", "30244", 10.2730, 105.8584},
	{"long_hau", "Long Hậu", "Huyện Lai Vung", "30208", 10.2847, 105.6237},
}

// The twelve former districts; the plan's sixteen lightning stations stand in
// them, and as it does not say where, the four largest get two.
var districts = []place{
	{"cao_lanh_tp", "TP. Cao Lãnh", "Thành phố Cao Lãnh", "29869", 10.4550, 105.6340},
	{"sa_dec", "Sa Đéc", "Thành phố Sa Đéc", "", 10.2901, 105.7517},
	{"hong_ngu_tp", "TP. Hồng Ngự", "Thành phố Hồng Ngự", "", 10.8083, 105.3414},
	{"tan_hong", "Tân Hồng", "Huyện Tân Hồng", "", 10.8761, 105.4771},
	{"hong_ngu", "H. Hồng Ngự", "Huyện Hồng Ngự", "", 10.7980, 105.2897},
	{"tam_nong", "Tam Nông", "Huyện Tam Nông", "", 10.7193, 105.5474},
	{"thap_muoi", "Tháp Mười", "Huyện Tháp Mười", "", 10.5303, 105.8290},
	{"cao_lanh", "H. Cao Lãnh", "Huyện Cao Lãnh", "", 10.4708, 105.7116},
	{"thanh_binh", "Thanh Bình", "Huyện Thanh Bình", "", 10.6135, 105.4771},
	{"lap_vo", "Lấp Vò", "Huyện Lấp Vò", "", 10.3448, 105.6178},
	{"lai_vung", "Lai Vung", "Huyện Lai Vung", "", 10.2555, 105.6647},
	{"chau_thanh", "Châu Thành", "Huyện Châu Thành", "", 10.2485, 105.8055},
}

// secondLightning are the districts with a second lightning station.
var secondLightning = map[string]bool{"thap_muoi": true, "cao_lanh": true, "tam_nong": true, "tan_hong": true}

// Species are what the traps count: pests and natural enemies, by scientific
// name. base is the catch per trap-night between peaks, peak the height of a
// peak in multiples of it, lag how many days it follows the planthopper's.
var species = []struct {
	name             string
	base, peak, lag  float64
	enemy, fruitOnly bool
}{
	{name: "nilaparvata_lugens", base: 30, peak: 18},
	{name: "sogatella_furcifera", base: 12, peak: 10, lag: 2},
	{name: "nephotettix_virescens", base: 15, peak: 5, lag: 6},
	{name: "scirpophaga_incertulas", base: 4, peak: 6, lag: 11},
	{name: "cnaphalocrocis_medinalis", base: 6, peak: 5, lag: 9},
	{name: "cyrtorhinus_lividipennis", base: 20, peak: 6, lag: 4, enemy: true},
	{name: "paederus_fuscipes", base: 8, peak: 2, lag: 5, enemy: true},
	{name: "bactrocera_dorsalis", base: 9, peak: 4, lag: 3, fruitOnly: true},
}

// fruitTraps stand in orchards: mango, longan, citrus.
var fruitTraps = map[string]bool{"my_xuong": true, "an_nhon": true, "long_hau": true}

// Network returns the stations of the plan, factor times: 2 gauges, 16
// lightning stations and 13 traps for factor 1. Copies stand a little off the
// original and carry its name with a number. A factor below 1 counts as 1.
func Network(factor int, seed uint64) []Station {
	var out []Station
	for n := 1; n <= max(factor, 1); n++ {
		for i, p := range gauges {
			s := station("gauge_", p, n, quantrac.FamilyGauge, seed)
			s.River = [...]string{"Sông Tiền", "Kênh Đồng Tiến"}[i]
			if i == 1 {
				s.Upstream = []string{suffixed("sim_gauge_tan_quoi", n)}
			}
			s.Properties = gaugeProperties()
			s.Thresholds = watchLevels(s.ID, [...][3]float64{{2.2, 2.6, 3.0}, {1.4, 1.7, 2.0}}[i])
			out = append(out, s)
		}
		for _, p := range districts {
			out = append(out, lightning(p, n, seed))
			if secondLightning[p.id] {
				p.id, p.name, p.lat, p.lon = p.id+"_b", p.name+" B", p.lat+0.06, p.lon-0.05
				out = append(out, lightning(p, n, seed))
			}
		}
		for _, p := range traps {
			s := station("trap_", p, n, quantrac.FamilyInsect, seed)
			s.Name = "Bẫy đèn " + s.Name
			s.Properties = []quantrac.Property{property(Catch, 0, 1e6, trapInterval, 0)}
			out = append(out, s)
		}
	}
	return out
}

func lightning(p place, n int, seed uint64) Station {
	s := station("lightning_", p, n, quantrac.FamilyLightning, seed)
	s.Name = "Giông sét " + s.Name
	s.Properties = []quantrac.Property{
		property(State, 0, 3, lightningInterval, 0),
		property(Field, -50000, 50000, lightningInterval, 0),
	}
	return s
}

func station(prefix string, p place, n int, family quantrac.Family, seed uint64) Station {
	id := suffixed("sim_"+prefix+p.id, n)
	s := Station{
		Station: quantrac.Station{
			ID: id, Name: p.name, Family: family,
			Lat: p.lat + 0.01*float64(n-1), Lon: p.lon + 0.013*float64(n-1),
			District: p.district, Commune: p.commune, Simulated: true,
		},
		Device: id,
		key:    hash(seed, hashString(id)),
	}
	if n > 1 {
		s.Name = fmt.Sprintf("%s %d", p.name, n)
	}
	return s
}

func suffixed(id string, n int) string {
	if n > 1 {
		return fmt.Sprintf("%s_%d", id, n)
	}
	return id
}

// property leaves name and unit to the metric, which says them.
func property(name string, lo, hi float64, interval time.Duration, decimals int) quantrac.Property {
	nan := math.NaN()
	return quantrac.Property{
		Name: name, Interval: interval, Min: lo, Max: hi,
		SuspectMin: nan, SuspectMax: nan, SpikeLimit: nan, RateLimit: nan, FlatEpsilon: nan, TrendEpsilon: nan,
		Decimals: decimals, FaultValues: []float64{-9999, 7999},
	}
}

func gaugeProperties() []quantrac.Property {
	level := property(WaterLevel, -2, 8, gaugeInterval, 2)
	level.SpikeLimit, level.RateLimit, level.TrendEpsilon = 0.3, 0.5/3600, 0.02
	level.FlatFor, level.FlatEpsilon = 6*time.Hour, 0
	return []quantrac.Property{
		level,
		property(Rainfall, 0, 200, gaugeInterval, 1),
		property(Battery, 0, 30, gaugeInterval, 2),
	}
}

// watchLevels are three levels of ngưỡng theo dõi; the gauges of the plan have
// no alarm levels set by an authority.
func watchLevels(station string, values [3]float64) []quantrac.Threshold {
	out := make([]quantrac.Threshold, 0, len(values))
	for i, v := range values {
		out = append(out, quantrac.Threshold{
			Station: station, Property: WaterLevel, Kind: quantrac.ThresholdWatch, Level: i + 1, Value: v, Unit: "m",
			Hysteresis: 0.05, Hold: 30 * time.Minute, ValidTo: quantrac.MaxMillis,
		})
	}
	return out
}
