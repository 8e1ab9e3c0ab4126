// Package jsonapi reads and answers the JSON of our own HTTP surfaces: one
// way to bound and check a request, one form of errors.
//
// Read wants a content type of application/json, which a form on another
// site's page cannot send, bounds the body and refuses what it does not know.
// Errors go out in a form that every client of ours reads: "status",
// "errorType" and "error" as Prometheus has them, "error" as Influx 1 and
// "code" and "message" as Influx 2; the HTTP status is that of the error's
// kind. Only what imitates a foreign server, /api/v1 and the Influx writes, has
// that server's form instead. Any package with an HTTP surface may import it;
// it knows no room.
package jsonapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"quantrac"
)

// Strict decodes one JSON value and nothing after it; unknown fields are
// errors.
func Strict(r io.Reader, v any) error {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("text after the JSON value at byte %d", d.InputOffset())
	}
	return nil
}

// Read decodes a request's JSON of at most limit bytes into v. It answers
// what is wrong itself and returns false then.
func Read(w http.ResponseWriter, r *http.Request, limit int64, v any) bool {
	if !HasType(r, "application/json") {
		Error(w, http.StatusUnsupportedMediaType, quantrac.Invalid.String(), "want Content-Type: application/json")
		return false
	}
	if err := Strict(http.MaxBytesReader(w, r.Body, limit), v); err != nil {
		BadBody(w, err)
		return false
	}
	return true
}

// BadBody answers that a request's body could not be read, or not understood.
func BadBody(w http.ResponseWriter, err error) {
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		Error(w, http.StatusRequestEntityTooLarge, quantrac.Invalid.String(), fmt.Sprintf("request: the body has more than %d bytes", tooLarge.Limit))
		return
	}
	kind := quantrac.Invalid
	if k := quantrac.KindOf(err); k != quantrac.KindNone {
		kind = k // of the body itself: it has not come
	}
	Fail(w, quantrac.Errorf(kind, "request: %w", err))
}

// HasType says whether the request's body is of a media type.
func HasType(r *http.Request, want string) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == want
}

// Done answers a change: 204, or its error.
func Done(w http.ResponseWriter, err error) {
	if err != nil {
		Fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// Answer answers with a value, 200.
func Answer(w http.ResponseWriter, v any) { Write(w, http.StatusOK, v) }

// Fail answers with an error at the status of its kind.
func Fail(w http.ResponseWriter, err error) {
	kind := quantrac.KindOf(err)
	Error(w, kind.HTTPStatus(), kind.String(), err.Error())
}

// Error answers with an error.
func Error(w http.ResponseWriter, status int, code, text string) { Write(w, status, Body(code, text)) }

// Body returns the form of an error, to add fields to.
func Body(code, text string) map[string]any {
	return map[string]any{"status": "error", "errorType": code, "code": code, "error": text, "message": text}
}

// Write answers with a status and a value. Nothing of it is to be cached: it
// may be for who asked alone.
func Write(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"status":"error","errorType":"internal","code":"internal","error":"the answer cannot be written as JSON","message":"the answer cannot be written as JSON"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // an error means that who asked has gone away
}
