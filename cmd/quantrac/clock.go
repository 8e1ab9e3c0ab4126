package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"quantrac"
)

// clockHandler lets an administrator set the clock of a service that a replay
// drives: PUT /api/clock with a time as body. It never goes backwards. The
// answer comes once what was due by then is done, as settled says, so that a
// recording replayed fast is lived through at every step of its time.
func clockHandler(clock *quantrac.ManualClock, settled func(context.Context, quantrac.Millis) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(io.LimitReader(r.Body, 100))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		at, err := quantrac.ParseTime(strings.TrimSpace(string(text)))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		clock.Set(at)
		if err := settled(r.Context(), at); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// setClock sets the clock of a service from outside.
func setClock(ctx context.Context, base string, at quantrac.Millis) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, strings.TrimSuffix(base, "/")+"/api/clock", strings.NewReader(at.String()))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("set the clock: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000)) // says why, where it can be read
		return fmt.Errorf("set the clock: %s: %s (is the service running with --dev --clock replay?)", resp.Status, strings.TrimSpace(string(text)))
	}
	return nil
}
