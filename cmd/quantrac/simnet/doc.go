// Package simnet makes up the province's observation network: where its
// stations stand, what their instruments would read, and how their loggers
// would send it over a bad link. It knows no wire protocol: Feed yields
// messages, the command publishes them as real MQTT devices.
//
// Everything is a pure function of the seed and the time, so that a run can be
// stopped and taken up again, and two runs of one seed say the same. Nothing in
// it is an observation: stations are registered as simulated, and every surface
// that shows their values says so.
//
// Water levels are tide (harmonic constants of Vũng Tàu, TICON-4, SEANOE
// 109129, CC BY 4.0, damped and delayed on the way inland), a seasonal cycle
// and flood waves rising 8–12 cm a day; storms cross the province on
// afternoons, mostly in March–April and September–October; light-trap catches
// peak once in about 24.5 days (the brown planthopper's cycle of 22.4 days in
// the delta plus emergence spread) with natural enemies some days behind.
//
// Only cmd/quantrac may import it.
package simnet
