package codec

// predictor sets the part of a model that predicts.
func (h *header) predictor(m *model) {
	m.point = fullPoint
	if h.form&formCoarse != 0 {
		m.point = 0
	}
	m.bias = h.bias
	m.reach, m.mask = int(min(h.form&^(formCoarse|formGapped), 1)), 0
	if len(h.coefs) > 0 {
		m.mask = fractions - 1
		m.reach = h.taps(&m.taps)
	}
}

// model makes what the header tells of.
func (h *header) model(m *model) {
	h.predictor(m)
	m.slow, m.coarse = h.slow, h.coarse
	m.setClasses(h.classes, h.low, h.width)
	for c := range h.classes {
		h.tables(m, c)
	}
}

// taps turns coefficients into taps and returns how far they reach.
func (h *header) taps(t *[maxReach]int64) int {
	*t = [maxReach]int64{}
	n := len(h.coefs)
	if h.form&^formGapped <= formSteps {
		for i, c := range h.coefs {
			t[maxReach-1-i] = c << (fullPoint - valuePlaces)
		}
	} else {
		t[maxReach-1] = 1 << fullPoint
		for i, c := range h.coefs { // c·(x[t−1−i] − x[t−2−i])
			t[maxReach-1-i] += c << (fullPoint - stepPlaces)
			t[maxReach-2-i] -= c << (fullPoint - stepPlaces)
		}
		n++
	}
	switch {
	case n <= 4:
		return 4
	case n <= 8:
		return 8
	}
	return maxReach
}

// tables makes the tables of a class.
func (h *header) tables(m *model, c int) {
	from := c * fractions
	if h.counted {
		m.layouts[c], m.shifts[c] = &layouts[h.kind], 0
		start := counted(h.levels[c])
		setTable(&m.borders[from], &m.words[from], &start, m.layouts[c], 0)
		return
	}
	scale, fractioned := int(h.scales[c]), m.mask > 0
	kind, shift := scaleLayout(scale)
	m.layouts[c], m.shifts[c] = &layouts[kind], shift
	count := middles(shift, fractioned)
	for f := range count {
		start := shaped(h.kind, scale, middle(f, shift, fractioned))
		setTable(&m.borders[from+f], &m.words[from+f], &start, m.layouts[c], shift)
	}
	if fractioned {
		for f := count; f < fractions; f++ {
			m.borders[from+f], m.words[from+f] = m.borders[from], m.words[from]
		}
	}
}

// middles returns for how many fractions of a prediction tables differ: for
// none where there are no fractions, or where they make no difference.
func middles(shift uint, fractioned bool) int {
	if fractioned && shift < 2 {
		return fractions
	}
	return 1
}

// middle returns how many sixteenths above its whole part a prediction of a
// fraction is.
func middle(f int, shift uint, fractioned bool) int {
	switch {
	case !fractioned:
		return 0
	case shift >= 2:
		return 8
	}
	return 2*f + 1
}

// startSize is the size before the first number.
func (m *model) startSize() int64 {
	if m.slow == 0 {
		return 0
	}
	return 24 << m.coarse
}
