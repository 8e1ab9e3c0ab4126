package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// configFlag names the configuration file: flat YAML whose keys are the flags
// of serve without the dashes before them, such as "http: localhost:8420".
type configFlag string

// BeforeResolve is called by kong once it knows the file and before it settles
// what the command line leaves open. By the environment every command with this
// flag is offered the file; only the one that runs reads it.
func (configFlag) BeforeResolve(ctx *kong.Context, trace *kong.Path) error {
	command, path := ctx.Selected(), string(ctx.FlagValue(trace.Flag).(configFlag))
	if path == "" || command == nil || !slices.Contains(command.Flags, trace.Flag) {
		return nil
	}
	s, err := readSettings(path)
	if err == nil {
		err = s.judge(slices.Concat(ctx.Model.Flags, command.Flags))
	}
	if err != nil {
		return &settingsError{err}
	}
	ctx.AddResolver(s)
	return nil
}

// settingsError is a configuration file that is not there or not good. It is a
// failure, not a command line that cannot be understood.
type settingsError struct{ error }

// Unwrap gives the cause.
func (e *settingsError) Unwrap() error { return e.error }

// settings are what a configuration file says.
type settings struct {
	path   string
	keys   []*yaml.Node // in the order of the file
	values map[string]*yaml.Node
	good   map[string]string // by key, as a flag would be written
}

func readSettings(path string) (*settings, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	s := &settings{path: path, values: map[string]*yaml.Node{}, good: map[string]string{}}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF): // no settings
		return s, nil
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: want one YAML document; a second one begins after the ---", path)
	}
	return s, s.take(doc.Content[0])
}

// take notes keys and values.
func (s *settings) take(root *yaml.Node) error {
	switch {
	case root.ShortTag() == "!!null": // comments alone
		return nil
	case root.Kind != yaml.MappingNode:
		return s.at(root, "want lines of the form SETTING: VALUE")
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if before := s.values[key.Value]; before != nil {
			return s.at(key, "%s is set a second time, the first time in line %d", key.Value, before.Line)
		}
		s.keys, s.values[key.Value] = append(s.keys, key), value
	}
	return nil
}

// at is an error in a line of the file.
func (s *settings) at(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %w", s.path, n.Line, fmt.Errorf(format, args...))
}

// judge says what is wrong, all of it: keys that are no setting, so that a slip
// of the pen does not pass for one, and values of another type.
func (s *settings) judge(flags []*kong.Flag) error {
	known := map[string]*kong.Flag{}
	var names []string
	for _, f := range flags {
		if f.Name != "help" && f.Name != "config" && !f.Tag.Has("once") { // which is no setting to leave standing
			known[f.Name], names = f, append(names, f.Name)
		}
	}
	slices.Sort(names)
	var errs []error
	var unknown error
	for _, key := range s.keys {
		f := known[key.Value]
		if f == nil {
			unknown = s.at(key, "%q is no setting", key.Value)
			errs = append(errs, unknown)
			continue
		}
		text, err := valueOf(s.values[key.Value], f)
		if err != nil {
			errs = append(errs, s.at(s.values[key.Value], "%s: %w", key.Value, err))
		}
		s.good[key.Value] = text
	}
	if unknown != nil {
		errs = append(errs, fmt.Errorf("the settings are %s", strings.Join(names, ", ")))
	}
	return errors.Join(errs...)
}

// valueOf reads a value as the flag's type and returns it as the command line
// would write it.
func valueOf(n *yaml.Node, f *kong.Flag) (string, error) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if f.Target.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode {
		return listOf(n)
	}
	v := reflect.New(f.Target.Type())
	if f.Target.Kind() == reflect.Slice { // one of them needs no list
		v = reflect.New(f.Target.Type().Elem())
	}
	whole := v.Elem().CanInt() && v.Type().Elem() != reflect.TypeFor[time.Duration]()
	switch {
	case n.Kind != yaml.ScalarNode:
		return "", fmt.Errorf("want %s, not a list or a table", wanted(v.Elem()))
	case n.ShortTag() == "!!null":
		return "", fmt.Errorf("want %s; leave the line out for what is there by itself", wanted(v.Elem()))
	case n.Decode(v.Interface()) != nil, whole && n.ShortTag() != "!!int":
		return "", fmt.Errorf("%q is not %s", n.Value, wanted(v.Elem()))
	}
	text := fmt.Sprint(v.Elem().Interface())
	if f.Enum != "" && !f.EnumMap()[text] {
		return "", fmt.Errorf("%q is none of %s", text, strings.Join(f.EnumSlice(), ", "))
	}
	return text, nil
}

// listOf reads a list of texts.
func listOf(n *yaml.Node) (string, error) {
	var items []string
	for _, item := range n.Content {
		if item.Kind != yaml.ScalarNode || item.ShortTag() == "!!null" || strings.Contains(item.Value, ",") {
			return "", fmt.Errorf("line %d: want a list of texts without commas", item.Line)
		}
		items = append(items, item.Value)
	}
	return strings.Join(items, ","), nil
}

// wanted says in words what a setting of a type holds.
func wanted(v reflect.Value) string {
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		return "a length of time with its unit, such as 30m"
	case v.CanInt():
		return "a whole number"
	case v.CanFloat():
		return "a number"
	case v.Kind() == reflect.Bool:
		return "true or false"
	}
	return "text"
}

// Validate implements kong.Resolver; BeforeResolve has seen to it.
func (*settings) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver. What the environment says goes before the
// file.
func (s *settings) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if _, ok := os.LookupEnv(name); ok {
			return nil, nil
		}
	}
	if text, ok := s.good[flag.Name]; ok {
		return text, nil
	}
	return nil, nil
}
