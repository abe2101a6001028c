// Command entrypoint starts PostgreSQL in the image that Rehearsal makes where the
// official one cannot be pulled. It does what the official image's
// docker-entrypoint.sh does, with the same variables, and needs nothing but the
// standard library:
//
//   - an empty PGDATA becomes a cluster with POSTGRES_USER, POSTGRES_PASSWORD (or
//     POSTGRES_HOST_AUTH_METHOD=trust) and POSTGRES_DB, each also as ..._FILE. The
//     cluster was made when the image was (`bake`), so that unpacking it is all
//     there is to do; with POSTGRES_INITDB_ARGS or POSTGRES_INITDB_WALDIR initdb
//     runs;
//   - then the files of /docker-entrypoint-initdb.d run in order, on a server that
//     listens on its Unix socket only: *.sql, *.sql.gz, *.sh;
//   - then PostgreSQL replaces this process, as the user postgres.
package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const (
	postgresUID = 999
	socketDir   = "/var/run/postgresql"
	bakedFile   = "/usr/share/rehearsal/cluster.tar"
	initScripts = "/docker-entrypoint-initdb.d"
	sizeRecord  = "REHEARSAL.size" // of a file whose trailing zeros are left out
)

func main() {
	log.SetFlags(0)
	args := os.Args[1:]
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		args = append([]string{"postgres"}, args...)
	}
	var err error
	switch {
	case args[0] == "bake":
		err = bake()
	case args[0] == "postgres" && !wantsHelp(args):
		err = start()
	}
	if err != nil {
		log.Fatalf("Error: %v", err)
	}
	if args[0] == "bake" {
		return
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		log.Fatalf("Error: %v", err)
	}
	log.Fatalf("Error: %s: %v", path, syscall.Exec(path, args, os.Environ()))
}

func wantsHelp(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool {
		return slices.Contains([]string{"-?", "--help", "--describe-config", "-V", "--version"}, a)
	})
}

// start makes PGDATA ready, as the user postgres if this process may become it.
func start() error {
	data := os.Getenv("PGDATA")
	for dir, mode := range map[string]fs.FileMode{data: 0o700, socketDir: 0o775 | fs.ModeSticky} {
		if err := os.MkdirAll(dir, mode); err != nil {
			return err
		}
		if os.Getuid() == 0 {
			if err := chown(dir); err != nil {
				return err
			}
		}
		if err := os.Chmod(dir, mode); err != nil && dir == data && os.Getuid() == 0 {
			return err
		}
	}
	if os.Getuid() == 0 {
		if err := become(postgresUID); err != nil {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); err == nil {
		fmt.Println("\nPostgreSQL Database directory appears to contain a database; Skipping initialization")
		return nil
	}
	c, err := readCluster(data)
	if err != nil {
		return err
	}
	if err := c.make(); err != nil {
		return err
	}
	scripts, err := filepath.Glob(initScripts + "/*")
	if err != nil {
		return err
	}
	if len(scripts) == 0 {
		// Those who count this message, as it comes twice from the official image, find it
		// here the first time.
		fmt.Println("no files in " + initScripts + ": no temporary server was needed before the database system is ready to accept connections")
	} else if err := c.runScripts(scripts); err != nil {
		return err
	}
	fmt.Println("\nPostgreSQL init process complete; ready for start up.")
	return nil
}

// chown gives everything below dir to postgres.
func chown(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, postgresUID, postgresUID)
	})
}

func become(id int) error {
	return errors.Join(syscall.Setgroups([]int{id}), syscall.Setgid(id), syscall.Setuid(id))
}

// cluster is what the variables ask for.
type cluster struct {
	data, user, password, db, auth, initArgs, walDir string
}

