package main

import (
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// configCmd checks or prints the configuration that serve would run with.
type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Check a configuration file."`
	Print configPrintCmd `cmd:"" help:"Print the configuration that a file and the environment make, secrets left out; serve --config takes what is printed."`
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
	for _, text := range c.advise() {
		if _, err := fmt.Fprintln(out, "note:", text); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(out, "configuration is good")
	return err
}

type configPrintCmd struct {
	serveCmd
}

// Run implements the command.
func (c *configPrintCmd) Run(out io.Writer, all *cli) error {
	if err := c.check(); err != nil {
		return err
	}
	m := c.settings()
	m["log-level"], m["log-format"] = all.LogLevel, all.LogFormat
	for _, secret := range []struct{ name, value string }{
		{"mqtt-broker-password", c.BrokerPassword}, {"backup-s3-access-key", c.Backup.AccessKey}, {"backup-s3-secret-key", c.Backup.SecretKey},
	} {
		if secret.value != "" {
			fmt.Fprintf(out, "# %s is set, and left out here as a secret\n", secret.name)
		}
	}
	enc := yaml.NewEncoder(out)
	enc.SetIndent(2)
	if err := enc.Encode(m); err != nil {
		return err
	}
	return enc.Close()
}
