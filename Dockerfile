# The image of Gabion: one static binary and a CA bundle. It has no shell, no package manager and no user but its own.
#
#   docker build -t gabion:0.1.0 .
#
# Both bases can be pinned by digest:
#   --build-arg BUILDER=docker.io/library/rust:1.95-bookworm@sha256:... --build-arg BASE=gcr.io/distroless/static@sha256:...
ARG BUILDER=docker.io/library/rust:1.95-bookworm
ARG BASE=scratch

FROM ${BUILDER} AS build
ARG TARGET=x86_64-unknown-linux-gnu
# Linked statically, against glibc: its resolver reads the search list of Kubernetes' resolv.conf. With --target the
# flags do not reach build scripts and procedural macros, which cannot be static.
ENV RUSTFLAGS="-C target-feature=+crt-static"
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY crates crates
# The command line quotes permissions and reasons.
COPY config config
COPY docs/reasons.md docs/reasons.md
# Members of the workspace: cargo reads their manifests, and compiles nothing of them.
COPY dev/demo dev/demo
COPY tests/support tests/support
RUN cargo build --locked --release --bin gabion --target "${TARGET}" \
 && install -D -m 0555 "target/${TARGET}/release/gabion" /image/gabion \
 && install -D -m 0444 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt

FROM ${BASE}
LABEL org.opencontainers.image.title="gabion" \
      org.opencontainers.image.description="Kubernetes operator for external secrets and namespace hardening" \
      org.opencontainers.image.source="https://github.com/gabion-dev/gabion" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/ /
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["/gabion"]
