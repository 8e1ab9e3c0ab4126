package mqtt

import "github.com/prometheus/client_golang/prometheus"

// metrics are the figures of a Broker, under quantrac_mqtt_….
type metrics struct {
	all []prometheus.Collector

	connections                             prometheus.Gauge
	refusedConns, brokenOff                 prometheus.Counter
	received, sent, dropped, lost, withheld prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "quantrac", Subsystem: "mqtt", Name: name, Help: help})
		m.all = append(m.all, c)
		return c
	}
	m.connections = prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "quantrac", Subsystem: "mqtt", Name: "connections", Help: "MQTT clients connected."})
	m.all = append(m.all, m.connections)
	m.refusedConns = counter("refused_connections_total", "MQTT connections refused: no room, no valid CONNECT, wrong credentials.")
	m.brokenOff = counter("broken_connections_total", "MQTT connections ended for what the client sent: no MQTT, a packet too large, what is not offered.")
	m.received = counter("received_messages_total", "Messages from MQTT clients.")
	m.sent = counter("sent_messages_total", "Messages to MQTT subscribers, those sent again included.")
	m.dropped = counter("dropped_messages_total", "Messages to an MQTT subscriber given up: its queue was full, it takes no packet so large, or the message had expired.")
	m.lost = counter("lost_messages_total", "Messages of QoS 0 that could not be made durable.")
	m.withheld = counter("failed_connections_total", "MQTT connections dropped because a message could not be made durable.")
	return m
}

// Describe implements prometheus.Collector: register the Broker itself.
func (b *Broker) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range b.metrics.all {
		m.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (b *Broker) Collect(ch chan<- prometheus.Metric) {
	for _, m := range b.metrics.all {
		m.Collect(ch)
	}
}
