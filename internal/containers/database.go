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
	a, err := signIn(d, environment)
	if err != nil {
		return nil, err
	}
	c, err := a.connect(ctx, d, door)
	if err == nil {
		defer c.close()
		columns, err = c.eachRow(ctx, query, each)
	}
	if err != nil {
		err = errors.New(s.secrets.redact(err.Error()))
	}
	return columns, err
}

// signIn is the address of the database and the credentials, by the service's variables.
func signIn(d stage.Dependency, environment map[string]string) (Address, error) {
	a, known, err := AddressOf(d, environment)
	if err == nil && !known {
		err = fmt.Errorf("nothing says with which credentials %s is asked: name the service's variable, with url, in rehearsal.yaml", d.Name)
	}
	return a, err
}

const null = "NULL"

// A connection is one to a database.
type connection interface {
	eachRow(ctx context.Context, query string, each func([]string) error) (columns []string, err error)
	close()
}

// connect opens one connection to a database, at door.
func (a Address) connect(ctx context.Context, d stage.Dependency, door string) (connection, error) {
	switch d.Kind {
	case stage.Postgres:
		return a.connectPostgres(ctx, d, door)
	case stage.MySQL:
		return a.connectMySQL(ctx, door)
	case stage.Redis, stage.HTTP, stage.TCP:
		return nil, fmt.Errorf("%s is of the kind %q, which cannot be asked in SQL", d.Name, d.Kind)
	}
	panic(fmt.Sprintf("unknown kind of dependency %q", d.Kind))
}

type postgresConnection struct{ *pgx.Conn }

func (a Address) connectPostgres(ctx context.Context, d stage.Dependency, door string) (connection, error) {
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
	return postgresConnection{conn}, nil
}

func (c postgresConnection) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.Close(ctx)
}

func (c postgresConnection) eachRow(ctx context.Context, query string, each func([]string) error) (columns []string, err error) {
	rows, err := c.Query(ctx, query, pgx.QueryExecModeSimpleProtocol)
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

type mysqlConnection struct {
	db *sql.DB
	*sql.Conn
}

func (a Address) connectMySQL(ctx context.Context, door string) (c connection, err error) {
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
	conn, err := db.Conn(ctx) // one connection, and no second try
	if err != nil {
		_ = db.Close()
		return nil, mysqlReason(err)
	}
	return mysqlConnection{db, conn}, nil
}

func (c mysqlConnection) close() {
	_ = c.Conn.Close()
	_ = c.db.Close()
}

func (c mysqlConnection) eachRow(ctx context.Context, query string, each func([]string) error) (columns []string, err error) {
	rows, err := c.QueryContext(ctx, query)
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