func readCluster(data string) (*cluster, error) {
	c := &cluster{data: data}
	for name, field := range map[string]*string{
		"POSTGRES_USER": &c.user, "POSTGRES_PASSWORD": &c.password, "POSTGRES_DB": &c.db,
		"POSTGRES_INITDB_ARGS": &c.initArgs, "POSTGRES_HOST_AUTH_METHOD": &c.auth, "POSTGRES_INITDB_WALDIR": &c.walDir,
	} {
		*field = os.Getenv(name)
		if file := os.Getenv(name + "_FILE"); file != "" {
			if *field != "" {
				return nil, fmt.Errorf("both %s and %s_FILE are set (but are exclusive)", name, name)
			}
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			*field = strings.TrimRight(string(text), "\n")
		}
	}
	c.user = or(c.user, "postgres")
	c.db = or(c.db, c.user)
	if c.password == "" && c.auth != "trust" {
		return nil, errors.New("the database is uninitialized and the superuser password is not specified: set POSTGRES_PASSWORD " +
			"to a non-empty value, or POSTGRES_HOST_AUTH_METHOD=trust to let everybody in without a password")
	}
	return c, nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// make fills PGDATA, with the superuser and the database.
func (c *cluster) make() error {
	if entries, err := os.ReadDir(c.data); err != nil {
		return err
	} else if len(entries) > 0 {
		return fmt.Errorf("directory %s exists but is not empty, and holds no database", c.data)
	}
	sql := ""
	_, err := os.Stat(bakedFile)
	if err == nil && c.initArgs == "" && c.walDir == "" {
		if err := unpack(bakedFile, c.data); err != nil {
			return err
		}
		if c.user != "postgres" { // by the table, as ALTER ROLE does not rename the session's own user
			sql += "UPDATE pg_authid SET rolname = " + literal(c.user) + " WHERE oid = 10;\n\n"
		}
		if c.password != "" {
			sql += "ALTER ROLE " + name(c.user) + " PASSWORD " + literal(c.password) + ";\n\n"
		}
	} else if err := c.initdb(); err != nil {
		return err
	}
	if c.db != "postgres" {
		sql += "CREATE DATABASE " + name(c.db) + ";\n\n"
	}
	if sql != "" {
		if err := c.single(sql); err != nil {
			return err
		}
	}
	return c.allowHosts()
}

func (c *cluster) initdb() error {
	args := []string{"--username=" + c.user}
	if c.walDir != "" {
		args = append(args, "--waldir="+c.walDir)
	}
	if c.password != "" {
		file, err := os.CreateTemp("", "pw")
		if err != nil {
			return err
		}
		defer func() { _ = os.Remove(file.Name()) }()
		if _, err := file.WriteString(c.password + "\n"); err != nil {
			return err
		}
		if err := file.Close(); err != nil {
			return err
		}
		args = append(args, "--pwfile="+file.Name())
	}
	return run(nil, "initdb", append(args, strings.Fields(c.initArgs)...)...)
}

// single runs statements, each ended by ";\n\n", with no server: a tenth of the
// time that starting and stopping one takes.
func (c *cluster) single(sql string) error {
	cmd := exec.Command("postgres", "--single", "-j", "-F", "-D", c.data, "-c", "log_checkpoints=off", "-c", "exit_on_error=on", "postgres")
	cmd.Stdin = strings.NewReader(sql)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.Discard, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("set up the user and the database: %w\n%s", err, said.String())
	}
	return nil
}

