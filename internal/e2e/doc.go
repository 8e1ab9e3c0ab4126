// Package e2e drives the real binary through its public surfaces only: MQTT,
// HTTP, the command line and signals. It holds tests and benchmarks; nobody
// imports it.
//
// The long tests (fifty kills, the whole recorded flood) run in the continuous
// build; QUANTRAC_E2E_KILLS and QUANTRAC_E2E_LONG set how much runs elsewhere.
package e2e
