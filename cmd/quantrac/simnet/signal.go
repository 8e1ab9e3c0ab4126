package simnet

import (
	"math"

	"quantrac"
)

const day = 86_400_000 // milliseconds

// hash mixes two numbers (splitmix64 finaliser, Steele, Lea & Flood 2014).
func hash(a, b uint64) uint64 {
	x := a ^ (b+0x9e3779b97f4a7c15)*0xbf58476d1ce4e5b9
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func hashString(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// uniform returns a number in [0, 1) that belongs to (key, n).
func uniform(key, n uint64) float64 { return float64(hash(key, n)>>11) / (1 << 53) }

// normal returns a standard normal number that belongs to (key, n): Box–Muller.
func normal(key, n uint64) float64 {
	u, v := uniform(key, 2*n)+1e-300, uniform(key, 2*n+1)
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
}

// constituent is one term of the tide: amplitude in metres and Greenwich phase
// lag in degrees at Vũng Tàu (TICON-4, gauge 383a).
type constituent struct {
	amplitude, phase float64
	argument         func(T, s, h, p float64) float64 // degrees; T is 15° per hour UT
}

var constituents = []constituent{
	{0.760, 195.3, func(T, s, h, p float64) float64 { return 2*T - 2*s + 2*h }},     // M2
	{0.293, 231.4, func(T, s, h, p float64) float64 { return 2 * T }},               // S2
	{0.153, 175.5, func(T, s, h, p float64) float64 { return 2*T - 3*s + 2*h + p }}, // N2
	{0.594, 208.5, func(T, s, h, p float64) float64 { return T + h + 90 }},          // K1
	{0.448, 166.3, func(T, s, h, p float64) float64 { return T - 2*s + h - 90 }},    // O1
}

// tide returns the tide at Vũng Tàu in metres about mean sea level, without
// nodal corrections. The longitudes of moon, sun and lunar perigee are linear
// in time (Meeus, Astronomical Algorithms, ch. 47, first order).
func tide(at quantrac.Millis) float64 {
	days := float64(at)/day - 10957.5 // from 2000-01-01 12:00 UTC
	s, h, p := 218.3165+13.17639648*days, 280.4661+0.98564736*days, 83.3535+0.11140353*days
	T := 15 * math.Mod(float64(at)/3_600_000, 24)
	sum := 0.0
	for _, c := range constituents {
		sum += c.amplitude * math.Cos((c.argument(T, s, h, p)-c.phase)*math.Pi/180)
	}
	return sum
}

// wavePeriod is the time between the starts of two flood waves, in days.
const wavePeriod = 18.0

// flood returns the level of the flood in metres: a season that peaks around
// 10 October, and waves on it that rise in five days and fall in nine.
func flood(seed uint64, at quantrac.Millis) float64 {
	d := float64(at) / day
	year := math.Mod(d-282+365.25*100, 365.25) / 365.25 // 0 at about 10 October
	season := math.Exp(-math.Pow(math.Min(year, 1-year)*365.25/55, 2))
	level := 0.7 + 1.2*season
	for k := int64(math.Floor(d/wavePeriod)) - 2; k <= int64(math.Floor(d/wavePeriod)); k++ {
		start := (float64(k) + 0.5*uniform(seed, uint64(k)*7+1)) * wavePeriod
		height := (0.15 + 0.55*uniform(seed, uint64(k)*7+2)) * (0.35 + 0.65*season)
		x := d - start
		switch {
		case x > 0 && x < 5:
			level += height * (1 - math.Cos(math.Pi*x/5)) / 2
		case x >= 5:
			level += height * math.Exp(-(x-5)/4)
		}
	}
	return level
}

// waterLevel returns the stage at a gauge in metres, before the instrument's
// noise: the further inland, the smaller and later the tide and the later the
// flood.
func waterLevel(s *Station, seed uint64, at quantrac.Millis) float64 {
	if len(s.Upstream) == 0 { // on the Tiền
		return flood(seed, at) + 0.32*tide(at-3*3_600_000) // tide 3 h after the coast
	}
	return 0.62*flood(seed, at-14*3_600_000) + 0.08*tide(at-6*3_600_000) - 0.05
}

// storm is a thunderstorm that crosses the province in a straight line.
type storm struct {
	start, end quantrac.Millis
	lat, lon   float64 // at start, degrees
	north, ost float64 // speed, degrees per hour
	strength   float64 // 0.4 to 1
}

// storms returns the storms of the civil day (+07:00) numbered n since 1970.
func storms(seed uint64, n int64) []storm {
	key := hash(seed, uint64(n)*31+77)
	month := quantrac.Millis(n * day).Time().Month()
	chance := [...]float64{0, .04, .06, .3, .4, .35, .3, .25, .25, .4, .4, .15, .06}[month]
	var out []storm
	for i := uint64(0); i < 3; i++ {
		if uniform(key, i*16) > chance {
			continue
		}
		hour := 13.5 + 5*uniform(key, i*16+1) // afternoons, local
		start := quantrac.Millis(n*day) + quantrac.Millis((hour-7)*3_600_000)
		dir := 2 * math.Pi * uniform(key, i*16+2)
		speed := 0.15 + 0.25*uniform(key, i*16+3) // degrees per hour: 17 to 44 km/h
		st := storm{
			start: start, end: start + quantrac.Millis((1+1.5*uniform(key, i*16+4))*3_600_000),
			north: speed * math.Sin(dir), ost: speed * math.Cos(dir),
			strength: 0.4 + 0.6*uniform(key, i*16+5),
		}
		mid := float64(st.end-st.start) / 2 / 3_600_000
		st.lat = 10.3 + 0.6*uniform(key, i*16+6) - st.north*mid
		st.lon = 105.35 + 0.45*uniform(key, i*16+7) - st.ost*mid
		out = append(out, st)
	}
	return out
}

// distance returns how far the storm's core is from a place, in km; infinite
// when it is not there.
func (st storm) distance(at quantrac.Millis, lat, lon float64) float64 {
	if at < st.start || at > st.end {
		return math.Inf(1)
	}
	h := float64(at-st.start) / 3_600_000
	const km = 111.2 // of a degree of latitude
	dy := (st.lat + st.north*h - lat) * km
	dx := (st.lon + st.ost*h - lon) * km * math.Cos(lat*math.Pi/180)
	return math.Hypot(dx, dy)
}

// nearest returns the distance in km and the strength of the nearest storm.
func nearest(seed uint64, at quantrac.Millis, lat, lon float64) (km, strength float64) {
	km = math.Inf(1)
	today := (int64(at) + 7*3_600_000) / day
	for _, st := range storms(seed, today) {
		if d := st.distance(at, lat, lon); d < km {
			km, strength = d, st.strength
		}
	}
	return km, strength
}

// electricField returns the field in V/m: about −100 in fair weather, several
// kV/m of changing sign under a storm.
func electricField(s *Station, seed uint64, at quantrac.Millis) float64 {
	km, strength := nearest(seed, at, s.Lat, s.Lon)
	v := -100 + 15*normal(s.key, uint64(at/60_000))
	if km < 40 {
		swing := math.Cos(float64(at)/60_000*0.7 + float64(s.key%7))
		v += 7000 * strength * math.Exp(-km*km/(2*7*7)) * (0.4 + 0.6*swing)
	}
	return math.Round(v)
}

// lightningState returns 0 none, 1 storm far, 2 near, 3 at the site. The radii
// of 8, 16 and 30 km follow the 30-30 rule's 10 km with some margin around.
func lightningState(s *Station, seed uint64, at quantrac.Millis) float64 {
	switch km, _ := nearest(seed, at, s.Lat, s.Lon); {
	case km <= 8:
		return 3
	case km <= 16:
		return 2
	case km <= 30:
		return 1
	}
	return 0
}

// rainfall returns the rain of the ten minutes that end at a time, in tips of
// 0.2 mm.
func rainfall(s *Station, seed uint64, at quantrac.Millis) float64 {
	sum := 0.0
	for m := quantrac.Millis(0); m < 10; m++ {
		km, strength := nearest(seed, at-m*60_000, s.Lat, s.Lon)
		if km < 25 {
			sum += 1.1 * strength * math.Exp(-km*km/(2*6*6))
		}
	}
	return math.Round(sum/0.2) * 0.2
}

// generation is the time between two peaks of the planthopper in light traps,
// in days.
const generation = 24.5

// catchOf returns how many of a species a trap catches in the night numbered
// n: a negative binomial count about the season's mean.
func catchOf(s *Station, seed uint64, n int64, sp int) float64 {
	a := species[sp]
	phase := math.Mod(float64(n)-a.lag+1.5*normal(s.key, 99), generation)
	if phase < 0 {
		phase += generation
	}
	dist := math.Min(phase, generation-phase)
	mean := a.base * (1 + a.peak*math.Exp(-dist*dist/(2*2.0*2.0))) * (0.5 + uniform(s.key, uint64(sp)+5))
	if a.fruitOnly != fruitTraps[baseTrap(s.ID)] && !a.enemy {
		mean *= 0.1
	}
	spread := math.Exp(0.5*normal(hash(s.key, uint64(sp)+1000), uint64(n)) - 0.125)
	return math.Max(0, math.Round(mean*spread))
}
