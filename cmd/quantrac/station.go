package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"text/tabwriter"

	"quantrac"
	"quantrac/cmd/quantrac/simnet"
	"quantrac/devices"
	"quantrac/internal/journal"
	"quantrac/internal/projection"
	"quantrac/internal/vfs"
)

// stationCmd are the verbs of the registry.
type stationCmd struct {
	Import stationImportCmd `cmd:"" help:"Bring stations, devices, properties and thresholds of a CSV file into the registry (docs/import.md)."`
	List   stationListCmd   `cmd:"" help:"List the stations."`
}

// remote is the service that a verb speaks to.
type remote struct {
	HTTP  string `name:"http" default:"http://localhost:8420" env:"QUANTRAC_URL" placeholder:"URL" help:"The running service."`
	Token string `env:"QUANTRAC_TOKEN" help:"API token."`
}

// call makes a request; an answer that is not 200 is an error with the
// service's own words.
func (r remote) call(ctx context.Context, method, path, contentType string, body io.Reader) ([]byte, error) {
	resp, err := r.request(ctx, method, path, contentType, body)
	if err != nil {
		failed := new(statusError)
		if errors.As(err, &failed) {
			return failed.body, err
		}
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// request is call for answers that are read as they come; who asks closes the
// body.
func (r remote) request(ctx context.Context, method, path, contentType string, body io.Reader) (*http.Response, error) {
	if u, err := url.Parse(r.HTTP); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("--http %q: write http://HOST:PORT, or https://", r.HTTP)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(r.HTTP, "/")+path, body)
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if r.Token != "" {
		req.Header.Set("Authorization", "Bearer "+r.Token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("no answer from the service: %w", err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return nil, &statusError{resp.StatusCode, serviceError(resp.Status, b), b}
}

type statusError struct {
	code int
	text string
	body []byte
}

func (e *statusError) Error() string { return e.text }

func serviceError(status string, body []byte) string {
	var e struct{ Error string }
	if json.Unmarshal(body, &e) == nil && e.Error != "" {
		return status + ": " + e.Error
	}
	return status
}

type stationImportCmd struct {
	remote
	File   string `arg:"" placeholder:"FILE.csv" help:"What to import."`
	DryRun bool   `help:"Say what would be created and changed, and do nothing."`
	JSON   bool   `name:"json" help:"Print the report as JSON."`
}

// Run implements the command.
func (c *stationImportCmd) Run(ctx context.Context, out io.Writer, log *slog.Logger) error {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	rep, err := importInto(ctx, c.remote, text, c.DryRun)
	if c.DryRun && errors.Is(err, syscall.ECONNREFUSED) {
		log.Warn("no service answers: the file is checked by itself, as if nothing were registered yet", "http", c.HTTP)
		rep, err = importAlone(ctx, text)
	}
	if err != nil {
		return err
	}
	if err := c.print(out, rep); err != nil {
		return err
	}
	return refusedLines(c.File, rep.Errors)
}

// print prints the report; what is wrong with the file is said by the error
// with which the command ends, and in JSON too.
func (c *stationImportCmd) print(out io.Writer, rep devices.Report) error {
	if c.JSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(rep)
	}
	if len(rep.Errors) > 0 {
		return nil
	}
	_, err := rep.WriteTo(out)
	return err
}

// refusedLines says line by line why a file was not imported.
func refusedLines(file string, lines []devices.LineError) error {
	if len(lines) == 0 {
		return nil
	}
	var errs []error
	for _, l := range lines {
		errs = append(errs, fmt.Errorf("%s: %s", file, l))
	}
	return errors.Join(append(errs, fmt.Errorf("nothing was imported; errors: %d", len(lines)))...)
}

// importInto imports through the service. The lines that it refuses are in the
// report and no error.
func importInto(ctx context.Context, r remote, text []byte, dryRun bool) (devices.Report, error) {
	path := "/api/registry/import?" + url.Values{"dry_run": {fmt.Sprint(dryRun)}}.Encode()
	b, err := r.call(ctx, http.MethodPost, path, "text/csv; charset=utf-8", bytes.NewReader(text))
	if err != nil {
		var refused struct{ Report devices.Report }
		if json.Unmarshal(b, &refused) == nil && len(refused.Report.Errors) > 0 {
			return refused.Report, nil
		}
		return devices.Report{}, fmt.Errorf("import: %w", err)
	}
	var rep devices.Report
	if err := json.Unmarshal(b, &rep); err != nil {
		return rep, fmt.Errorf("import: the service's answer cannot be read: %w", err)
	}
	return rep, nil
}

// importAlone checks a file against an empty registry in memory.
func importAlone(ctx context.Context, text []byte) (devices.Report, error) {
	j, err := journal.Open(vfs.NewMem(), "journal", journal.Options{MinFreeBytes: -1, ReserveBytes: -1})
	if err != nil {
		return devices.Report{}, err
	}
	reg, err := devices.Open(projection.Memory, j, devices.Options{})
	if err != nil {
		return devices.Report{}, errors.Join(err, j.Close())
	}
	ctx = quantrac.WithPrincipal(ctx, quantrac.Principal{Name: "dry run", Role: quantrac.RoleAdmin})
	rep, err := devices.ImportCSV(ctx, bytes.NewReader(text), reg, true)
	if len(rep.Errors) > 0 {
		err = nil // the report says it line by line
	}
	return rep, errors.Join(err, reg.Close(), j.Close())
}

type stationListCmd struct {
	remote
	JSON bool `name:"json" help:"Print as JSON."`
}

// Run implements the command.
func (c *stationListCmd) Run(ctx context.Context, out io.Writer) error {
	b, err := c.call(ctx, http.MethodGet, "/api/registry/stations", "", nil)
	if err != nil {
		return err
	}
	if c.JSON {
		_, err := fmt.Fprintln(out, string(b))
		return err
	}
	var stations []struct {
		ID, Family string
		Simulated  bool
		Labels     map[string]string
	}
	if err := json.Unmarshal(b, &stations); err != nil {
		return fmt.Errorf("the service's answer cannot be read: %w", err)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STATION\tFAMILY\tNAME\tSIMULATED")
	for _, s := range stations {
		fmt.Fprintf(w, "%s\t%s\t%s\t%t\n", s.ID, s.Family, s.Labels["name"], s.Simulated)
	}
	return w.Flush()
}

// registerSimulated registers a simulated network with a service and returns
// the tokens of its devices, where the service has made some.
func registerSimulated(ctx context.Context, base, token string, stations []simnet.Station) (map[string]string, error) {
	text, err := simnet.CSV(stations)
	if err != nil {
		return nil, err
	}
	rep, err := importInto(ctx, remote{HTTP: base, Token: token}, text, false)
	if err != nil {
		return nil, err
	}
	if len(rep.Errors) > 0 {
		return nil, fmt.Errorf("register the simulated stations: %s", rep.Errors[0])
	}
	return tokensOf(rep), nil
}

func tokensOf(rep devices.Report) map[string]string {
	out := map[string]string{}
	for _, t := range rep.Tokens {
		out[t.Device] = t.Token
	}
	return out
}
