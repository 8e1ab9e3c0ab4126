package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// yamlResolver reads the configuration file: flat YAML whose keys are the
// flags of serve without the dashes before them, such as "http: localhost:8420".
// A key that is no flag is an error, so that a slip of the pen does not pass
// for a setting.
func yamlResolver(r io.Reader) (kong.Resolver, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	values := map[string]any{}
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&values); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return resolver(values), nil
}

type resolver map[string]any

// Validate implements kong.Resolver.
func (r resolver) Validate(app *kong.Application) error {
	var known []string
	for _, group := range append([]*kong.Node{app.Node}, app.Leaves(true)...) {
		if group != app.Node && group.Name != "serve" {
			continue
		}
		for _, f := range group.Flags {
			known = append(known, f.Name)
		}
	}
	for key := range r {
		if !slices.Contains(known, key) {
			slices.Sort(known)
			return fmt.Errorf("configuration: %q is no setting; there are %s", key, strings.Join(known, ", "))
		}
	}
	return nil
}

// Resolve implements kong.Resolver.
func (r resolver) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	return r[flag.Name], nil
}

// configCmd checks or prints the configuration that serve would run with.
type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Check a configuration file."`
	Print configPrintCmd `cmd:"" help:"Print the configuration that a file and the environment make, secrets left out."`
}

type configCheckCmd struct {
	serveCmd
}

// Run implements the command: the parser has checked the file's form, the
// settings check themselves.
func (c *configCheckCmd) Run(out io.Writer) error {
	if err := c.check(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, "configuration is good")
	return err
}

type configPrintCmd struct {
	serveCmd
}

// Run implements the command.
func (c *configPrintCmd) Run(out io.Writer) error {
	if err := c.check(); err != nil {
		return err
	}
	enc := yaml.NewEncoder(out)
	enc.SetIndent(2)
	if err := enc.Encode(c.settings()); err != nil {
		return err
	}
	return enc.Close()
}
