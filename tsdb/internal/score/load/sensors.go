package load

import "math"

// property is a kind of reading, to the resolution that its instruments have.
type property struct {
	field    string
	decimals int
	read     func(g *generator, s *sensor, hours float64) float64
}

// properties are what stations may measure; the first one all do.
var properties = []property{
	{"water_level_m", 3, waterLevel},
	{"temperature_c", 1, temperature},
	{"ph", 2, acidity},
	{"salinity_g_l", 2, salinity},
	{"battery_v", 2, battery},
	{"rainfall_mm", 1, rainfall},
	{"insect_count", 0, insects},
}

// Metric is the name under which a store keeps the property of that number; 0
// is the water level that every station has.
func Metric(property int) string { return Measurement + "_" + properties[property].field }

// Metrics are the names of all properties.
func Metrics() []string {
	var out []string
	for i := range properties {
		out = append(out, Metric(i))
	}
	return out
}

// sensor is one property at one station.
type sensor struct {
	property int
	phase    float64
	size     float64
	x        float64 // what wanders
}

func (g *generator) newSensor(property int) sensor {
	return sensor{property: property, phase: g.rnd.Float64() * 2 * math.Pi, size: 0.5 + 0.7*g.rnd.Float64()}
}

// read reads a sensor to its resolution. There is no −0: not every store keeps it.
func (g *generator) read(s *sensor, hours float64) float64 {
	p := &properties[s.property]
	scale := math.Pow10(p.decimals)
	return math.Round(p.read(g, s, hours)*scale)/scale + 0
}

// wander moves the slow part of a reading: a walk that is drawn back to zero
// over some weeks, so that ten years of it stay a river.
func (g *generator) wander(s *sensor, by float64) float64 {
	s.x = s.x*0.9997 + g.rnd.NormFloat64()*by
	return s.x
}

func cycle(hours, period, phase float64) float64 { return math.Cos(2*math.Pi*hours/period + phase) }

// tide holds the constituents M2, S2, K1 and O1: period in hours, amplitude in
// metres.
var tide = [4][2]float64{{12.4206, 0.25}, {12, 0.09}, {23.9345, 0.18}, {25.8193, 0.14}}

// waterLevel is tide, season, surge and 2 mm of noise, in metres.
func waterLevel(g *generator, s *sensor, hours float64) float64 {
	v := 1.6 + 0.5*cycle(hours, 365.25*24, 1) + g.wander(s, 0.001) + g.rnd.NormFloat64()*0.002
	for _, c := range tide {
		v += s.size * c[1] * cycle(hours, c[0], s.phase)
	}
	return v
}

func temperature(g *generator, s *sensor, hours float64) float64 {
	return 28 + 2.5*s.size*cycle(hours, 24, 2.4) + g.wander(s, 0.018) + g.rnd.NormFloat64()*0.03
}

func acidity(g *generator, s *sensor, hours float64) float64 {
	return 7.2 + 0.12*s.size*cycle(hours, 24, 2.1) + g.wander(s, 0.003) + g.rnd.NormFloat64()*0.0055
}

func salinity(g *generator, s *sensor, hours float64) float64 {
	return math.Max(0, 1.5+0.2*s.size*cycle(hours, 12.4206, s.phase)+g.wander(s, 0.005)+g.rnd.NormFloat64()*0.005)
}

// battery is charged by day; the panel sees clouds.
func battery(g *generator, s *sensor, hours float64) float64 {
	sun := math.Max(0, cycle(hours, 24, 2.6))
	return 12.3 + 0.9*s.size*sun + g.rnd.NormFloat64()*(0.005+0.005*sun)
}

// rainfall tips in steps of 0.2 mm while a shower lasts.
func rainfall(g *generator, s *sensor, _ float64) float64 {
	if s.x < 1 && g.rnd.Float64() < 0.004 {
		s.x = 1 + g.rnd.ExpFloat64()*8
	}
	if s.x < 1 {
		return 0
	}
	s.x *= 0.8
	return 0.2 * math.Round(s.x*(0.5+g.rnd.Float64()))
}

// insects fly by night: a count of the last ten minutes.
func insects(g *generator, s *sensor, hours float64) float64 {
	night := math.Max(0, cycle(hours, 24, -0.5)) * 20 * s.size
	n := 0.0
	for p := g.rnd.ExpFloat64(); p < night; p += g.rnd.ExpFloat64() {
		n++
	}
	return n
}
