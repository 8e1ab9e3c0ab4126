package dashboards

import "quantrac"

// status says whether the newest reading can be relied on.
type status string

const (
	statusOK      status = "ok"
	statusSuspect status = "suspect" // quality control doubts the newest reading
	statusFailed  status = "failed"  // what arrives now fails quality control
	statusSilent  status = "silent"  // nothing for three expected intervals and a minute
	statusNone    status = "none"    // nothing has ever arrived
)

// Metrics with a meaning of their own on the page.
const (
	metricLightning = "lightning_state" // 0 none, 1 far, 2 near, 3 at the site
	metricCatch     = "insect_catch"    // per trap-night and species
	prefixLevel     = "water_level"
	prefixRain      = "rainfall"
	prefixSalinity  = "salinity"
)

// stationView is a station as the page shows it.
type stationView struct {
	ID        string                 `json:"id"`
	Name      string                 `json:"name"`
	NameEn    string                 `json:"name_en,omitempty"`
	Family    quantrac.Family        `json:"family"`
	Lat       *float64               `json:"lat,omitempty"` // WGS84; absent where unknown
	Lon       *float64               `json:"lon,omitempty"`
	River     string                 `json:"river,omitempty"`
	Commune   string                 `json:"commune,omitempty"` // name, or the code where no name is known
	District  string                 `json:"district,omitempty"`
	Operator  string                 `json:"operator,omitempty"`
	Upstream  []string               `json:"upstream,omitempty"` // ids
	Simulated bool                   `json:"simulated,omitempty"`
	Status    status                 `json:"status"`
	Level     int                    `json:"level"`          // highest of its readings
	Kind      quantrac.ThresholdKind `json:"kind,omitempty"` // of Level, or of its levels where none is reached
	HasLevels bool                   `json:"has_levels,omitempty"`
	Main      int                    `json:"main"` // index of the chief reading, -1 where there is none
	Readings  []readingView          `json:"readings"`
	Night     *nightView             `json:"night,omitempty"`    // of an insect trap
	RainDay   *amountView            `json:"rain_day,omitempty"` // sum since 19:00 at +07:00
}

// amountView is a sum over a day.
type amountView struct {
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
	Decimals int     `json:"decimals"`
}

// readingView is the newest usable reading of one series.
type readingView struct {
	Key      string                 `json:"key"` // names the series within its station
	Metric   string                 `json:"metric"`
	Sensor   string                 `json:"sensor,omitempty"`
	Species  string                 `json:"species,omitempty"`
	Name     quantrac.Text          `json:"name"`
	Unit     string                 `json:"unit"`
	Decimals int                    `json:"decimals"`
	Time     quantrac.Millis        `json:"time,omitempty"`
	Value    *float64               `json:"value"` // null where nothing usable has arrived
	Status   status                 `json:"status"`
	Since    quantrac.Millis        `json:"since,omitempty"` // of statusFailed: first of the failed readings
	Interval int64                  `json:"interval_s,omitempty"`
	StaleAt  quantrac.Millis        `json:"stale_at,omitempty"` // when it falls silent unless another comes; 0 never
	Trend    *trend                 `json:"trend,omitempty"`
	Level    int                    `json:"level"`
	Kind     quantrac.ThresholdKind `json:"kind,omitempty"`
	Levels   []levelView            `json:"levels,omitempty"`
}

// levelView is a threshold in force.
type levelView struct {
	Level int                    `json:"level"`
	Kind  quantrac.ThresholdKind `json:"kind"`
	Value float64                `json:"value"`
	Basis string                 `json:"basis,omitempty"` // decision that sets it
	Name  quantrac.Text          `json:"name"`
}

// nightView is what a trap caught in its newest night.
type nightView struct {
	Date    string      `json:"date"` // of the evening
	Catches []catchView `json:"catches"`
}

type catchView struct {
	Species string        `json:"species"`
	Name    quantrac.Text `json:"name"`
	Role    role          `json:"role"`
	Count   float64       `json:"count"`          // per trap-night
	Before  *float64      `json:"before"`         // the night before, null where unknown
	Status  status        `json:"status"`         // of the reading
	Time    int64         `json:"time,omitempty"` // when counted
}
