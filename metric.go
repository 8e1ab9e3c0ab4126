package quantrac

import "strings"

// Metric is what a metric's name says by itself, for where nobody has registered
// more.
type Metric struct {
	Name  Text     // in the form of a heading: "Mực nước", "Water level"
	Unit  string   // the usual one, "" where it has none or none is known
	Units []string // those that may be written beside its values, Unit first; nil where any may
	Known bool     // Name is a name; otherwise it is made of the metric's own words
}

// MetricOf tells what a metric's name says: water_level_meters is a water level
// in metres, and so are its forecast and its thresholds.
func MetricOf(name string) Metric {
	m, what := Metric{}, name
	for _, u := range metricUnits {
		if base, ok := strings.CutSuffix(name, "_"+u.ending); ok && base != "" {
			m.Unit, what = u.units[0], base
			if !u.any {
				m.Units = u.units
			}
			break
		}
	}
	kind := Text{}
	for _, k := range metricKinds {
		if base, ok := strings.CutSuffix(what, "_"+k.ending); ok && base != "" {
			kind, what = k.text, base
		}
	}
	if m.Name, m.Known = metricNames[what]; !m.Known {
		words := strings.ReplaceAll(what, "_", " ")
		m.Name = Text{Vi: words, En: words}
	}
	m.Name.Vi += kind.Vi
	m.Name.En += kind.En
	return m
}

// Named returns the property with what its metric's name says where its names or
// its unit are empty.
func (p Property) Named() Property {
	m := MetricOf(p.Name)
	if p.HumanNameEn == "" {
		if p.HumanNameEn = m.Name.En; !m.Known && p.HumanName != "" {
			p.HumanNameEn = p.HumanName
		}
	}
	if p.HumanName == "" {
		p.HumanName = m.Name.Vi
	}
	if p.Unit == "" {
		p.Unit = m.Unit
	}
	return p
}

// metricKinds are what a metric may be of another, before its unit.
var metricKinds = []struct {
	ending string
	text   Text
}{
	{"forecast", Text{" (dự báo)", " (forecast)"}},
	{"threshold", Text{" (ngưỡng)", " (threshold)"}},
}

// metricUnits tells what unit a metric's name promises, by its ending, and how
// people here may write it; the first is the usual one. Values are stored in
// the unit of the name and shown with the unit written beside them, so the two
// must be the same: a stage of 231 cm shown as "m" would be a flood. Of any,
// nothing is promised. Where one ending is the end of another the longer goes
// first.
var metricUnits = []struct {
	ending string
	units  []string
	any    bool
}{
	{"microsiemens_per_centimeter", []string{"µS/cm", "μS/cm", "uS/cm"}, false}, // the micro sign, or the Greek letter
	{"millisiemens_per_centimeter", []string{"mS/cm"}, false},
	{"siemens_per_meter", []string{"S/m"}, false},
	{"cubic_meters_per_second", []string{"m³/s", "m3/s"}, false},
	{"liters_per_second", []string{"L/s", "l/s"}, false},
	{"meters_per_second", []string{"m/s"}, false},
	{"millimeters_per_hour", []string{"mm/h", "mm/giờ"}, false},
	{"watts_per_square_meter", []string{"W/m²", "W/m2"}, false},
	{"kilovolts_per_meter", []string{"kV/m"}, false},
	{"volts_per_meter", []string{"V/m"}, false},
	{"milligrams_per_liter", []string{"mg/L", "mg/l"}, false},
	{"grams_per_liter", []string{"g/L", "g/l", "‰"}, false},
	{"parts_per_thousand", []string{"‰", "ppt"}, false},
	{"millimeters", []string{"mm"}, false},
	{"centimeters", []string{"cm"}, false},
	{"kilometers", []string{"km"}, false},
	{"meters", []string{"m"}, false},
	{"celsius", []string{"°C"}, false},
	{"percent", []string{"%"}, false},
	{"millivolts", []string{"mV"}, false},
	{"volts", []string{"V"}, false},
	{"amperes", []string{"A"}, false},
	{"watts", []string{"W"}, false},
	{"hectopascals", []string{"hPa", "mbar"}, false},
	{"kilopascals", []string{"kPa"}, false},
	{"pascals", []string{"Pa"}, false},
	{"seconds", []string{"s"}, false},
	{"decibels", []string{"dB"}, false},
	{"dbm", []string{"dBm"}, false},
	{"degrees", []string{"°"}, false},
	{"ntu", []string{"NTU"}, false},
	{"catch", []string{"con/bẫy/đêm"}, true},
	{"state", []string{""}, true},
}

