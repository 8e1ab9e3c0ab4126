package quantrac

import (
	"strings"
	"testing"
)

func TestMetricOf(t *testing.T) {
	f := func(name, vi, en, unit string) {
		t.Helper()
		if m := MetricOf(name); m.Name != (Text{vi, en}) || m.Unit != unit {
			t.Errorf("%s: %+v in %q, want %q, %q in %q", name, m.Name, m.Unit, vi, en, unit)
		}
	}
	f("water_level_meters", "Mực nước", "Water level", "m")
	f("water_level_centimeters", "Mực nước", "Water level", "cm")
	f("water_level_forecast_meters", "Mực nước (dự báo)", "Water level (forecast)", "m")
	f("water_level_threshold_meters", "Mực nước (ngưỡng)", "Water level (threshold)", "m")
	f("rainfall_millimeters", "Lượng mưa", "Rainfall", "mm")
	f("rainfall_intensity_millimeters_per_hour", "Cường độ mưa", "Rainfall intensity", "mm/h")
	f("discharge_cubic_meters_per_second", "Lưu lượng", "Discharge", "m³/s")
	f("flow_velocity_meters_per_second", "Tốc độ dòng chảy", "Flow velocity", "m/s")
	f("salinity_grams_per_liter", "Độ mặn", "Salinity", "g/L")
	f("ph", "pH", "pH", "")
	f("water_temperature_celsius", "Nhiệt độ nước", "Water temperature", "°C")
	f("turbidity_ntu", "Độ đục", "Turbidity", "NTU")
	f("dissolved_oxygen_milligrams_per_liter", "Oxy hòa tan", "Dissolved oxygen", "mg/L")
	f("electrical_conductivity_microsiemens_per_centimeter", "Độ dẫn điện", "Electrical conductivity", "µS/cm")
	f("battery_volts", "Ắc quy", "Battery", "V")
	f("battery_percent", "Ắc quy", "Battery", "%")
	f("electric_field_volts_per_meter", "Điện trường khí quyển", "Atmospheric electric field", "V/m")
	f("electric_field_kilovolts_per_meter", "Điện trường khí quyển", "Atmospheric electric field", "kV/m")
	f("lightning_state", "Tình trạng dông", "Thunderstorm state", "")
	f("insect_catch", "Số côn trùng vào bẫy", "Insects caught", "con/bẫy/đêm")
	f("insect_forecast_catch", "Số côn trùng vào bẫy (dự báo)", "Insects caught (forecast)", "con/bẫy/đêm")
	// Nobody has named these: their own words, without the unit.
	f("sap_flow_grams_per_liter", "sap flow", "sap flow", "g/L")
	f("meters", "meters", "meters", "")
	f("forecast_meters", "forecast", "forecast", "m")
	f("", "", "", "")
}

func TestMetricTable(t *testing.T) {
	for i, u := range metricUnits {
		for _, longer := range metricUnits[i+1:] {
			if strings.HasSuffix(longer.ending, "_"+u.ending) {
				t.Errorf("%s hides %s, which follows it", u.ending, longer.ending)
			}
		}
		if m := MetricOf("water_level_" + u.ending); m.Unit != u.units[0] || m.Name.Vi != "Mực nước" || !m.Known || (m.Units == nil) != u.any {
			t.Errorf("%s: %+v", u.ending, m)
		}
	}
	for base, text := range metricNames {
		if m := MetricOf(base + "_meters"); text.Vi == "" || text.En == "" || m.Name != text || !m.Known {
			t.Errorf("%s: %+v, want %+v", base, m, text)
		}
	}
}

func TestNamed(t *testing.T) {
	f := func(p Property, vi, en, unit string) {
		t.Helper()
		if n := p.Named(); n.HumanName != vi || n.HumanNameEn != en || n.Unit != unit {
			t.Errorf("%+v: %q, %q in %q, want %q, %q in %q", p, n.HumanName, n.HumanNameEn, n.Unit, vi, en, unit)
		}
	}
	f(Property{Name: "water_level_meters"}, "Mực nước", "Water level", "m")
	f(Property{Name: "water_level_meters", HumanName: "Mực nước thượng lưu"}, "Mực nước thượng lưu", "Water level", "m")
	f(Property{Name: "salinity_grams_per_liter", Unit: "‰", HumanNameEn: "Salt"}, "Độ mặn", "Salt", "‰")
	f(Property{Name: "sap_flow", HumanName: "Dòng nhựa"}, "Dòng nhựa", "Dòng nhựa", "")
	f(Property{Name: "sap_flow"}, "sap flow", "sap flow", "")
}
