# The local CloudWatch, `rehearse cloudwatch`, on an empty file system:
#
#   docker build -t rehearsal/cloudwatch .
#   docker run --rm -p 127.0.0.1:4566:4566 rehearsal/cloudwatch
#
# Where no registry can be reached, `make image` makes the same from source.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w" -o /rehearse ./cmd/rehearse

FROM scratch
COPY --from=build /rehearse /rehearse
USER 65534:65534
EXPOSE 4566
HEALTHCHECK --interval=5s --timeout=6s --start-period=5s --start-interval=1s CMD ["/rehearse", "cloudwatch", "--healthcheck"]
ENTRYPOINT ["/rehearse", "cloudwatch", "--listen", "0.0.0.0:4566"]
