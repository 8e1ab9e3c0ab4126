// Package stream is the warning service over Connect (api/quantrac/v1): the
// open warnings as a list, and every revision as a stream that is resumed by
// the number of the last commit the reader got.
//
// What it promises: a reader gets every revision that it may see, in the order
// of commits, from where it asks on; between them heartbeats say up to which
// commit that is so and keep the connection alive. A reader that does not take
// a message within Options.SendTimeout is disconnected and resumes; nothing is
// skipped in silence and nothing piles up here. Who may see what follows the
// principal in the request's context.
//
// It imports its parent alerting, the root and the generated api; cmd mounts
// the handler.
package stream

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"quantrac"
	"quantrac/alerting"
	quantracv1 "quantrac/api/quantrac/v1"
	"quantrac/api/quantrac/v1/quantracv1connect"
)

// Source is where warnings come from: *alerting.Alerting.
type Source interface {
	Current(ctx context.Context, audience quantrac.Audience) []quantrac.Warning
	Episode(ctx context.Context, id string) ([]quantrac.Warning, error)
	Position() uint64
	Revisions(ctx context.Context, after uint64, limit int) ([]quantrac.Warning, error)
	Changed() <-chan struct{}
}

// Options of the service. The zero value works.
type Options struct {
	Clock       quantrac.Clock  // of heartbeats and timeouts; SystemClock
	Heartbeat   time.Duration   // 15 s
	SendTimeout time.Duration   // how long a reader may take for a message; 30 s
	MaxStreams  int             // at once; 1000
	Stop        <-chan struct{} // closed at shutdown: streams end (unavailable) and are resumed elsewhere or later
}

type service struct {
	src  Source
	o    Options
	open atomic.Int64
}

// New returns the path to mount the service on and its handler.
func New(src Source, o Options) (string, http.Handler) {
	if o.Clock == nil {
		o.Clock = quantrac.SystemClock{}
	}
	if o.Heartbeat <= 0 {
		o.Heartbeat = 15 * time.Second
	}
	if o.SendTimeout <= 0 {
		o.SendTimeout = 30 * time.Second
	}
	if o.MaxStreams <= 0 {
		o.MaxStreams = 1000
	}
	path, h := quantracv1connect.NewWarningServiceHandler(&service{src: src, o: o}, connect.WithReadMaxBytes(64<<10))
	return path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := context.WithValue(r.Context(), controllerKey{}, http.NewResponseController(w))
		h.ServeHTTP(w, r.WithContext(ctx))
	})
}

type controllerKey struct{}

// code maps our error kinds to Connect's codes, which have their names.
func code(err error) *connect.Error {
	c := connect.CodeInternal
	if kind := quantrac.KindOf(err); kind != quantrac.KindNone {
		if c.UnmarshalText([]byte(kind.String())) != nil {
			c = connect.CodeUnknown
		}
	}
	switch {
	case errors.Is(err, context.Canceled):
		c = connect.CodeCanceled
	case errors.Is(err, context.DeadlineExceeded):
		c = connect.CodeDeadlineExceeded
	}
	return connect.NewError(c, err)
}

// audience maps the wire's audience, and refuses staff's to the public.
func audience(ctx context.Context, a quantracv1.Audience) (quantrac.Audience, error) {
	switch a {
	case quantracv1.Audience_AUDIENCE_UNSPECIFIED, quantracv1.Audience_AUDIENCE_PUBLIC:
		return quantrac.AudiencePublic, nil
	case quantracv1.Audience_AUDIENCE_STAFF:
		if !quantrac.PrincipalFrom(ctx).Staff() {
			return "", quantrac.Errorf(quantrac.Denied, "technical warnings are for signed-in staff")
		}
		return quantrac.AudienceStaff, nil
	}
	return "", quantrac.Errorf(quantrac.Invalid, "unknown audience %d", a)
}

