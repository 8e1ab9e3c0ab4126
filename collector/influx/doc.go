// Package influx takes readings in over HTTP as line protocol, the way Telegraf
// and the InfluxDB clients send them: /write of InfluxDB 1, /api/v2/write of
// InfluxDB 2, /ping, /health, and of /query what clients ask before they write.
//
// What it promises:
//
//   - 204 goes out only when every reading of the request is durable.
//   - The good lines of a request with bad ones are stored in one commit; the
//     answer (400 to version 1, 422 to version 2) names every bad line, in words
//     and as data. With accept_partial=false nothing is stored then.
//   - What sending again can mend is 503 with a Retry-After in whole seconds,
//     never a 4xx: clients drop a batch on any of those. A body that stalls on
//     a slow link is such a case.
//   - An error body is JSON in the form of the version asked. Telegraf takes
//     anything else for a failure worth retrying for ever.
//
// Databases and buckets have no meaning here and become no label; every name is
// accepted. Behaviour of the clients was read in telegraf's outputs.influxdb and
// influxdb_v2, influxdb-client-go v2, influxdb-client-python and influxdb-python.
//
// Use: New with a *collector.Collector, mount the Handler. Only cmd imports it.
package influx
