package captest

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

func point(text string) (lat, lon float64, why string) {
	a, b, ok := strings.Cut(text, ",")
	if !ok {
		return 0, 0, fmt.Sprintf("%q is not lat,lon", text)
	}
	lat, e1 := strconv.ParseFloat(a, 64)
	lon, e2 := strconv.ParseFloat(b, 64)
	if e1 != nil || e2 != nil || math.Abs(lat) > 90 || math.Abs(lon) > 180 {
		return 0, 0, fmt.Sprintf("%q is not lat,lon in degrees", text)
	}
	return lat, lon, ""
}

func circle(text string) string {
	w := strings.Fields(text)
	if len(w) != 2 {
		return "not point and radius"
	}
	if _, _, why := point(w[0]); why != "" {
		return why
	}
	if r, err := strconv.ParseFloat(w[1], 64); err != nil || r < 0 {
		return "bad radius"
	}
	return ""
}

func polygon(text string) string {
	w := strings.Fields(text)
	if len(w) < 4 {
		return fmt.Sprintf("%d points, four are the least", len(w))
	}
	if w[0] != w[len(w)-1] {
		return "not closed"
	}
	var x, y []float64
	for _, p := range w {
		lat, lon, why := point(p)
		if why != "" {
			return why
		}
		y, x = append(y, lat), append(x, lon)
	}
	side := func(i, j int) float64 {
		return (x[i+1]-x[i])*(y[j]-y[i]) - (y[i+1]-y[i])*(x[j]-x[i])
	}
	for i := 0; i+1 < len(x); i++ {
		for j := i + 2; j+1 < len(x); j++ {
			if i == 0 && j+2 == len(x) {
				continue // neighbours around the end
			}
			if side(i, j)*side(i, j+1) < 0 && side(j, i)*side(j, i+1) < 0 {
				return fmt.Sprintf("edges %d and %d cross", i, j)
			}
		}
	}
	return ""
}
