FROM alpine:3.20
COPY web /web
USER 1001
CMD ["/web"]
