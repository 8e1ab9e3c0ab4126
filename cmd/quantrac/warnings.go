package main

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"quantrac"
	"quantrac/alerting"
	"quantrac/alerting/cap"
	"quantrac/alerting/feed"
	"quantrac/alerting/outbox"
	"quantrac/alerting/stream"
	"quantrac/alerting/webhook"
	"quantrac/api/quantrac/v1/quantracv1connect"
	"quantrac/forecast"
	"quantrac/internal/jsonapi"
	"quantrac/internal/params"
	"quantrac/tsdb"
)

func (s *system) openAlerting(ctx context.Context) (err error) {
	s.alerting, err = alerting.Open(ctx, s.path("alerting"), s.journal, tsdb.DecodeBatch, s.registry, alerting.Options{
		Clock: s.clock, Logger: s.log, SilenceHold: s.c.SilenceHold, Authority: s.authority, Outlook: forecast.OutlookOf,
	})
	if err != nil {
		return err
	}
	s.own("alerting", s.alerting.Run, s.alerting.Close)
	s.webhook = webhook.New(webhook.Options{AllowPrivate: s.c.Dev || s.c.WebhookPrivate, AllowHTTP: s.c.Dev || s.c.WebhookPrivate})
	senders := map[string]outbox.Sender{"webhook": s.webhook}
	if err := s.openTopics(ctx, senders); err != nil {
		return err
	}
	// Deliveries are retried in real time, also where a replay drives the clock.
	s.outbox = outbox.New(s.alerting, senders, outbox.Options{Logger: s.log})
	s.own("outbox", s.outbox.Run, nil)
	return nil
}

// authority names in whose name forecasts for a station may be published.
func (s *system) authority(station string, at quantrac.Millis) string {
	a, ok := s.registry.Authority(station, at)
	if !ok {
		return ""
	}
	return a.Name
}

const subscriptionsPath = "/api/alerting/subscriptions"

func (s *system) alertingRoutes(mux *http.ServeMux) {
	subs := params.NowOnly(outbox.Handler(s.alerting, s.outbox, subscriptionsPath, s.webhook.Check))
	mux.Handle(subscriptionsPath, subs)
	mux.Handle(subscriptionsPath+"/", subs)
	mux.Handle("GET /api/alerting/warnings", s.publicOnly(params.NowOnly(http.HandlerFunc(s.warningsNow))))
	mux.Handle("GET /api/alerting/history", s.publicOnly(http.HandlerFunc(s.warningHistory)))
	streamPath, handler := stream.New(s.alerting, stream.Options{Stop: s.stopping})
	handler = s.publicOnly(handler)
	mux.Handle(streamPath, handler)
	mux.Handle(quantracv1connect.WarningServiceWatchProcedure, s.gates.lasting(handler))
	if s.c.OpenData {
		feed := params.NowOnly(s.capFeed())
		mux.Handle("/open/cap/", feed)
		mux.Handle("/open/cap", feed)
	}
}

// publicOnly lets everybody through where anything is public that shows
// warnings, the page or the feed, and otherwise staff.
func (s *system) publicOnly(next http.Handler) http.Handler {
	if s.c.PublicPage || s.c.OpenData {
		return next
	}
	return staffOnly(next)
}

// warningsNow answers the open episodes, each by its newest revision: what is
// public to everybody, the technical ones with audience=staff to staff.
func (s *system) warningsNow(w http.ResponseWriter, r *http.Request) {
	audience, err := audienceOf(r)
	if err != nil {
		jsonapi.Fail(w, err)
		return
	}
	jsonapi.Answer(w, map[string]any{"warnings": orEmpty(s.alerting.Current(r.Context(), audience)), "commit": s.alerting.Position()})
}

// warningHistory answers revisions, the newest first: station, from, to (times
// of sending), asof, before (a commit: the next page) and limit narrow it.
func (s *system) warningHistory(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	sel := alerting.Selection{Station: q.Get("station")}
	var err error
	if sel.Audience, err = audienceOf(r); err != nil {
		jsonapi.Fail(w, err)
		return
	}
	if err = spanOf(q, &sel); err != nil {
		jsonapi.Fail(w, err)
		return
	}
	if v := q.Get("before"); v != "" {
		if sel.Before, err = strconv.ParseUint(v, 10, 63); err != nil {
			jsonapi.Fail(w, quantrac.Errorf(quantrac.Invalid, "before=%q: want a commit number", v))
			return
		}
	}
	if v := q.Get("limit"); v != "" {
		if sel.Limit, err = strconv.Atoi(v); err != nil || sel.Limit < 1 || sel.Limit > 1000 {
			jsonapi.Fail(w, quantrac.Errorf(quantrac.Invalid, "limit=%q: want 1 to 1000", v))
			return
		}
	}
	warnings, err := s.alerting.History(r.Context(), sel)
	if err != nil {
		jsonapi.Fail(w, err)
		return
	}
	jsonapi.Answer(w, map[string]any{"warnings": orEmpty(warnings)})
}

// spanOf reads from and to. What was said is never changed, so what was known of
// it at a time is what had been sent by then.
func spanOf(q url.Values, sel *alerting.Selection) (err error) {
	if sel.From, err = params.Time(q, "from", 0); err != nil {
		return err
	}
	if sel.To, err = params.Time(q, "to", quantrac.MaxMillis); err != nil {
		return err
	}
	asOf, err := params.AsOf(q)
	if asOf != 0 {
		sel.To = min(sel.To, asOf)
	}
	return err
}

// orEmpty makes JSON's [] of no warnings.
func orEmpty(ws []quantrac.Warning) []quantrac.Warning {
	if ws == nil {
		return []quantrac.Warning{}
	}
	return ws
}

func audienceOf(r *http.Request) (quantrac.Audience, error) {
	switch a := quantrac.Audience(r.URL.Query().Get("audience")); a {
	case "", quantrac.AudiencePublic:
		return quantrac.AudiencePublic, nil
	case quantrac.AudienceStaff:
		return a, nil
	default:
		return "", quantrac.Errorf(quantrac.Invalid, "audience=%q: want public or staff", a)
	}
}

func (s *system) capFeed() http.Handler {
	return feed.New(s.alerting, s.clock, "/open/cap", cap.Options{Sender: s.c.Sender, BaseURL: s.c.baseURL()})
}