// allowHosts lets connections from everywhere in, as the official image does.
func (c *cluster) allowHosts() error {
	method := c.auth
	if method == "" {
		out, err := exec.Command("postgres", "-D", c.data, "-C", "password_encryption").Output()
		if err != nil {
			return fmt.Errorf("ask for password_encryption: %w", err)
		}
		method = strings.TrimSpace(string(out))
	}
	file, err := os.OpenFile(filepath.Join(c.data, "pg_hba.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "\nhost all all all %s\n", method)
	return errors.Join(err, file.Close())
}

// runScripts runs the files of initdb.d against a server that only they can reach.
func (c *cluster) runScripts(scripts []string) error {
	server := exec.Command("postgres", "-D", c.data, "-F", "-c", "listen_addresses=")
	said, err := server.StderrPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	ready, ended := make(chan bool, 1), make(chan error, 1)
	go func() {
		lines := bufio.NewScanner(said)
		for lines.Scan() {
			fmt.Fprintln(os.Stderr, lines.Text())
			if strings.Contains(lines.Text(), "ready to accept connections") {
				select {
				case ready <- true:
				default:
				}
			}
		}
		ended <- server.Wait()
	}()
	select {
	case <-ready:
	case err := <-ended:
		return fmt.Errorf("the server for the files of %s did not start: %w", initScripts, err)
	}
	for _, script := range scripts {
		if err = c.runScript(script); err != nil {
			err = fmt.Errorf("%s: %w", script, err)
			break
		}
	}
	if stop := server.Process.Signal(syscall.SIGINT); stop != nil { // fast shutdown
		return errors.Join(err, stop)
	}
	return errors.Join(err, <-ended)
}

func (c *cluster) runScript(script string) error {
	fmt.Printf("\n%s: running %s\n", os.Args[0], script)
	psql := []string{"-v", "ON_ERROR_STOP=1", "--no-psqlrc", "--username", c.user, "--no-password", "--dbname", c.db}
	env := []string{"PGHOST=", "PGHOSTADDR=", "POSTGRES_USER=" + c.user, "POSTGRES_DB=" + c.db, "POSTGRES_PASSWORD=" + c.password}
	switch {
	case strings.HasSuffix(script, ".sql"):
		return run(env, "psql", append(psql, "-f", script)...)
	case strings.HasSuffix(script, ".sql.gz"):
		file, err := os.Open(script)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		text, err := gzip.NewReader(file)
		if err != nil {
			return err
		}
		cmd := command(env, "psql", psql...)
		cmd.Stdin = text
		return cmd.Run()
	case strings.HasSuffix(script, ".sh"):
		return run(env, "/bin/sh", "-e", script)
	case strings.HasSuffix(script, ".sql.xz"), strings.HasSuffix(script, ".sql.zst"):
		return errors.New("only .sql, .sql.gz and .sh can be run by this image; compress it with gzip")
	default:
		fmt.Printf("%s: ignoring %s\n", os.Args[0], script)
		return nil
	}
}

func run(env []string, name string, args ...string) error { return command(env, name, args...).Run() }

func command(env []string, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd
}

// name and literal write SQL on one line: in single-user mode an empty line ends a
// statement.
func name(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

func literal(s string) string {
	s = strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`).Replace(s)
	return "E'" + s + "'"
}

// bake runs while the image is made, as root: it generates the locale and leaves a
// new cluster in a file of the image. /build is a tmpfs.
func bake() error {
	if err := run(nil, "localedef", "-i", "en_US", "-c", "-f", "UTF-8", "en_US.UTF-8"); err != nil {
		return fmt.Errorf("generate the locale: %w", err)
	}
	if err := os.Chmod("/build", 0o777); err != nil {
		return err
	}
	const data = "/build/data"
	initdb := command([]string{"PGDATA=" + data}, "initdb", "--username=postgres", "--no-sync")
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: postgresUID, Gid: postgresUID}}
	if err := initdb.Run(); err != nil {
		return fmt.Errorf("initdb: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(bakedFile), 0o755); err != nil {
		return err
	}
	return pack(data, bakedFile)
}

// pack writes the files of dir into a tar file, without their trailing zeros, of
// which a new cluster has more than anything else.
func pack(dir, to string) error {
	file, err := os.Create(to)
	if err != nil {
		return err
	}
	out := tar.NewWriter(file)
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		h := &tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(path, dir+"/"), Mode: int64(info.Mode().Perm()), Format: tar.FormatPAX}
		var text []byte
		if info.Mode().IsRegular() {
			if text, err = os.ReadFile(path); err != nil {
				return err
			}
			text = bytes.TrimRight(text, "\x00")
			h.Typeflag, h.Size = tar.TypeReg, int64(len(text))
			h.PAXRecords = map[string]string{sizeRecord: strconv.FormatInt(info.Size(), 10)}
		}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		_, err = out.Write(text)
		return err
	})
	return errors.Join(err, out.Close(), file.Close())
}

// unpack is the reverse of pack.
func unpack(from, dir string) error {
	file, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	in := tar.NewReader(bufio.NewReaderSize(file, 1<<20))
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		path := filepath.Join(dir, h.Name)
		if h.Typeflag == tar.TypeDir {
			if err := os.Mkdir(path, fs.FileMode(h.Mode)); err != nil {
				return err
			}
			continue
		}
		size, err := strconv.ParseInt(h.PAXRecords[sizeRecord], 10, 64)
		if err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
		out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fs.FileMode(h.Mode))
		if err != nil {
			return err
		}
		_, err = io.Copy(out, in)
		if err := errors.Join(err, out.Truncate(size), out.Close()); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
}
