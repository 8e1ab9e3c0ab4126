package dashboards

import (
	"io/fs"
	"net/http"
	"strconv"
	"strings"
)

// dataSourceFile is where Grafana is told how to reach this service.
const dataSourceFile = "provisioning/datasources/quantrac.yaml"

// The lines of it that depend on the service.
const (
	sourceURL   = "url: http://localhost:8420"
	headerName  = "# httpHeaderName1: Authorization"
	secureData  = "# secureJsonData:"
	headerValue = "#   httpHeaderValue1: Bearer ${QUANTRAC_TOKEN}"
)

// dataSource writes the file for a service at an address; token says that it asks
// programs for one.
func dataSource(address string, token bool) (string, error) {
	raw, err := fs.ReadFile(Grafana(), dataSourceFile)
	if err != nil {
		return "", err
	}
	text := strings.Replace(string(raw), sourceURL, "url: "+strconv.Quote(address), 1)
	if token {
		for _, line := range []string{headerName, secureData, headerValue} {
			text = strings.Replace(text, line, strings.Replace(strings.Replace(line, "#   ", "  ", 1), "# ", "", 1), 1)
		}
	}
	return text, nil
}

// serveDataSource answers GET /grafana/provisioning/datasources/quantrac.yaml.
// Without Options.BaseURL whoever asks is taken to know the address.
func (p *Page) serveDataSource(w http.ResponseWriter, r *http.Request) {
	address := p.o.BaseURL
	if address == "" {
		address = "http://" + r.Host
	}
	text, err := dataSource(address, p.o.SignIn)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/yaml; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte(text)) // the reader may be gone
}
