package collector

import (
	"github.com/prometheus/client_golang/prometheus"

	"quantrac"
	"quantrac/collector/qc"
)

// metrics are the figures of a Collector, under quantrac_collector_….
type metrics struct {
	all []prometheus.Collector

	stored, refused, withheld prometheus.Counter // messages
	letters                   map[LetterKind]prometheus.Counter

	rows       prometheus.Counter
	values     [quantrac.Missing + 1]prometheus.Counter
	flags      [len(qc.All)]prometheus.Counter
	lateSpikes prometheus.Counter
	redelivered, collided,
	ahead, quarantined, strings prometheus.Counter
	batch  prometheus.Histogram
	commit prometheus.Histogram
}

func newMetrics() *metrics {
	m := &metrics{}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "quantrac", Subsystem: "collector", Name: name, Help: help})
		m.all = append(m.all, c)
		return c
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "quantrac", Subsystem: "collector", Name: name, Help: help}, []string{label})
		m.all = append(m.all, v)
		return v
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "quantrac", Subsystem: "collector", Name: name, Help: help, Buckets: buckets})
		m.all = append(m.all, h)
		return h
	}
	outcome := vec("messages_total", "Messages by what became of them: stored (whole or in part), refused (a dead letter), withheld (not durable, to be sent again).", "outcome")
	m.stored = outcome.WithLabelValues("stored")
	m.refused = outcome.WithLabelValues("refused")
	m.withheld = outcome.WithLabelValues("withheld")
	letters := vec("dead_letters_total", "Dead letters written.", "kind")
	m.letters = map[LetterKind]prometheus.Counter{}
	for _, k := range []LetterKind{LetterRefused, LetterPartial, LetterQuarantine} {
		m.letters[k] = letters.WithLabelValues(string(k))
	}
	m.rows = counter("rows_total", "Rows of readings made durable.")
	values := vec("values_total", "Values of readings made durable, by the verdict of quality control before the store's own.", "quality")
	for q := range m.values {
		m.values[q] = values.WithLabelValues(quantrac.Quality(q).String())
	}
	flags := vec("qc_flags_total", "Values that a test of quality control made suspect or failed.", "test")
	for i, t := range qc.All {
		m.flags[i] = flags.WithLabelValues(t.Name)
	}
	m.lateSpikes = counter("qc_late_spikes_total", "Values recognised as a spike only when the next one came, after they had been stored.")
	m.redelivered = counter("redelivered_values_total", "Values sent again that changed nothing.")
	m.collided = counter("collided_values_total", "Values beaten by a later one of the same series and time in one batch.")
	m.ahead = counter("ahead_values_total", "Values failed for lying too far in the future.")
	m.quarantined = counter("quarantined_rows_total", "Rows kept as dead letters because their time cannot be right.")
	m.strings = counter("skipped_strings_total", "Text fields of line protocol that were skipped.")
	m.batch = histogram("batch_rows", "Rows of readings in one batch.", prometheus.ExponentialBuckets(1, 4, 8))
	m.commit = histogram("commit_seconds", "Seconds that it took to make one batch of readings durable.", prometheus.ExponentialBuckets(0.0005, 2, 14))
	return m
}

// durable counts what the store has taken: rows, and values of each quality.
func (m *metrics) durable(rows int, values [quantrac.Missing + 1]int, r *quantrac.Receipt) {
	m.rows.Add(float64(rows))
	for q, n := range values {
		m.values[q].Add(float64(n))
	}
	m.redelivered.Add(float64(r.Redelivered))
	m.collided.Add(float64(r.Collisions))
	m.ahead.Add(float64(r.Ahead))
}

// flagged counts what the tests of quality control have flagged.
func (m *metrics) flagged(flags *[len(qc.All)]int) {
	for i, n := range flags {
		m.flags[i].Add(float64(n))
	}
}

// Describe implements prometheus.Collector: register the Collector itself.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range c.metrics.all {
		m.Describe(ch)
	}
	ch <- queueDesc
	ch <- sessionsDesc
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	for _, m := range c.metrics.all {
		m.Collect(ch)
	}
	queued, sessions := c.waiting()
	ch <- prometheus.MustNewConstMetric(queueDesc, prometheus.GaugeValue, float64(queued))
	ch <- prometheus.MustNewConstMetric(sessionsDesc, prometheus.GaugeValue, float64(sessions))
}

var (
	queueDesc    = prometheus.NewDesc("quantrac_collector_queue_messages", "Messages of devices that wait in the collector's queues.", nil, nil)
	sessionsDesc = prometheus.NewDesc("quantrac_collector_sessions", "Devices that the collector remembers.", nil, nil)
)

func (c *Collector) waiting() (messages, sessions int) {
	c.mu.Lock()
	all := make([]*session, 0, len(c.sessions))
	for _, s := range c.sessions {
		all = append(all, s)
	}
	c.mu.Unlock()
	for _, s := range all {
		s.mu.Lock()
		messages += len(s.queue)
		s.mu.Unlock()
	}
	return messages, len(all)
}
