package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"

	"quantrac"
	"quantrac/internal/jsonapi"
)

// handler serves the snapshots to administrators.
func (s *snapshots) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/admin/snapshots", func(w http.ResponseWriter, r *http.Request) {
		all, err := s.list(r.Context())
		if err != nil {
			jsonapi.Fail(w, err)
			return
		}
		jsonapi.Answer(w, all)
	})
	mux.HandleFunc("POST /api/admin/snapshots", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Name string `json:"name"`
		}
		if !jsonapi.Read(w, r, 1000, &in) {
			return
		}
		made, err := s.create(r.Context(), in.Name)
		if err != nil {
			jsonapi.Fail(w, err)
			return
		}
		jsonapi.Answer(w, made)
	})
	mux.HandleFunc("DELETE /api/admin/snapshots/{name}", func(w http.ResponseWriter, r *http.Request) {
		jsonapi.Done(w, s.remove(r.Context(), r.PathValue("name")))
	})
	return adminOnly(jsonapi.Routes(mux))
}

// remoteSnapshots are the snapshots of a service that is spoken to over HTTP.
type remoteSnapshots struct{ remote }

func (s remoteSnapshots) create(ctx context.Context, name string) (made snapshotInfo, err error) {
	body, err := json.Marshal(map[string]string{"name": name})
	if err != nil {
		return made, err
	}
	answer, err := s.call(ctx, http.MethodPost, "/api/admin/snapshots", "application/json", bytes.NewReader(body))
	if err != nil {
		return made, err
	}
	if err := json.Unmarshal(answer, &made); err != nil {
		return made, fmt.Errorf("the service's answer: %w", err)
	}
	return made, nil
}

func (s remoteSnapshots) list(ctx context.Context) (all []snapshotInfo, err error) {
	answer, err := s.call(ctx, http.MethodGet, "/api/admin/snapshots", "", nil)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(answer, &all); err != nil {
		return nil, fmt.Errorf("the service's answer: %w", err)
	}
	return all, nil
}

func (s remoteSnapshots) remove(ctx context.Context, name string) error {
	_, err := s.call(ctx, http.MethodDelete, "/api/admin/snapshots/"+url.PathEscape(name), "", nil)
	var told *statusError
	if errors.As(err, &told) && told.code == http.StatusNotFound {
		return quantrac.WithKind(quantrac.NotFound, err)
	}
	return err
}

// snapshotCmd are the verbs of snapshots.
type snapshotCmd struct {
	Create snapshotCreateCmd `cmd:"" help:"Make a snapshot: a folder inside the data folder that opens as it would, made while the service runs."`
	List   snapshotListCmd   `cmd:"" help:"List the snapshots."`
	Delete snapshotDeleteCmd `cmd:"" help:"Remove a snapshot."`
}

type snapshotCreateCmd struct {
	remote
	Name string `placeholder:"NAME" help:"What to call it; by default the time."`
	JSON bool   `name:"json" help:"Print it as JSON."`
}

// Run implements the command.
func (c *snapshotCreateCmd) Run(ctx context.Context, out io.Writer) error {
	made, err := remoteSnapshots{c.remote}.create(ctx, c.Name)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(out).Encode(made)
	}
	_, err = fmt.Fprintf(out, "snapshot %s, up to commit %d at least: %s\n", made.Name, made.Commit, made.Path)
	return err
}

type snapshotListCmd struct {
	remote
	JSON bool `name:"json" help:"Print them as JSON."`
}

// Run implements the command.
func (c *snapshotListCmd) Run(ctx context.Context, out io.Writer) error {
	all, err := remoteSnapshots{c.remote}.list(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(out).Encode(all)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "name\tfolder")
	for _, s := range all {
		fmt.Fprintf(w, "%s\t%s\n", s.Name, s.Path)
	}
	return w.Flush()
}

type snapshotDeleteCmd struct {
	remote
	Name string `arg:"" help:"Its name."`
}

// Run implements the command.
func (c *snapshotDeleteCmd) Run(ctx context.Context) error {
	return remoteSnapshots{c.remote}.remove(ctx, c.Name)
}
