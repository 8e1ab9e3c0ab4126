// Package accounts knows who may come in: accounts of people with passwords,
// their sessions, and API tokens of programs.
//
// # What it promises
//
// Changes are journal records (of kind quantrac.RecordRegistry, subject 'A')
// and audit entries in one append; the tables and what is held in memory are
// projections of them, so sessions survive a restart. Secrets are shown once
// and kept as hashes: argon2id for what people choose, SHA-256 for what the
// machine draws. Checking a request takes a map lookup, no query.
//
// A service without accounts prints a setup code (SetupCode): whoever has it
// makes the first administrator, once, before it expires. Guessing passwords
// is slowed down by account and by address, before any hashing, and nobody can
// use that to keep out somebody who signs in from a browser or an address that
// has done so before. The last administrator cannot be taken away.
//
// # How to use it
//
//	store, err := accounts.Open(path, journal, accounts.Options{Audit: log})
//	go store.Run(ctx)
//	mux.Handle("/api/auth/", store.Handler())
//	server.Handler = store.Guard(accounts.GuardOptions{Hosts: names, Reads: reads}, mux)
//
// The guard puts the quantrac.Principal of a request into its context and
// refuses mutations that another site's page could have caused. What a
// principal may do is each surface's own decision.
//
// Only cmd imports it.
package accounts
