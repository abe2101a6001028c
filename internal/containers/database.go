package containers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"

	"rehearsal/internal/stage"
)

// queryMost is how many rows of an answer are looked at.
const queryMost = 1000

// queryDatabase puts a query to a database, at door, with the credentials of the
// service's variables. All values are text, as the database's own client would print
// them. What errors say has no secrets in it.
func (s *Stage) queryDatabase(ctx context.Context, d stage.Dependency, door string, environment map[string]string, query string) (a stage.Answer, err error) {
	a.Columns, err = s.eachRow(ctx, d, door, environment, query, func(row []string) error {
		if len(a.Rows) == queryMost {
			return fmt.Errorf("more than %d rows: ask for fewer, with a WHERE or a LIMIT", queryMost)
		}
		a.Rows = append(a.Rows, row)
		return nil
	})
	return a, err
}

// eachRow is queryDatabase for answers of any length: each gets every row.
func (s *Stage) eachRow(ctx context.Context, d stage.Dependency, door string, environment map[string]string, query string, each func([]string) error) (columns []string, err error) {
	if door == "" {
		return nil, fmt.Errorf("%s cannot be reached from here yet", d.Name)
	}
	a, known, err := AddressOf(d, environment)
	if err == nil && !known {
		err = fmt.Errorf("nothing says with which credentials %s is asked: name the service's variable, with url, in rehearsal.yaml", d.Name)
	}
	if err != nil {
		return nil, err
	}
	switch d.Kind {
	case stage.Postgres:
		columns, err = a.eachPostgresRow(ctx, d, door, query, each)
	case stage.MySQL:
		columns, err = a.eachMySQLRow(ctx, door, query, each)
	case stage.Redis, stage.HTTP, stage.TCP:
		return nil, fmt.Errorf("%s is of the kind %q, which cannot be asked in SQL", d.Name, d.Kind)
	default:
		panic(fmt.Sprintf("unknown kind of dependency %q", d.Kind))
	}
	if err != nil {
		err = errors.New(s.secrets.redact(err.Error()))
	}
	return columns, err
}

const null = "NULL"

func (a Address) eachPostgresRow(ctx context.Context, d stage.Dependency, door, query string, each func([]string) error) (columns []string, err error) {
	whole := a.whole
	if whole == "" {
		u := url.URL{Scheme: "postgres", User: url.UserPassword(a.User, a.Password), Host: net.JoinHostPort(a.Host, strconv.Itoa(a.Port)), Path: "/" + a.Database}
		whole = u.String()
	}
	config, err := pgx.ParseConfig(whole)
	if err != nil {
		return nil, errors.New("its address is none of a PostgreSQL database") // err would quote it
	}
	config.DialFunc = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, door)
	}
	config.LookupFunc = func(context.Context, string) ([]string, error) { return []string{d.Name}, nil }
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	rows, err := conn.Query(ctx, query, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var row []string
		for _, value := range rows.RawValues() {
			text := null
			if value != nil {
				text = string(value)
			}
			row = append(row, text)
		}
		if err := each(row); err != nil {
			return nil, err
		}
	}
	for _, c := range rows.FieldDescriptions() {
		columns = append(columns, c.Name)
	}
	return columns, rows.Err()
}

func (a Address) eachMySQLRow(ctx context.Context, door, query string, each func([]string) error) (columns []string, err error) {
	config := mysql.NewConfig()
	if a.whole != "" {
		if config, err = mysql.ParseDSN(a.whole); err != nil {
			return nil, errors.New("its address is none of a MySQL database") // err would quote it
		}
	}
	config.User, config.Passwd, config.DBName = a.User, a.Password, a.Database
	config.Net, config.Addr = "tcp", net.JoinHostPort(a.Host, strconv.Itoa(a.Port))
	config.ParseTime = false // all values are text
	config.Logger = &mysql.NopLogger{}
	config.DialFunc = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, door)
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	defer func() { _ = db.Close() }()
	conn, err := db.Conn(ctx) // one connection, and no second try
	if err != nil {
		return nil, mysqlReason(err)
	}
	defer func() { _ = conn.Close() }()
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return nil, mysqlReason(err)
	}
	defer func() { _ = rows.Close() }()
	if columns, err = rows.Columns(); err != nil {
		return nil, err
	}
	values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		row := make([]string, len(values))
		for i, v := range values {
			row[i] = null
			if v.Valid {
				row[i] = v.String
			}
		}
		if err := each(row); err != nil {
			return nil, err
		}
	}
	return columns, rows.Err()
}

// mysqlReason is err, with the words of database/sql for a connection that ended.
func mysqlReason(err error) error {
	if errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, io.EOF) {
		return errors.New("the connection was cut")
	}
	return err
}
