// Package dashboards is what people look at: the phone page at / with its JSON
// and its live stream, the open-data feeds, and the Grafana provisioning files.
//
// It promises: a reading that is shown carries its value, unit, quality and
// time, and says so where it is late, suspect, failed or simulated; state and
// trend are computed here by the rules written at stateOf and trendOf and are
// the same for every reader; forecasts reach signed-in staff, and others only
// where an issuing authority is recorded; a slow or lost browser never holds
// up anybody, it is let go and resumes from what is true now. The page needs
// no third party at run time.
//
// It reads through the small interfaces declared here (Registry, Readings,
// Warnings, Forecasts, Feed), which cmd satisfies from the other rooms:
//
//	page, err := dashboards.New(dashboards.Deps{Registry: reg, Readings: store, …}, dashboards.Options{Clock: clock})
//	go page.Run(ctx)              // follows the feed, serves the live stream
//	mux.Handle("/", page)         // page, /assets/, /api/page/, /open/, /grafana/
//
// Who asks is taken from the request's context (quantrac.PrincipalFrom); the
// sign-in form talks to /api/auth/ (session, setup, login, logout), which cmd
// mounts.
//
// The sources of the page are in web/, built by `go generate` (npm, esbuild)
// into assets/, which is committed and embedded: Go alone suffices to run.
// Only cmd and tests may import this package.
package dashboards
