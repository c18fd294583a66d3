FROM golang:1.26
COPY . .
RUN go build -o /web .
USER 1001
CMD ["/web"]