// metricNames are what the metrics of observation networks here are called, by
// their names less the unit.
var metricNames = map[string]Text{
	"water_level":       {"Mực nước", "Water level"},
	"tide_level":        {"Mực nước triều", "Tide level"},
	"groundwater_level": {"Mực nước ngầm", "Groundwater level"},
	"field_water_level": {"Mực nước ruộng", "Paddy water level"},
	"water_depth":       {"Độ sâu nước", "Water depth"},
	"discharge":         {"Lưu lượng", "Discharge"},
	"flow_velocity":     {"Tốc độ dòng chảy", "Flow velocity"},
	"gate_opening":      {"Độ mở cửa cống", "Gate opening"},

	"rainfall":           {"Lượng mưa", "Rainfall"},
	"rain":               {"Lượng mưa", "Rainfall"},
	"rainfall_intensity": {"Cường độ mưa", "Rainfall intensity"},
	"rain_intensity":     {"Cường độ mưa", "Rainfall intensity"},
	"evaporation":        {"Lượng bốc hơi", "Evaporation"},

	"salinity":                      {"Độ mặn", "Salinity"},
	"ph":                            {"pH", "pH"},
	"water_ph":                      {"pH nước", "pH of water"},
	"soil_ph":                       {"pH đất", "pH of soil"},
	"water_temperature":             {"Nhiệt độ nước", "Water temperature"},
	"turbidity":                     {"Độ đục", "Turbidity"},
	"dissolved_oxygen":              {"Oxy hòa tan", "Dissolved oxygen"},
	"electrical_conductivity":       {"Độ dẫn điện", "Electrical conductivity"},
	"conductivity":                  {"Độ dẫn điện", "Electrical conductivity"},
	"oxidation_reduction_potential": {"Thế oxy hóa khử", "Oxidation-reduction potential"},
	"total_dissolved_solids":        {"Tổng chất rắn hòa tan", "Total dissolved solids"},
	"total_suspended_solids":        {"Tổng chất rắn lơ lửng", "Total suspended solids"},
	"ammonium":                      {"Amoni", "Ammonium"},
	"nitrate":                       {"Nitrat", "Nitrate"},
	"phosphate":                     {"Phosphat", "Phosphate"},

	"temperature":          {"Nhiệt độ", "Temperature"},
	"air_temperature":      {"Nhiệt độ không khí", "Air temperature"},
	"relative_humidity":    {"Độ ẩm không khí", "Relative humidity"},
	"humidity":             {"Độ ẩm", "Humidity"},
	"air_pressure":         {"Khí áp", "Air pressure"},
	"atmospheric_pressure": {"Khí áp", "Air pressure"},
	"wind_speed":           {"Tốc độ gió", "Wind speed"},
	"wind_gust":            {"Gió giật", "Wind gust"},
	"wind_direction":       {"Hướng gió", "Wind direction"},
	"solar_radiation":      {"Bức xạ mặt trời", "Solar radiation"},
	"soil_moisture":        {"Độ ẩm đất", "Soil moisture"},
	"soil_temperature":     {"Nhiệt độ đất", "Soil temperature"},
	"soil_conductivity":    {"Độ dẫn điện của đất", "Conductivity of soil"},
	"leaf_wetness":         {"Độ ướt lá", "Leaf wetness"},

	"lightning":          {"Tình trạng dông", "Thunderstorm state"},
	"lightning_distance": {"Khoảng cách tới dông", "Distance of the thunderstorm"},
	"lightning_strikes":  {"Số lần sét", "Lightning strikes"},
	"electric_field":     {"Điện trường khí quyển", "Atmospheric electric field"},
	"insect":             {"Số côn trùng vào bẫy", "Insects caught"},

	"battery":            {"Ắc quy", "Battery"},
	"solar":              {"Pin mặt trời", "Solar panel"},
	"solar_panel":        {"Pin mặt trời", "Solar panel"},
	"signal":             {"Cường độ tín hiệu", "Signal strength"},
	"signal_strength":    {"Cường độ tín hiệu", "Signal strength"},
	"logger_temperature": {"Nhiệt độ thiết bị", "Temperature of the logger"},
	"device_temperature": {"Nhiệt độ thiết bị", "Temperature of the device"},
}
