package scaffold

import (
	"path"
	"slices"

	"github.com/distribution/reference"

	"rehearsal/internal/stage"
)

// A maker is a program that many teams run from an image of its makers, and the port
// that it listens on.
type maker struct {
	what   string               // "PostgreSQL"
	kind   stage.DependencyKind // of a dependency in rehearsal.yaml; "" where there is none for it
	port   int
	serves bool     // is a web server, which a team may release itself
	images []string // last parts of their names
}

var makers = []maker{
	{"PostgreSQL", "postgres", 5432, false, []string{"postgres", "postgresql", "postgis", "timescaledb", "timescaledb-ha", "pgvector", "pgvecto-rs"}},
	{"MySQL", "mysql", 3306, false, []string{"mysql", "mysql-server", "percona", "percona-server"}},
	{"MariaDB", "mysql", 3306, false, []string{"mariadb", "mariadb-server"}},
	{"Redis", "redis", 6379, false, []string{"redis", "redis-stack", "redis-stack-server", "valkey", "keydb", "dragonfly"}},
	{"Memcached", "tcp", 11211, false, []string{"memcached"}},
	{"MongoDB", "tcp", 27017, false, []string{"mongo", "mongodb", "mongodb-community-server"}},
	{"RabbitMQ", "tcp", 5672, false, []string{"rabbitmq"}},
	{"Kafka", "tcp", 9092, false, []string{"kafka", "cp-kafka", "redpanda", "kafka-native"}},
	{"ZooKeeper", "tcp", 2181, false, []string{"zookeeper", "cp-zookeeper"}},
	{"NATS", "tcp", 4222, false, []string{"nats"}},
	{"Elasticsearch", "", 9200, false, []string{"elasticsearch", "opensearch"}},
	{"ClickHouse", "tcp", 9000, false, []string{"clickhouse", "clickhouse-server"}},
	{"SQL Server", "tcp", 1433, false, []string{"mssql-server", "azure-sql-edge"}},
	{"DynamoDB", "", 8000, false, []string{"dynamodb-local"}},
	{"LocalStack", "", 4566, false, []string{"localstack", "localstack-pro"}},
	{"MinIO", "", 9000, false, []string{"minio"}},
	{"MailHog", "", 1025, false, []string{"mailhog", "mailpit"}},
	{"Prometheus", "", 9090, false, []string{"prometheus"}},
	{"Grafana", "", 3000, false, []string{"grafana", "grafana-oss"}},
	{"Jaeger", "", 16686, false, []string{"all-in-one", "jaeger"}},
	{"X-Ray daemon", "", 2000, false, []string{"aws-xray-daemon", "xray"}},
	{"OpenTelemetry collector", "", 4317, false, []string{"opentelemetry-collector", "opentelemetry-collector-contrib", "aws-otel-collector"}},
	{"Fluent Bit", "", 24224, false, []string{"fluent-bit", "aws-for-fluent-bit", "fluentd"}},
	{"Datadog agent", "", 8126, false, []string{"agent", "datadog-agent"}},
	{"nginx", "", 80, true, []string{"nginx", "openresty"}},
	{"Apache", "", 80, true, []string{"httpd", "apache"}},
	{"Caddy", "", 80, true, []string{"caddy"}},
	{"Traefik", "", 80, true, []string{"traefik"}},
	{"whoami", "", 80, true, []string{"whoami"}},
	{"httpbin", "", 80, true, []string{"httpbin"}},
}

// makerOf is who makes the image, where that can be told from its name.
func makerOf(image string) (maker, bool) {
	name, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return maker{}, false
	}
	last := path.Base(reference.Path(name))
	i := slices.IndexFunc(makers, func(m maker) bool { return slices.Contains(m.images, last) })
	if i < 0 {
		return maker{}, false
	}
	return makers[i], true
}
