FROM golang:1.26 AS build
COPY . .
RUN go build -o /web .

FROM scratch
COPY --from=build /web /web
USER 1001
CMD ["/web"]
