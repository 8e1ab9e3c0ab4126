package main

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// exportMetrics registers what /metrics shows: the process, the ways in, and
// the figures that the rooms keep of themselves.
func (s *system) exportMetrics() error {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "quantrac_build_info", Help: "1, with the version as label.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		build, s.collector, s.broker, roomStats{s},
	} {
		if err := s.metrics.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// roomStats turns the rooms' figures into metrics when they are asked for.
type roomStats struct{ s *system }

// Describe implements prometheus.Collector: the metrics are not known before
// they are collected, which Prometheus calls unchecked.
func (roomStats) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (r roomStats) Collect(ch chan<- prometheus.Metric) {
	emit := func(kind prometheus.ValueType, name, help string, v float64, labels ...string) {
		var names, values []string
		for i := 0; i+1 < len(labels); i += 2 {
			names, values = append(names, labels[i]), append(values, labels[i+1])
		}
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("quantrac_"+name, help, names, nil), kind, v, values...)
	}
	gauge := func(name, help string, v float64, labels ...string) {
		emit(prometheus.GaugeValue, name, help, v, labels...)
	}
	counter := func(name, help string, v uint64, labels ...string) {
		emit(prometheus.CounterValue, name, help, float64(v), labels...)
	}
	r.journal(gauge, counter)
	r.engine(gauge, counter)
	r.alerting(gauge, counter)
	r.forecast(gauge, counter)
}

type (
	gaugeFunc   = func(name, help string, v float64, labels ...string)
	counterFunc = func(name, help string, v uint64, labels ...string)
)

func (r roomStats) journal(gauge gaugeFunc, counter counterFunc) {
	st := r.s.journal.Stats()
	counter("journal_records_total", "Records committed.", st.Records)
	counter("journal_written_bytes_total", "Bytes written for them.", st.Bytes)
	counter("journal_syncs_total", "Writes and syncs they took.", st.Groups)
	counter("journal_refused_total", "Appends that failed.", st.Refused)
	counter("journal_sync_errors_total", "Syncs that failed.", st.SyncErrors)
	gauge("journal_full", "1 while only warnings and their like are taken for want of disk space.", flag(st.Full))
	gauge("journal_last_commit", "Number of the newest commit.", float64(st.Last))
	for name, at := range st.Passed {
		gauge("journal_reader_lag_commits", "Commits of the journal that a reader has still to apply.", behind(st.Last, at), "reader", name)
	}
	for name, at := range st.Holds {
		gauge("journal_reader_held_commits", "Newest commits that the journal keeps until a reader has made them durable, which it does from time to time.", behind(st.Last, at), "reader", name)
	}
}

func (r roomStats) engine(gauge gaugeFunc, counter counterFunc) {
	st := r.s.db.Stats()
	gauge("tsdb_series", "Series known.", float64(st.Series))
	gauge("tsdb_groups", "Row groups known.", float64(st.Groups))
	gauge("tsdb_head_bytes", "Memory of rows not yet in blocks.", float64(st.HeadBytes))
	gauge("tsdb_blocks", "Block files.", float64(st.Blocks))
	gauge("tsdb_disk_bytes", "Bytes of the store's files, without the journal.", float64(st.DiskBytes))
	counter("tsdb_stored_total", "Values that made a revision.", st.Stored)
	counter("tsdb_redelivered_total", "Values equal to an earlier one.", st.Redelivered)
	counter("tsdb_collisions_total", "Values beaten by a later one of the same batch.", st.Collisions)
	counter("tsdb_ahead_total", "Values failed for lying in the future.", st.Ahead)
	counter("tsdb_flushes_total", "Flushes to blocks that ended well.", st.Flushes)
	counter("tsdb_flush_errors_total", "Flushes that failed.", st.FlushErrors)
	counter("tsdb_compactions_total", "Compactions.", st.Compactions)
	counter("tsdb_read_errors_total", "Damaged or unreadable pieces met.", st.ReadErrors)
	gauge("tsdb_last_scrub_timestamp_seconds", "When every file of the store was last read whole and checked, 0 for never since the start.", float64(st.LastScrub)/1000)
	gauge("tsdb_scrub_damage", "1 while the last scrub has found damage.", flag(st.ScrubError != nil))
}

func (r roomStats) alerting(gauge gaugeFunc, counter counterFunc) {
	st := r.s.alerting.Stats()
	gauge("alerting_lag_commits", "Commits not yet judged.", float64(st.Lag))
	counter("alerting_retries_total", "Times the journal refused a warning.", st.Retries)
	for state, n := range st.Said {
		counter("alerting_revisions_total", "Warning revisions said.", n, "state", state)
	}
	for rule, n := range st.Open {
		gauge("alerting_open_episodes", "Episodes that stand.", float64(n), "rule", rule)
	}
	t := r.s.outbox.Totals()
	counter("outbox_delivered_total", "Deliveries taken by receivers.", t.Delivered)
	counter("outbox_failures_total", "Deliveries that failed and are tried again.", t.Failures)
	counter("outbox_given_up_total", "Deliveries given up.", t.GivenUp)
}

func (r roomStats) forecast(gauge gaugeFunc, counter counterFunc) {
	st := r.s.forecast.Stats()
	gauge("forecast_models", "Models configured.", float64(st.Models))
	counter("forecast_runs_total", "Runs made.", st.Runs)
	counter("forecast_fallbacks_total", "Runs that are persistence at every lead.", st.Fallbacks)
	counter("forecast_failures_total", "Runs that could not be made.", st.Failures)
}

// behind is how far at is behind last, which may be older than at.
func behind(last, at uint64) float64 { return float64(last - min(at, last)) }

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
