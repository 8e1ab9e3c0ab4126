package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"

	"quantrac/internal/jsonapi"
)

// handler serves the snapshots to administrators.
func (s *snapshots) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/admin/snapshots", func(w http.ResponseWriter, _ *http.Request) {
		all, err := s.list()
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
		jsonapi.Done(w, s.remove(r.PathValue("name")))
	})
	return adminOnly(jsonapi.Routes(mux))
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
	body, err := json.Marshal(map[string]string{"name": c.Name})
	if err != nil {
		return err
	}
	answer, err := c.call(ctx, http.MethodPost, "/api/admin/snapshots", "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	var made snapshotInfo
	if err := json.Unmarshal(answer, &made); err != nil {
		return fmt.Errorf("the service's answer: %w", err)
	}
	if c.JSON {
		_, err = out.Write(answer)
		return err
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
	answer, err := c.call(ctx, http.MethodGet, "/api/admin/snapshots", "", nil)
	if err != nil {
		return err
	}
	if c.JSON {
		_, err = out.Write(answer)
		return err
	}
	var all []snapshotInfo
	if err := json.Unmarshal(answer, &all); err != nil {
		return fmt.Errorf("the service's answer: %w", err)
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
	_, err := c.call(ctx, http.MethodDelete, "/api/admin/snapshots/"+url.PathEscape(c.Name), "", nil)
	return err
}
