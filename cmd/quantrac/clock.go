package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"quantrac/internal/jsonapi"

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
			jsonapi.Fail(w, quantrac.Errorf(quantrac.Invalid, "read the time: %w", err))
			return
		}
		at, err := quantrac.ParseTime(strings.TrimSpace(string(text)))
		if err != nil {
			jsonapi.Fail(w, err)
			return
		}
		clock.Set(at)
		err = settled(r.Context(), at)
		if err != nil {
			err = quantrac.WithKind(quantrac.Unavailable, err)
		}
		jsonapi.Done(w, err)
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
