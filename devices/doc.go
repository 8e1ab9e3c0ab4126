// Package devices is the registry of the network: stations with what may
// change about them, administrative units, devices and their credentials, what
// each station measures, the thresholds it is judged by, and the authority in
// whose name forecasts may be published.
//
// # What it promises
//
// The journal comes first. Every change is one record of kind
// quantrac.RecordRegistry (who, why and the edits; the commit says when), and
// a change of several things, an import say, is one record too: all of it or
// nothing. Two readers follow the journal: an immutable snapshot in memory
// behind an atomic pointer, and tables in SQLite, made by numbered migrations,
// from which the next start takes it. A Put returns when the snapshot holds the
// change, so who wrote reads it back, also while a full disk keeps the tables
// behind. Deleting the SQLite file loses nothing that the journal still holds.
//
// Reads take no lock and make no query: Binding and AuthenticateDevice, on the
// way of every message, are a pointer load and a map lookup.
//
// What may change carries validity: names, communes, operators, thresholds,
// authorities and the administrative units themselves. Every question takes
// the instant it is asked for. A commune is never known by its bare code: the
// codes of 1 July 2025 are old codes with other communes behind them, so a
// station's code is read in the list in force when it was entered, and shown
// only while that very unit is in force.
//
// # How to use it
//
//	reg, err := devices.Open(path, journal, devices.Options{Clock: clock, Audit: log})
//	go reg.Run(ctx)               // follows the journal until ctx ends
//	_, err = reg.PutStation(ctx, devices.Station{ID: "tan_quoi", …}, "first registration")
//	b, ok := reg.Binding("tan_quoi_1")
//
// Whoever changes something must be in the context (quantrac.WithPrincipal);
// whether they may is decided by the surface that lets them in
// (devices/httpapi), not here.
//
// Metadata labels, joined to series at read time and reserved (Keys): name,
// name_en, family, commune (the unit's name), commune_code, district (the
// former one, kept as a reporting region), river, operator, and simulated
// ("true", or absent). The names of a simulated station begin with a mark.
//
// Only cmd and this package's own subpackages import it; the other rooms see
// it through small interfaces of their own.
package devices
