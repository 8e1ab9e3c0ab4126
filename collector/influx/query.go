package influx

import (
	"errors"
	"net/http"
	"regexp"
	"strings"

	"quantrac"
)

// ErrUnauthorized marks a Denied error of somebody who has shown no valid
// credentials, as against one who may not: 401 and not 403.
var ErrUnauthorized = quantrac.Errorf(quantrac.Denied, "no valid credentials: send a device's id and token, or an API token")

func unauthorized(err error) bool { return errors.Is(err, ErrUnauthorized) }

var (
	createDatabase = regexp.MustCompile(`(?is)^\s*CREATE\s+DATABASE\s+\S.*$`)
	showDatabases  = regexp.MustCompile(`(?is)^\s*SHOW\s+DATABASES\s*$`)
)

type result struct {
	StatementID int      `json:"statement_id"`
	Series      []series `json:"series,omitempty"`
	Error       string   `json:"error,omitempty"`
}

type series struct {
	Name    string     `json:"name"`
	Columns []string   `json:"columns"`
	Values  [][]string `json:"values"`
}

// query answers the statements that clients send before they write. Databases
// have no meaning here: creating one succeeds, and there is one to show.
func query(w http.ResponseWriter, r *http.Request) {
	text := r.FormValue("q")
	if strings.TrimSpace(text) == "" {
		answer{w: w}.fail(http.StatusBadRequest, `missing required parameter "q"`, nil)
		return
	}
	var results []result
	for _, statement := range strings.Split(strings.TrimRight(text, "; \n"), ";") {
		res := result{StatementID: len(results)}
		switch {
		case createDatabase.MatchString(statement):
		case showDatabases.MatchString(statement):
			res.Series = []series{{Name: "databases", Columns: []string{"name"}, Values: [][]string{{"quantrac"}}}}
		default:
			answer{w: w}.fail(http.StatusBadRequest, "only CREATE DATABASE and SHOW DATABASES are answered here; read with PromQL under /api/v1/query", nil)
			return
		}
		results = append(results, res)
	}
	writeJSON(w, http.StatusOK, map[string]any{"results": results})
}
