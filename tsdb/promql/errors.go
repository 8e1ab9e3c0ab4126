package promql

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"quantrac"

	"github.com/prometheus/prometheus/promql"
)

// apiError is an error with its class in the Prometheus HTTP API.
type apiError struct {
	class errorClass
	err   error
}

func (e *apiError) Error() string { return e.err.Error() }
func (e *apiError) Unwrap() error { return e.err }

// errorClass is the errorType of an answer.
type errorClass uint8

const (
	badData errorClass = iota
	execution
	timedOut
	canceled
	unavailable
	forbidden
	notFound
	notAllowed
	internal
)

// classes gives each class its name and status in the API, and the kind by
// which our own callers know it. 499 is what Prometheus answers to a client
// that has gone.
var classes = [...]struct {
	name   string
	status int
	kind   quantrac.ErrorKind
}{
	badData:     {"bad_data", http.StatusBadRequest, quantrac.Invalid},
	execution:   {"execution", http.StatusUnprocessableEntity, quantrac.Invalid},
	timedOut:    {"timeout", http.StatusServiceUnavailable, quantrac.Busy},
	canceled:    {"canceled", 499, quantrac.Unavailable},
	unavailable: {"unavailable", http.StatusServiceUnavailable, quantrac.Unavailable},
	forbidden:   {"forbidden", http.StatusForbidden, quantrac.Denied},
	notFound:    {"not_found", http.StatusNotFound, quantrac.NotFound},
	notAllowed:  {"bad_data", http.StatusMethodNotAllowed, quantrac.Invalid},
	internal:    {"internal", http.StatusInternalServerError, quantrac.KindNone},
}

// badParam is the error about one parameter, in Prometheus' words.
func badParam(name string, err error) *apiError {
	return &apiError{badData, fmt.Errorf("invalid parameter %q: %w", name, err)}
}

// classify gives an error of evaluation or of the store its class.
func (a *API) classify(err error) *apiError {
	var (
		already *apiError
		store   storeError
		stopped promql.ErrQueryCanceled
		late    promql.ErrQueryTimeout
		samples promql.ErrTooManySamples
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &already):
		return already
	case errors.As(err, &stopped), errors.Is(err, context.Canceled):
		return &apiError{canceled, err}
	case errors.As(err, &late), errors.Is(err, context.DeadlineExceeded):
		return &apiError{timedOut, err}
	case errors.As(err, &samples):
		return &apiError{execution, fmt.Errorf("%w (the limit is %d)", err, a.o.MaxSamples)}
	case !errors.As(err, &store):
		return &apiError{execution, err}
	}
	switch quantrac.KindOf(err) {
	case quantrac.Invalid, quantrac.NotFound, quantrac.Conflict:
		return &apiError{execution, err}
	case quantrac.Busy, quantrac.Unavailable:
		return &apiError{unavailable, err}
	case quantrac.Denied:
		return &apiError{forbidden, err}
	}
	a.o.Logger.Error("query failed in the store", "error", err)
	return &apiError{internal, err}
}

// kinded is the same error for callers inside the service.
func kinded(e *apiError) error {
	if e == nil {
		return nil
	}
	return quantrac.WithKind(classes[e.class].kind, e.err)
}
