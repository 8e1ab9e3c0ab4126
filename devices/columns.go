package devices

import (
	"fmt"
	"slices"
	"strings"
)

// column is a column of an import, by its English heading.
type column string

// columnDef describes a column: its other headings, folded, and the field of
// the JSON form it fills, by which a problem found later finds its column.
type columnDef struct {
	name  column
	other []string
	kind  string
	field string
}

// stationColumns are the columns of a list of stations. docs/import.md
// describes them for the people who fill them in.
var stationColumns = []columnDef{
	{"station", []string{"ma_tram", "tram", "id_tram", "station_id"}, "station", "id"},
	{"name", []string{"ten_tram", "ten", "station_name"}, "station", "name"},
	{"name_en", []string{"ten_tieng_anh"}, "station", "name_en"},
	{"family", []string{"loai_tram", "loai", "kind"}, "station", "family"},
	{"lat", []string{"vi_do", "latitude"}, "station", "lat"},
	{"lon", []string{"kinh_do", "longitude", "lng"}, "station", "lon"},
	{"river", []string{"song", "song_kenh", "kenh"}, "station", "river"},
	{"commune_code", []string{"ma_xa", "ma_phuong_xa", "ma_xa_phuong"}, "station", "commune_code"},
	{"district", []string{"huyen_cu", "huyen", "vung"}, "station", "district"},
	{"operator", []string{"don_vi_quan_ly", "don_vi_van_hanh"}, "station", "operator"},
	{"installed", []string{"ngay_lap_dat", "lap_dat"}, "station", "installed_ms"},
	{"closed", []string{"ngay_ngung", "ngay_ngung_hoat_dong"}, "station", "closed_ms"},
	{"simulated", []string{"mo_phong"}, "station", "simulated"},
	{"upstream", []string{"tram_thuong_luu", "thuong_luu"}, "station", "upstream"},
	{"valid_from", []string{"hieu_luc_tu", "ap_dung_tu"}, "station", "facts"},

	{"device", []string{"ma_thiet_bi", "thiet_bi", "device_id"}, "device", "id"},
	{"sensor", []string{"cam_bien", "dau_do"}, "device", "sensor"},

	{"property", []string{"dai_luong", "thong_so", "metric"}, "property", "name"},
	{"unit", []string{"don_vi_do", "don_vi_tinh"}, "property", "unit"},
	{"interval", []string{"chu_ky", "chu_ky_do"}, "property", "interval_ms"},
	{"property_name", []string{"ten_dai_luong", "ten_thong_so"}, "property", "human_name"},
	{"property_name_en", []string{"ten_dai_luong_tieng_anh"}, "property", "human_name_en"},
	{"decimals", []string{"so_le", "so_chu_so_le"}, "property", "decimals"},
	{"min", []string{"nho_nhat", "gioi_han_duoi"}, "property", "min"},
	{"max", []string{"lon_nhat", "gioi_han_tren"}, "property", "max"},
	{"suspect_min", []string{"nghi_ngo_duoi"}, "property", "suspect_min"},
	{"suspect_max", []string{"nghi_ngo_tren"}, "property", "suspect_max"},
	{"spike", []string{"nhay_vot"}, "property", "spike_limit"},
	{"rate_per_hour", []string{"toc_do_moi_gio", "toc_do_thay_doi_moi_gio"}, "property", "rate_limit_per_second"},
	{"flat_for", []string{"dung_yen_trong", "khong_doi_trong"}, "property", "flat_for_ms"},
	{"flat_epsilon", []string{"sai_so_dung_yen"}, "property", "flat_epsilon"},
	{"fault_values", []string{"gia_tri_loi", "ma_loi"}, "property", "fault_values"},
	{"non_negative", []string{"khong_am"}, "property", "non_negative"},
	{"cumulative", []string{"cong_don", "luy_ke"}, "property", "cumulative"},
	{"trend_epsilon", []string{"nguong_xu_the"}, "property", "trend_epsilon_per_hour"},

	{"threshold_kind", []string{"loai_nguong"}, "threshold", "kind"},
	{"level1", []string{"cap_1", "cap_i", "muc_1", "level_1"}, "threshold", "value"},
	{"level2", []string{"cap_2", "cap_ii", "muc_2", "level_2"}, "threshold", "value"},
	{"level3", []string{"cap_3", "cap_iii", "muc_3", "level_3"}, "threshold", "value"},
	{"hysteresis", []string{"do_tre", "tre"}, "threshold", "hysteresis"},
	{"hold", []string{"thoi_gian_giu", "giu"}, "threshold", "hold_ms"},
	{"legal_basis", []string{"can_cu_phap_ly", "can_cu"}, "threshold", "legal_basis"},
	{"threshold_from", []string{"nguong_tu_ngay", "nguong_hieu_luc_tu"}, "threshold", "valid_from_ms"},
	{"threshold_to", []string{"nguong_den_ngay", "nguong_hieu_luc_den"}, "threshold", "valid_to_ms"},
	ignored,
}

// unitColumns are the columns of a list of administrative units.
var unitColumns = []columnDef{
	{"code", []string{"ma", "ma_don_vi", "ma_xa"}, "unit", "code"},
	{"name", []string{"ten", "ten_don_vi"}, "unit", "name"},
	{"level", []string{"cap"}, "unit", "level"},
	{"valid_from", []string{"hieu_luc_tu"}, "unit", "valid_from_ms"},
	{"valid_to", []string{"hieu_luc_den"}, "unit", "valid_to_ms"},
	{"parent", []string{"ma_cap_tren", "thuoc"}, "unit", "parent"},
	ignored,
}

// ignored is a column for people.
var ignored = columnDef{name: "note", other: []string{"ghi_chu", "notes", "remark"}}

// matchHeader finds the column of each heading; "" for one to be skipped.
// Unknown and repeated headings are errors: they are misspellings of ones that
// matter.
func matchHeader(cells []string, defs []columnDef) (cols []column, errs []LineError) {
	cols = make([]column, len(cells))
	seen := map[column]string{}
	for i, cell := range cells {
		heading := strings.TrimSpace(cell)
		if heading == "" || strings.HasPrefix(heading, "#") {
			continue
		}
		at := slices.IndexFunc(defs, func(d columnDef) bool { return d.named(fold(heading)) })
		if at < 0 {
			errs = append(errs, LineError{Line: 1, Column: heading, Want: "a known heading: " + headings(defs) + "; put # before one to skip it"})
			continue
		}
		name := defs[at].name
		if first, again := seen[name]; again && name != ignored.name {
			errs = append(errs, LineError{Line: 1, Column: heading, Want: fmt.Sprintf("one column of this meaning; %q is another", first)})
		}
		seen[name] = heading
		if name != ignored.name {
			cols[i] = name
		}
	}
	return cols, errs
}

func (d *columnDef) named(folded string) bool {
	return fold(string(d.name)) == folded || slices.Contains(d.other, folded)
}

func headings(defs []columnDef) string {
	var names []string
	for _, d := range defs {
		names = append(names, string(d.name))
	}
	return strings.Join(names, ", ")
}

// columnOf returns the column that fills a field, the kind's first where the
// field has none.
func columnOf(defs []columnDef, kind, field string) column {
	first := column("")
	for _, d := range defs {
		if d.kind != kind {
			continue
		}
		if d.field == field {
			return d.name
		}
		if first == "" {
			first = d.name
		}
	}
	return first
}
