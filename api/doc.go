// Package api holds the wire contracts: Protocol Buffers files and, beside
// each, the generated Go (committed, so that Go alone suffices to build). It
// has no code of its own; `go generate ./api/...` makes the generated files
// again with tools pinned in tools/go.mod. Rooms' channel packages and clients
// import what lies below it.
package api

//go:generate go tool -modfile=../tools/go.mod buf generate
