package score

import (
	"fmt"

	"quantrac/tsdb/internal/score/load"
)

// Scale is how large the loads are.
type Scale struct {
	Name       string
	Stations   int     // of the network
	Properties int     // of each station
	Days       float64 // that it reports
	Queries    int     // times that each question is asked
	Late       int     // small batches of late data, five a second, while one is asked

	DecadeStations int // with one property every ten minutes
	DecadeYears    float64

	Singles       int // series that share no row
	SinglesValues int // of each, one a minute

	Messages     int // stations that send each row by itself, with what belongs to it
	MessagesDays float64

	Killed float64 // days of the network at whose load a store is killed
	Opened float64 // days of the network that are there when it opens again
}

// Full is the published load; it takes a quarter of an hour on two processors.
func Full() Scale {
	return Scale{
		Name: "full", Stations: 2000, Properties: 5, Days: 30, Queries: 25, Late: 100, DecadeStations: 100, DecadeYears: 10,
		Singles: 1_000_000, SinglesValues: 10, Messages: 200, MessagesDays: 30, Killed: 3.5, Opened: 36,
	}
}

// Reduced is what ends within ten minutes: half of the stations, and all of the
// thirty days that the questions are about.
func Reduced() Scale {
	return Scale{
		Name: "reduced", Stations: 1000, Properties: 5, Days: 30, Queries: 15, Late: 40, DecadeStations: 20, DecadeYears: 10,
		Singles: 200_000, SinglesValues: 5, Messages: 50, MessagesDays: 10, Killed: 1, Opened: 14,
	}
}

// Tiny is for tests: all of it in seconds, and no figure of it means anything.
func Tiny() Scale {
	return Scale{
		Name: "tiny", Stations: 24, Properties: 5, Days: 1.5, Queries: 3, Late: 4, DecadeStations: 1, DecadeYears: 0.1,
		Singles: 300, SinglesValues: 2, Messages: 3, MessagesDays: 1, Killed: 1, Opened: 1,
	}
}

// network is the load that most is measured on.
func (s Scale) network() load.Network { return s.lasting(s.Days) }

func (s Scale) lasting(days float64) load.Network {
	n := load.Province(s.Stations, 0)
	n.Fields = s.Properties
	return n.Lasting(days)
}

// String describes the scale as the head of a table.
func (s Scale) String() string {
	n := s.network()
	return fmt.Sprintf("%s scale: %d stations × %d properties, every %s, %.3g days; decade: %d stations × %.3g years; singles: %d series × %d values",
		s.Name, n.Stations, n.Fields, n.Step, s.Days, s.DecadeStations, s.DecadeYears, s.Singles, s.SinglesValues)
}