// List implements the service.
func (s *service) List(ctx context.Context, req *connect.Request[quantracv1.ListRequest]) (*connect.Response[quantracv1.ListResponse], error) {
	aud, err := audience(ctx, req.Msg.Audience)
	if err != nil {
		return nil, code(err)
	}
	out := &quantracv1.ListResponse{Commit: s.src.Position()} // before looking: what comes in between is seen twice, never not
	var ws []quantrac.Warning
	if req.Msg.Episode == "" {
		ws = s.src.Current(ctx, aud)
	} else if ws, err = s.src.Episode(ctx, req.Msg.Episode); err != nil {
		return nil, code(err)
	}
	for i := range ws {
		if alerting.Visible(quantrac.PrincipalFrom(ctx), aud, &ws[i]) {
			out.Warnings = append(out.Warnings, Wire(&ws[i]))
		}
	}
	if req.Msg.Episode != "" && len(out.Warnings) == 0 {
		return nil, code(quantrac.Errorf(quantrac.NotFound, "there is no warning %q", req.Msg.Episode))
	}
	return connect.NewResponse(out), nil
}

// Watch implements the service.
func (s *service) Watch(ctx context.Context, req *connect.Request[quantracv1.WatchRequest], st *connect.ServerStream[quantracv1.WatchResponse]) error {
	aud, err := audience(ctx, req.Msg.Audience)
	if err != nil {
		return code(err)
	}
	if s.open.Add(1) > int64(s.o.MaxStreams) {
		s.open.Add(-1)
		return code(quantrac.Errorf(quantrac.Busy, "%d streams are open already", s.o.MaxStreams))
	}
	defer s.open.Add(-1)
	at := s.src.Position()
	if req.Msg.AfterCommit != nil {
		if *req.Msg.AfterCommit > at {
			return connect.NewError(connect.CodeOutOfRange, errors.New("after_commit lies beyond what this centre has said; list again"))
		}
		at = *req.Msg.AfterCommit
	}
	w := watcher{s: s, ctx: ctx, st: st, aud: aud, at: at}
	return w.run()
}

// watcher is one stream.
type watcher struct {
	s   *service
	ctx context.Context
	st  *connect.ServerStream[quantracv1.WatchResponse]
	aud quantrac.Audience
	at  uint64 // up to which everything is sent
}

func (w *watcher) run() error {
	p := quantrac.PrincipalFrom(w.ctx)
	if err := w.send(nil); err != nil { // at once, so that the reader knows where it stands
		return err
	}
	for {
		changed := w.s.src.Changed()
		ws, err := w.s.src.Revisions(w.ctx, w.at, 64)
		if err != nil {
			return code(err)
		}
		for i := range ws {
			w.at = ws[i].Commit
			if !alerting.Visible(p, w.aud, &ws[i]) {
				continue
			}
			if err := w.send(&ws[i]); err != nil {
				return err
			}
		}
		if len(ws) > 0 {
			continue
		}
		if err := w.wait(changed); err != nil {
			return err
		}
	}
}

// wait returns at a change, after a heartbeat, or with why the stream ends.
func (w *watcher) wait(changed <-chan struct{}) error {
	beat, cancel := w.s.o.Clock.At(w.s.o.Clock.Now().Add(w.s.o.Heartbeat))
	defer cancel()
	select {
	case <-changed:
		return nil
	case <-beat:
		return w.send(nil)
	case <-w.s.o.Stop:
		return code(quantrac.Errorf(quantrac.Unavailable, "the service is closing; resume after commit %d", w.at))
	case <-w.ctx.Done():
		return code(w.ctx.Err())
	}
}

// send sends a warning or, for nil, a heartbeat.
func (w *watcher) send(v *quantrac.Warning) error {
	if rc, ok := w.ctx.Value(controllerKey{}).(*http.ResponseController); ok {
		// A response that knows no deadline is a test's.
		_ = rc.SetWriteDeadline(time.Now().Add(w.s.o.SendTimeout))
	}
	msg := &quantracv1.WatchResponse{Commit: w.at}
	if v != nil {
		msg.Warning = Wire(v)
	}
	if err := w.st.Send(msg); err != nil {
		return code(quantrac.Errorf(quantrac.Busy, "the reader is too slow or gone; it may resume after the last commit it got: %w", err))
	}
	return nil
}
