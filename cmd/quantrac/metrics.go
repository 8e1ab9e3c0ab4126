package main

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"quantrac/internal/turnstile"
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
	r.gates(gauge, counter)
	r.journal(gauge, counter)
	r.engine(gauge, counter)
	r.alerting(gauge, counter)
	r.forecast(gauge, counter)
	r.page(gauge, counter)
	r.backup(gauge, counter)
}

type (
	gaugeFunc   = func(name, help string, v float64, labels ...string)
	counterFunc = func(name, help string, v uint64, labels ...string)
)

func (r roomStats) gates(gauge gaugeFunc, counter counterFunc) {
	for name, t := range map[string]*turnstile.Turnstile{"http": r.s.gates.http, "mqtt": r.s.gates.mqtt} {
		st := t.Stats()
		gauge("connections", "Connections open.", float64(st.Open), "way", name)
		counter("connections_cut_total", "Connections that the service waited for, cut to make room for others.", st.Cut, "way", name)
		counter("connections_refused_total", "Connections not let in, as all others were being served.", st.Refused, "way", name)
	}
	for who, st := range map[string]*turnstile.Streams{"public": r.s.gates.public, "staff": r.s.gates.staff} {
		open, refused := st.Stats()
		gauge("streams", "Live streams open.", float64(open), "who", who)
		counter("streams_refused_total", "Live streams refused for being too many.", refused, "who", who)
	}
}

func (r roomStats) journal(gauge gaugeFunc, counter counterFunc) {
	st := r.s.journal.Stats()
	counter("journal_records_total", "Records committed to the journal.", st.Records)
	counter("journal_written_bytes_total", "Bytes written to the journal for committed records, framing included.", st.Bytes)
	counter("journal_syncs_total", "Groups of records that were written to the journal and synced at once.", st.Groups)
	counter("journal_refused_appends_total", "Appends to the journal that failed.", st.Refused)
	counter("journal_sync_errors_total", "Syncs of the journal that failed.", st.SyncErrors)
	gauge("journal_full", "1 while the journal takes only warnings and their like for want of disk space.", flag(st.Full))
	if c := r.s.steady; c != nil {
		gauge("clock_refused_seconds", "How far the machine's clock has jumped from the one that the service goes by, 0 while it is believed.", c.refused().Seconds())
	}
	gauge("journal_last_commit", "Number of the newest commit in the journal.", float64(st.Last))
	for name, at := range st.Passed {
		gauge("journal_reader_lag_commits", "Commits of the journal that a reader has still to apply.", behind(st.Last, at), "reader", name)
	}
	for name, at := range st.Holds {
		gauge("journal_reader_held_commits", "Newest commits that the journal keeps until a reader has made them durable, which it does from time to time.", behind(st.Last, at), "reader", name)
	}
}

func (r roomStats) page(gauge gaugeFunc, counter counterFunc) {
	st := r.s.page.Stats()
	gauge("page_live_streams", "Browsers that follow the page live.", float64(st.LiveClients))
	counter("page_refused_streams_total", "Live streams refused because too many browsers followed the page; those ask from time to time.", st.LiveRefused)
	counter("page_dropped_streams_total", "Live streams ended because the browser did not keep up.", st.LiveDropped)
}

func (r roomStats) engine(gauge gaugeFunc, counter counterFunc) {
	st := r.s.db.Stats()
	gauge("tsdb_series", "Series that the store knows.", float64(st.Series))
	gauge("tsdb_groups", "Row groups, series that share all labels but the property, that the store knows.", float64(st.Groups))
	gauge("tsdb_head_bytes", "Memory of the store's rows that are not yet in blocks.", float64(st.HeadBytes))
	gauge("tsdb_blocks", "Block files of the store.", float64(st.Blocks))
	gauge("tsdb_disk_bytes", "Bytes of the store's files, without the journal.", float64(st.DiskBytes))
	counter("tsdb_stored_values_total", "Values that made a revision of a reading, the first one included.", st.Stored)
	counter("tsdb_redelivered_values_total", "Values that the store had already, so that they changed nothing.", st.Redelivered)
	counter("tsdb_collided_values_total", "Values that the store left out for a later one of the same series and time in one batch.", st.Collisions)
	counter("tsdb_ahead_values_total", "Values that the store failed for lying in the future.", st.Ahead)
	counter("tsdb_flushes_total", "Flushes of rows from memory to blocks that ended well.", st.Flushes)
	counter("tsdb_flush_errors_total", "Flushes of rows from memory to blocks that failed.", st.FlushErrors)
	counter("tsdb_compactions_total", "Merges of blocks that ended well.", st.Compactions)
	counter("tsdb_read_errors_total", "Pieces of the journal or of blocks that the store found damaged or unreadable.", st.ReadErrors)
	gauge("tsdb_last_scrub_timestamp_seconds", "When every file of the store was last read whole and checked, 0 for never since the start.", float64(st.LastScrub)/1000)
	gauge("tsdb_scrub_damage", "1 if the last check of every file of the store found damage.", flag(st.ScrubError != nil))
	q := r.s.promql.Stats()
	counter("promql_evaluations_total", "Expressions evaluated, on native paths over columns or by Prometheus' engine.", q.Native, "path", "native")
	counter("promql_evaluations_total", "Expressions evaluated, on native paths over columns or by Prometheus' engine.", q.Engine, "path", "engine")
	counter("promql_kept_answers_total", "Requests answered as before, because nothing that they read had changed.", q.Kept)
	counter("promql_mended_results_total", "Native evaluations that worked out only what had changed since the last time.", q.Mended)
}

func (r roomStats) alerting(gauge gaugeFunc, counter counterFunc) {
	st := r.s.alerting.Stats()
	gauge("alerting_lag_commits", "Commits of the journal that the rules have still to judge.", float64(st.Lag))
	counter("alerting_retries_total", "Times that the journal refused a warning, which is then tried again.", st.Retries)
	for state, n := range st.Said {
		counter("alerting_revisions_total", "Revisions of warnings said, by the state that each tells of.", n, "state", state)
	}
	for rule, n := range st.Open {
		gauge("alerting_open_episodes", "Warnings that stand, by the rule that made them.", float64(n), "rule", rule)
	}
	t := r.s.outbox.Totals()
	counter("outbox_taken_deliveries_total", "Deliveries of warnings that receivers have taken.", t.Delivered)
	counter("outbox_failed_deliveries_total", "Attempts to deliver a warning that failed; each is made again or given up.", t.Failures)
	counter("outbox_abandoned_deliveries_total", "Deliveries of warnings given up for good.", t.GivenUp)
}

func (r roomStats) forecast(gauge gaugeFunc, counter counterFunc) {
	st := r.s.forecast.Stats()
	gauge("forecast_models", "Forecast models configured.", float64(st.Models))
	counter("forecast_runs_total", "Forecast runs made.", st.Runs)
	counter("forecast_fallback_runs_total", "Forecast runs that are persistence at every lead.", st.Fallbacks)
	counter("forecast_failed_runs_total", "Forecast runs that could not be made, archived or published.", st.Failures)
}

// behind is how far at is behind last, which may be older than at.
func behind(last, at uint64) float64 { return float64(last - min(at, last)) }

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
