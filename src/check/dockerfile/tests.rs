use super::*;
use crate::check::baseline::built_in;
use crate::check::test_random::TestRandom;

/// Controls that a Dockerfile breaks, each with the line; notes are marked.
fn found(text: &str) -> Vec<String> {
    let report = check("Dockerfile", text, &built_in("guide").unwrap());
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    let mut located = report.findings;
    located.retain(|located| located.suppressed.is_none());
    located.sort_by_key(|located| located.position);
    let shown = located.iter().map(|located| {
        let note = if located.finding.note { " note" } else { "" };
        format!("{} {}{note}", located.position.line, located.finding.control.id)
    });
    shown.collect()
}

/// A final stage that is in order but for these lines, without the findings about packages.
fn stage(lines: &str) -> Vec<String> {
    let mut all = whole_stage(lines);
    all.retain(|line| !["HB-DF-INSTALL", "HB-DF-PIN"].iter().any(|id| line.contains(id)));
    all
}

fn whole_stage(lines: &str) -> Vec<String> {
    let digest = "a".repeat(64);
    found(&format!("FROM alpine:3.20@sha256:{digest}\n{lines}\nUSER 1001\n"))
}

#[test]
fn an_entrypoint_that_is_reset_is_read() {
    let text = "FROM alpine:3.20\nUSER 1\n entrypoint [ ]\nCMD [\"a\"]\n";
    let file = check("Dockerfile", text, &built_in("guide").unwrap());
    assert!(file.faults.is_empty(), "{:?}", file.faults);
}

#[test]
fn a_good_file_has_no_findings() {
    let digest = "0".repeat(64);
    let text = format!(
        "# syntax=docker/dockerfile:1\nFROM rust:1.95@sha256:{digest} AS build\nWORKDIR /src\nCOPY . .\n\
         RUN --mount=type=cache,target=/target cargo build --release\n\
         FROM gcr.io/distroless/cc-debian12:nonroot@sha256:{digest}\nCOPY --from=build /src/app /app\n\
         EXPOSE 8080\nENTRYPOINT [\"/app\"]\n"
    );
    assert_eq!(found(&text), [""; 0]);
}

#[test]
fn the_guides_bad_example_is_told_apart_point_by_point() {
    let text = "FROM ubuntu:20.04\nENV DATABASE_PASSWORD=hunter2\nRUN apt-get update && apt-get install -y curl\nEXPOSE 80\n";
    assert_eq!(
        found(text),
        [
            "1 HB-DF-BASE note",
            "1 HB-DF-BASE",
            "1 HB-DF-USER",
            "2 HB-DF-SECRET",
            "3 HB-DF-CLEAN",
            "3 HB-DF-INSTALL",
            "3 HB-DF-PIN note",
            "4 HB-PORT",
        ]
    );
    let report = check("Dockerfile", text, &built_in("guide").unwrap());
    assert!(!format!("{report:?}").contains("hunter2"));
}

#[test]
fn base_images_are_minimal_pinned_and_known() {
    let user = "\nUSER 1\n";
    assert_eq!(found(&format!("FROM alpine{user}")), ["1 HB-DF-BASE"]);
    assert_eq!(found(&format!("FROM alpine:latest{user}")), ["1 HB-DF-BASE"]);
    assert_eq!(found(&format!("FROM alpine:3{user}")), ["1 HB-DF-BASE note"]);
    assert_eq!(found(&format!("FROM debian:12{user}")), ["1 HB-DF-BASE note", "1 HB-DF-BASE note"]);
    assert_eq!(found(&format!("FROM debian:12-slim{user}")), ["1 HB-DF-BASE note"]);
    assert_eq!(
        found(&format!("ARG B=ubuntu:1\nFROM ${{B}}{user}")),
        ["2 HB-DF-BASE note", "2 HB-DF-BASE"]
    );
    assert_eq!(found(&format!("ARG B\nFROM $B{user}")), [""; 0]);
    assert_eq!(found(&format!("FROM scratch{user}")), [""; 0]);
    let mut rules = built_in("guide").unwrap();
    rules.settings.allowed_registries = vec!["registry.corp.example/prod".into()];
    rules.settings.tags = crate::api::gabion::hardening_baseline::Tags::RequireDigest;
    let report = check("Dockerfile", "FROM registry.corp.example/production/x:1\nUSER 1\n", &rules);
    let ids: Vec<_> =
        report.findings.iter().map(|located| located.finding.control.id.as_str()).collect();
    assert_eq!(ids, ["HB-IMG-REGISTRY", "HB-DF-BASE"]);
}

#[test]
fn the_user_is_the_last_one_of_the_final_stage_and_what_it_starts_from() {
    let from = format!("FROM alpine:3@sha256:{}", "a".repeat(64));
    let users = |text: &str| {
        let mut all = found(text);
        all.retain(|line| line.contains("USER"));
        all
    };
    let none = [""; 0];
    assert_eq!(users(&format!("{from}\n")), ["1 HB-DF-USER"]);
    assert_eq!(users(&format!("{from}\nUSER root\n")), ["2 HB-DF-USER"]);
    assert_eq!(users(&format!("{from}\nUSER 0:1000\n")), ["2 HB-DF-USER"]);
    assert_eq!(users(&format!("{from}\nUSER 1001\nUSER root\n")), ["3 HB-DF-USER"]);
    assert_eq!(users(&format!("{from}\nUSER root\nUSER 1001:1001\n")), none);
    assert_eq!(users(&format!("{from}\nUSER app\n")), ["2 HB-DF-USER note"]);
    assert_eq!(users(&format!("{from}\nENV U=0\nUSER $U\n")), ["3 HB-DF-USER"]);
    assert_eq!(users(&format!("{from}\nUSER $OF_THE_BASE\n")), none);
    assert_eq!(users("FROM scratch\nUSER $UNKNOWN\n"), ["2 HB-DF-USER"]);
    assert_eq!(users(&format!("{from}\nARG WHO\nUSER $WHO\n")), none);
    assert_eq!(users(&format!("{from} AS base\nUSER 1001\nFROM BASE\nRUN true\n")), none);
    assert_eq!(users(&format!("{from} AS a\nUSER 1\n{from}\n")), ["3 HB-DF-USER"]);
    assert_eq!(users("FROM gcr.io/distroless/static:nonroot\n"), none);
}

#[test]
fn build_tools_in_the_image_are_found() {
    assert_eq!(stage("RUN go build ./..."), ["2 HB-DF-STAGE"]);
    assert_eq!(stage("RUN apk add --no-cache build-base"), ["2 HB-DF-STAGE"]);
    assert_eq!(stage("RUN echo make"), [""; 0]);
    for line in [
        "RUN apk add --no-cache gcc=13.2-r1",
        "RUN apk add --no-cache make~4",
        "RUN apt-get install -y g++=4:12.2 && rm -rf /var/lib/apt/lists/*",
        "RUN apt-get install -y gcc:amd64 && rm -rf /var/lib/apt/lists/*",
        "RUN dnf install -y gcc-13.2 && dnf clean all",
        "RUN apt-get install -y gcc && apt-get purge -y curl && rm -rf /var/lib/apt/lists/*",
        "RUN apk add --no-cache gcc && make\nRUN apk del gcc",
        "RUN apk add --no-cache --virtual .b gcc && make",
    ] {
        assert_eq!(stage(line), ["2 HB-DF-STAGE"], "{line}");
    }
    for line in [
        "RUN apt-get install -y gcc=4:12 && make && apt-get purge -y gcc && rm -rf /var/lib/apt/lists/*",
        "RUN apt-get install -y $TOOLS && make && apt-get purge -y --auto-remove $TOOLS && rm -rf /var/lib/apt/lists/*",
        "RUN apk add --no-cache gcc make && make && apk del gcc make",
        "RUN apk add --no-cache --virtual .b gcc && make && apk del .b",
        "RUN dnf install -y gcc && gcc x.c && dnf remove -y gcc && dnf clean all",
        "RUN apk add --no-cache gcc-doc makedepend",
    ] {
        assert_eq!(stage(line), [""; 0], "{line}");
    }
    let digest = "a".repeat(64);
    assert_eq!(found(&format!("FROM golang:1@sha256:{digest}\nUSER 1\n")), ["1 HB-DF-STAGE"]);
}

#[test]
fn credentials_are_found_wherever_they_hide_and_never_shown() {
    for line in [
        "ENV API_TOKEN=swordfish",
        "ENV DB_PASSWORD swordfish",
        "ENV A=1 SECRET=\"swordfish\"",
        "ARG NPM_TOKEN",
        "ARG NPM_TOKEN=swordfish",
        "COPY id_rsa /keys/",
        "ADD .env /app/",
        "RUN export DB_PASSWORD=swordfish && ./x",
        "RUN git clone https://me:swordfish@git.example/x",
        "RUN curl -H \"Authorization: Bearer swordfish\" https://example.com/x",
        "RUN echo 'root:swordfish' | chpasswd",
        "LABEL dsn=\"postgres://me:swordfish@db/x\"",
    ] {
        let text = format!("FROM scratch\n{line}\nUSER 1\n");
        assert_eq!(found(&text), ["2 HB-DF-SECRET"], "{line}");
        let report = check("Dockerfile", &text, &built_in("guide").unwrap());
        assert!(!format!("{report:?}").contains("swordfish"), "{line}");
    }
    for line in [
        "ENV DATABASE_PASSWORD_FILE=/run/secrets/db_password",
        "ENV PATH=/bin",
        "ARG VERSION=1",
        "RUN --mount=type=secret,id=t TOKEN=$(cat /run/secrets/t) ./x",
        "RUN git clone https://git.example/x@v1",
        "RUN --mount=type=secret,id=t curl -H \"Authorization: Bearer $(cat /run/secrets/t)\" https://example.com/x",
        "RUN echo \"root:$(cat /run/secrets/p)\" | chpasswd",
        "LABEL org.opencontainers.image.url=https://example.com/a@b",
    ] {
        assert_eq!(stage(line), [""; 0], "{line}");
    }
}

#[test]
fn unchecked_downloads_are_found() {
    for line in [
        "ADD https://example.com/x.tar.gz?token=swordfish /x",
        "RUN curl -fsSL https://example.com/i.sh | sh",
        "RUN wget -qO- https://example.com/i.sh | bash -s -- -y",
        "RUN curl https://example.com/i.gz | gunzip | sh",
        "RUN bash -c \"$(curl -fsSL https://example.com/i.sh)\"",
        "RUN bash <(curl -s https://example.com/i.sh)",
        "RUN curl -fsSLk https://example.com/x -o x",
        "RUN wget --no-check-certificate https://example.com/x",
        "RUN curl -fsSL https://example.com/x -o x",
        "RUN curl https://example.com/x | tar xz",
        "RUN wget https://example.com/x.tgz && tar xf x.tgz",
        "RUN sh -c \"curl -fsSL https://example.com/i.sh | sh\"",
        "RUN bash -o pipefail -c 'curl https://example.com/i.sh | bash -s -- -y'",
        "RUN [\"/bin/bash\", \"-c\", \"curl https://example.com/i.sh | bash\"]",
        "RUN sh <(curl -s https://example.com/i.sh)",
        "RUN . <(wget -qO- https://example.com/env)",
        "RUN $(curl -fsSL https://example.com/i.sh)",
        "RUN eval \"$(curl -fsSL https://example.com/i.sh)\"",
        "RUN wget -O- https://example.com/i.sh | bash",
        "RUN (curl https://example.com/i.sh) | sh",
        "RUN curl https://example.com/i.py | python3 -",
        "RUN curl https://example.com/i.sh -o i.sh && sh i.sh",
        "RUN curl -fsSLo /tmp/i.sh https://example.com/i.sh; chmod +x /tmp/i.sh; /tmp/i.sh",
        "RUN wget https://example.com/i.sh && sh ./i.sh",
        "RUN curl https://example.com/i.py > i.py && python3 i.py",
    ] {
        assert_eq!(stage(line), ["2 HB-DF-FETCH"], "{line}");
    }
    let by_root = stage("RUN wget -qO- https://example.com/i.sh | sudo bash -s -- -y");
    assert_eq!(by_root, ["2 HB-DF-SUDO", "2 HB-DF-FETCH"]);
    let checked = format!("ADD --checksum=sha256:{} https://example.com/x /x", "a".repeat(64));
    for line in [
        checked.as_str(),
        "RUN curl -fsSL https://example.com/x -o x && sha256sum -c x.sum",
        "RUN curl -fsS https://example.com/health",
        "RUN curl -fsSL https://example.com/key.asc -o /etc/apt/keyrings/x.asc",
        // What reads the download is no program that it runs.
        "RUN curl -s https://api.example.com/v | python3 -c 'import json,sys; print(json.load(sys.stdin))'",
        "RUN V=$(curl -s https://api.example.com/v | python3 -m json.tool) && echo $V",
        "RUN curl -s https://api.example.com/v | perl -ne 'print if /x/'",
        "RUN curl -s https://api.example.com/v | node -e 'x'",
        "RUN curl -s https://api.example.com/v | python3 parse.py",
        "RUN curl -s https://api.example.com/v | sh parse.sh",
        "RUN bash -c 'echo $(curl -s https://example.com/ip)'",
        "RUN echo 'curl https://example.com | sh' > notes",
        "RUN curl -o i.sh https://example.com/i.sh && sha256sum -c i.sum && sh i.sh",
        "ADD rootfs.tar /",
    ] {
        assert_eq!(stage(line), [""; 0], "{line}");
    }
}

#[test]
fn leftovers_ports_and_health_checks_are_found() {
    for line in [
        "RUN apt-get update && apt-get install -y curl",
        "RUN apk add curl",
        "RUN dnf install -y curl",
        "RUN pip install flask",
        "RUN python3 -m pip install flask",
    ] {
        assert_eq!(stage(line), ["2 HB-DF-CLEAN"], "{line}");
    }
    for line in [
        "RUN apt-get update && apt-get install -y curl \\\n && rm -rf /var/lib/apt/lists/*",
        "RUN --mount=type=cache,target=/var/cache/apt apt-get install -y curl",
        "RUN apk add --no-cache curl",
        "RUN dnf install -y curl && dnf clean all",
        "RUN pip install --no-cache-dir flask",
        "EXPOSE 8080 9090/udp $PORT",
    ] {
        assert_eq!(stage(line), [""; 0], "{line}");
    }
    assert_eq!(stage("EXPOSE 80/tcp 8080"), ["2 HB-PORT"]);
    assert_eq!(stage("HEALTHCHECK CMD true"), ["2 HB-DF-HEALTH note"]);
    assert_eq!(stage("HEALTHCHECK NONE"), [""; 0]);
}

#[test]
fn comments_suppress_with_a_reason() {
    assert_eq!(stage("# gabion:ignore HB-PORT the proxy needs it\nEXPOSE 80"), [""; 0]);
    assert_eq!(
        stage("# gabion:ignore HB-PORT the proxy needs it\nEXPOSE 80\nEXPOSE 81"),
        ["4 HB-PORT"]
    );
    assert_eq!(stage("# gabion:ignore HB-PORT\nEXPOSE 80"), ["3 HB-PORT"]);
    assert_eq!(
        stage("RUN true \\\n  # gabion:ignore HB-DF-CLEAN squashed later\n  && apk add x"),
        [""; 0]
    );
    let all =
        "# gabion:ignore HB-PORT,HB-DF-USER legacy, see 12\nFROM scratch\nEXPOSE 80\nEXPOSE 81\n";
    assert_eq!(found(all), [""; 0]);
    let report = check("Dockerfile", all, &built_in("guide").unwrap());
    assert_eq!(report.findings.iter().filter(|located| located.suppressed.is_some()).count(), 3);
}

#[test]
fn what_does_not_parse_is_a_fault_with_its_place() {
    for (text, line) in [("FROM a\nFOO bar\n", 2), ("RUN x\n", 1), ("", 1), ("FROM\n", 1)] {
        let report = check("Dockerfile", text, &built_in("guide").unwrap());
        let fault = report.faults.first().unwrap_or_else(|| panic!("accepted: {text:?}"));
        assert!(fault.message.starts_with("not a Dockerfile: "), "{fault:?}");
        assert!(fault.position.is_some_and(|place| place.line >= line), "{fault:?}");
    }
    assert_eq!(found("from scratch\r\nuser 1\r\nexpose 80\r\n"), ["3 HB-PORT"]);
}

#[test]
fn reports_11_here_documents_behind_a_word_are_data() {
    assert_eq!(stage("RUN tee /etc/x.conf <<EOF >/dev/null\nEXPOSE 22\nEOF"), [""; 0]);
    assert_eq!(stage("RUN cat > /etc/x.conf <<-\"EOF\"\n\tUSER root\n\tEOF"), [""; 0]);
    assert_eq!(
        stage("RUN cat > x <<EOF\n# gabion:ignore HB-PORT no comment\nEOF\nEXPOSE 80"),
        ["5 HB-PORT"]
    );
    // A script of its own is still read.
    assert_eq!(stage("RUN <<EOF\napk add curl\nEOF"), ["2 HB-DF-CLEAN"]);
}

#[test]
fn reports_12_variables_that_nothing_sets_are_empty() {
    let from = format!("FROM alpine:3@sha256:{}", "a".repeat(64));
    let of = |text: &str| found(text);
    // The base may set it, as those of .NET set APP_UID.
    assert_eq!(of(&format!("{from}\nUSER $RUN_AS\n")), [""; 0]);
    assert_eq!(of("FROM scratch\nUSER $RUN_AS\n"), ["2 HB-DF-USER"]);
    // An argument before FROM is not seen in a stage that does not declare it.
    assert_eq!(of(&format!("ARG APP_USER=1001\n{from}\nUSER $APP_USER\n")), ["3 HB-DF-USER"]);
    assert_eq!(of(&format!("ARG U=1001\n{from}\nARG U\nUSER $U\n")), [""; 0]);
    assert_eq!(of(&format!("ARG U=0\n{from}\nARG U\nUSER $U\n")), ["4 HB-DF-USER"]);
    assert_eq!(of(&format!("{from}\nUSER ${{RUN_AS:-1001}}\n")), [""; 0]);
    assert_eq!(of(&format!("{from} AS a\nARG U=1001\nFROM a\nUSER $U\n")), ["4 HB-DF-USER"]);
    assert_eq!(of(&format!("{from} AS a\nENV U=1001\nFROM a\nUSER $U\n")), [""; 0]);
    // It counts where it stands, not where it is set later.
    assert_eq!(of("FROM scratch\nUSER $U\nENV U=1001\n"), ["2 HB-DF-USER"]);
}

#[test]
fn reports_13_of_bases_of_which_nothing_is_known_nothing_is_claimed() {
    let users = |text: &str| {
        let mut all = found(text);
        all.retain(|line| line.contains("USER"));
        all
    };
    assert_eq!(
        users("ARG REGISTRY\nFROM ${REGISTRY}/distroless/static-debian12:nonroot\n"),
        [""; 0]
    );
    assert_eq!(users("FROM company.example/base/app-runtime:1.4\n"), ["1 HB-DF-USER note"]);
    assert_eq!(users("ARG BASE\nFROM $BASE\n"), ["2 HB-DF-USER note"]);
    for root in [
        "alpine:3.20",
        "docker.io/library/python:3",
        "scratch",
        "gcr.io/distroless/static",
        "nginx:1.27",
        "postgres:17",
        "public.ecr.aws/docker/library/node:22",
        "registry.access.redhat.com/ubi9/ubi-minimal:9.4",
        "registry.redhat.io/ubi9:9.4",
        "mcr.microsoft.com/dotnet/aspnet:8.0",
        "quay.io/centos/centos:stream9",
    ] {
        assert_eq!(users(&format!("FROM {root}\n")), ["1 HB-DF-USER"], "{root}");
    }
    for other in [
        "registry.access.redhat.com/ubi9/python-312:1",
        "registry.redhat.io/ubi8/nodejs-20:1",
        "registry.access.redhat.com/ubi9/nodejs-20-minimal:1",
        "registry.access.redhat.com/ubi9/openjdk-21:1",
        "quay.io/sclorg/python-312-c9s:c9s",
        "quay.io/fedora/nodejs-22:latest",
        "mcr.microsoft.com/dotnet/aspnet:8.0-jammy-chiseled",
        "mcr.microsoft.com/dotnet/runtime-deps:9.0-noble-chiseled-extra",
        "mcr.microsoft.com/dotnet/aspnet:9.0-azurelinux3.0-distroless",
        "haproxy:3.0",
        "wordpress:cli-2.10",
        "mcr.microsoft.com/dotnet/monitor:9",
        "memcached:1.6-alpine",
        "elasticsearch:8.15.0",
        "docker.elastic.co/kibana/kibana:8.15.0",
        "docker.elastic.co/elasticsearch/elasticsearch:8.15.0",
        "solr:9",
        "mirror.gcr.io/library/varnish:7",
        "gcr.io/distroless/java21-debian12:nonroot",
        "gcr.io/distroless/static-debian12:debug-nonroot",
        "cgr.dev/chainguard/python:latest",
        "nginxinc/nginx-unprivileged:1.27",
        "grafana/grafana:11.0.0",
    ] {
        assert_eq!(users(&format!("FROM {other}\n")), [""; 0], "{other}");
    }
    let digest = format!("gcr.io/distroless/static@sha256:{}", "a".repeat(64));
    for unknown in [
        "mcr.microsoft.com/mssql/server:2022-latest",
        "registry.access.redhat.com/rhel9/something:1",
        "bitnami/redis:7",
        "ghcr.io/acme/app:1",
        "cgr.dev/chainguard/wolfi-base:latest",
        "docker.io/library/some-new-image:1",
        // The digest may be that of the tag nonroot.
        digest.as_str(),
    ] {
        assert_eq!(users(&format!("FROM {unknown}\n")), ["1 HB-DF-USER note"], "{unknown}");
    }
}

#[test]
fn reports_15_caches_are_cleaned_after_the_installation_or_switched_off() {
    for line in [
        "RUN dnf install -y git && rm -rf /var/cache/dnf",
        "ARG PIP_NO_CACHE_DIR=1\nRUN pip install flask",
        // pip takes every value for a yes.
        "ENV PIP_NO_CACHE_DIR=off\nRUN pip install flask",
        "ENV PIP_NO_CACHE_DIR=0\nRUN pip install flask",
        "ENV PIP_NO_CACHE_DIR=false\nRUN pip install flask",
        "RUN PIP_NO_CACHE_DIR=no pip install flask",
        "RUN export PIP_NO_CACHE_DIR=1 && pip install flask",
        "RUN --mount=type=tmpfs,target=/var/lib/apt/lists apt-get update && apt-get upgrade -y",
        "RUN apt-get update && apt-get upgrade -y && rm -rf /var/lib/apt/lists/*",
        "RUN apt-get update && apt-get upgrade -y && rm -rf /var/lib/apt /var/cache/apt",
        "RUN PIP_NO_CACHE_DIR=1 pip install flask",
        "RUN pip install flask && rm -rf ~/.cache",
        "RUN apk add tar && rm -rf /var/cache/apk/*",
    ] {
        assert_eq!(stage(line), [""; 0], "{line}");
    }
    for (line, at) in [
        ("RUN rm -rf /var/cache/apk/* && apk add tar", 2),
        ("RUN rm -rf /var/lib/apt/lists/* && apt-get install -y curl", 2),
        ("RUN dnf clean all && dnf install -y git", 2),
        ("RUN pip install flask\nENV PIP_NO_CACHE_DIR=1", 2),
        ("ENV PIP_NO_CACHE_DIR=\nRUN pip install flask", 3),
        ("RUN PIP_NO_CACHE_DIR= pip install flask", 2),
        ("RUN apt-get update && apt-get upgrade -y", 2),
        ("RUN apt-get update && apt-get dist-upgrade -y", 2),
        ("RUN apt-get update && apt-get full-upgrade -y && apt-get clean", 2),
        ("RUN apt-get update", 2),
        ("RUN apk upgrade", 2),
        ("RUN dnf upgrade -y", 2),
        ("RUN zypper -n install git", 2),
        ("RUN sh -c 'apk add tar'", 2),
        ("RUN apt-get update && apt-get install -y x && ls /var/lib/apt/lists", 2),
        ("RUN apk add tar\nRUN rm -rf /var/cache/apk/*", 2),
    ] {
        assert_eq!(stage(line), [format!("{at} HB-DF-CLEAN")], "{line}");
    }
}

#[test]
fn instructions_with_another_effect_are_found() {
    assert_eq!(stage("CMD a\nCMD b"), ["2 HB-DF-CMD"]);
    assert_eq!(stage("ENTRYPOINT [\"a\"]\nCMD b"), [""; 0]);
    assert_eq!(
        found("FROM scratch AS a\nCMD a\nFROM scratch\nCMD b\nUSER 1\n"),
        [""; 0],
        "each stage has its own"
    );
    for line in ["EXPOSE 70000", "EXPOSE 0", "EXPOSE http", "EXPOSE 90-80", "EXPOSE 8080/http"] {
        assert_eq!(stage(line), ["2 HB-DF-EXPOSE"], "{line}");
    }
    assert_eq!(stage("EXPOSE 8080-8090/udp 9090/TCP"), [""; 0]);
    assert_eq!(stage("ARG P=8080\nEXPOSE $P ${P}/udp"), [""; 0]);
    assert_eq!(stage("RUN sudo make-it"), ["2 HB-DF-SUDO"]);
    assert_eq!(stage("RUN true && DEBUG=1 sudo -u app make-it"), ["2 HB-DF-SUDO"]);
    assert_eq!(stage("RUN usermod -aG sudo app"), [""; 0]);
    assert_eq!(stage("WORKDIR app"), ["2 HB-DF-WORKDIR"]);
    assert_eq!(stage("ARG D=/app\nWORKDIR $D\nWORKDIR C:\\x\nWORKDIR sub"), [""; 0]);
    assert_eq!(stage("ARG D\nWORKDIR $D\nWORKDIR sub"), [""; 0]);
}

#[test]
fn installations_are_silent_lean_and_by_version() {
    let clean = "&& rm -rf /var/lib/apt/lists/*";
    let lean = "apt-get install -y --no-install-recommends";
    for (line, wanted) in [
        (format!("RUN apt-get install curl=1 {clean}"), vec!["2 HB-DF-INSTALL"]),
        (format!("RUN apt-get install -y curl=1 {clean}"), vec!["2 HB-DF-INSTALL"]),
        (format!("RUN {lean} curl {clean}"), vec!["2 HB-DF-PIN note"]),
        (format!("RUN {lean} curl=1 {clean}"), vec![]),
        (format!("RUN {lean} -t stable curl=1 {clean}"), vec![]),
        (format!("RUN {lean} $PACKAGES ./local.deb {clean}"), vec![]),
        ("RUN apk add --no-cache curl~8".to_owned(), vec![]),
        ("RUN apk add --no-cache --virtual .build curl=8".to_owned(), vec![]),
        ("RUN pip install --no-cache-dir flask".to_owned(), vec!["2 HB-DF-PIN note"]),
        ("RUN pip install --no-cache-dir -r requirements.txt".to_owned(), vec![]),
        ("RUN npm install -g @scope/tool".to_owned(), vec!["2 HB-DF-PIN note"]),
        ("RUN npm install".to_owned(), vec![]),
        ("RUN dnf install git && dnf clean all".to_owned(), vec!["2 HB-DF-INSTALL"]),
        ("RUN zypper -n install git && zypper clean".to_owned(), vec![]),
    ] {
        assert_eq!(whole_stage(&line), wanted, "{line}");
    }
}

#[test]
fn what_onbuild_keeps_counts_where_it_is_built() {
    let from = format!("FROM alpine:3@sha256:{}", "a".repeat(64));
    assert_eq!(found(&format!("{from} AS a\nONBUILD USER root\nFROM a\n")), ["2 HB-DF-USER"]);
    assert_eq!(
        found(&format!("{from} AS a\nONBUILD RUN apk add x~1\nFROM a\nUSER 1\n")),
        ["2 HB-DF-CLEAN"]
    );
    assert_eq!(found(&format!("{from}\nONBUILD USER root\nUSER 1\n")), [""; 0]);
    assert_eq!(found(&format!("{from}\nONBUILD ENV DB_PASSWORD=x1\nUSER 1\n")), ["2 HB-DF-SECRET"]);
    assert_eq!(
        found(&format!("{from}\nONBUILD ADD https://a.example/x /x\nUSER 1\n")),
        ["2 HB-DF-FETCH"]
    );
}

#[test]
fn images_that_are_copied_from_and_frontends_are_judged() {
    assert_eq!(stage("COPY --from=nginx /x /x"), ["2 HB-DF-BASE"]);
    assert_eq!(stage("COPY --from=nginx:1.27 /x /x"), [""; 0]);
    assert_eq!(stage("RUN --mount=type=bind,from=nginx,target=/x true"), ["2 HB-DF-BASE"]);
    let stages =
        "FROM scratch AS a\nFROM scratch\nCOPY --from=A /x /x\nCOPY --from=0 /y /y\nUSER 1\n";
    assert_eq!(found(stages), [""; 0]);
    let odd = found("# syntax=example.com/mine\nFROM scratch\nUSER 1\n");
    assert_eq!(odd, ["2 HB-DF-BASE note"]);
    assert_eq!(found("# syntax=docker/dockerfile:1\nFROM scratch\nUSER 1\n"), [""; 0]);
    let mut rules = built_in("guide").unwrap();
    rules.settings.allowed_registries = vec!["registry.corp.example".into()];
    let text = "FROM registry.corp.example/x:1\nCOPY --from=docker.io/y:1 /y /y\nUSER 1\n";
    let report = check("Dockerfile", text, &rules);
    assert!(report.findings.iter().any(|one| one.finding.control.id == ControlId::HbImgRegistry));
}

#[test]
fn lines_are_read_as_a_builder_reads_them() {
    // The escape directive, here-documents as scripts and as data, another shell, a byte order mark.
    assert_eq!(stage("RUN a \\\n  # EXPOSE 22\n\n  && apk add x"), ["2 HB-DF-CLEAN"]);
    assert_eq!(
        found("# escape=`\nFROM scratch\nRUN a `\n  && apk add x=1\nUSER 1\n"),
        ["3 HB-DF-CLEAN"]
    );
    assert_eq!(stage("SHELL [\"powershell\", \"-c\"]\nRUN apk add x"), [""; 0]);
    assert_eq!(stage("COPY <<EOF /etc/x\nEXPOSE 22\nUSER root\nEOF\nEXPOSE 22"), ["6 HB-PORT"]);
    assert_eq!(stage("RUN bash <<EOF\napk add x=1\nEOF"), ["2 HB-DF-CLEAN"]);
    assert_eq!(found("\u{feff}FROM scratch\nEXPOSE 22\nUSER 1\n"), ["2 HB-PORT"]);
    assert_eq!(stage("ENV P=22\nEXPOSE ${P}"), ["3 HB-PORT"]);
    assert_eq!(stage("ARG V=1.2.3\nENV P=${V%%.*}\nEXPOSE $P"), ["4 HB-PORT"]);
}

/// Pieces that mean something to the parser, put together at random.
fn random_text(random: &mut TestRandom) -> String {
    const PIECES: [&str; 34] = [
        "FROM a",
        "FROM a AS b",
        "RUN ",
        "COPY ",
        "ENV ",
        "ARG ",
        "ONBUILD ",
        "USER ",
        "EXPOSE ",
        "HEALTHCHECK CMD ",
        "CMD ",
        "\n",
        "\n",
        "\n",
        "\\\n",
        "\r\n",
        " ",
        "\t",
        "<<EOF",
        "EOF\n",
        "<<-'X'",
        "$A",
        "${A:-",
        "}",
        "'",
        "\"",
        "\\",
        "`",
        "[\"a\"]",
        "--from=",
        "# escape=`\n",
        "é",
        "$(curl a | sh)",
        "=",
    ];
    let count = random.below(40);
    (0..count).map(|_| PIECES[random.below(PIECES.len())]).collect()
}

#[test]
fn any_text_is_read_without_a_panic_and_positions_are_those_of_instructions() {
    let mut random = TestRandom::new(15);
    let rules = built_in("guide").unwrap();
    let mut read = 0;
    for _ in 0..20_000 {
        let text = format!("FROM a\n{}", random_text(&mut random));
        let report = check("Dockerfile", &text, &rules);
        let Ok(file) = parse::parse(&text) else {
            assert_eq!(report.faults.len(), 1, "{text:?}");
            continue;
        };
        read += 1;
        let mut before = 0;
        for own in &file.instructions {
            let rest = text[own.start..].to_ascii_uppercase();
            let line = text[..own.start].matches('\n').count() + 1;
            assert!(own.lines.0 <= own.last && own.last <= own.lines.1, "{text:?}: {own:?}");
            assert!(before < own.lines.0, "{text:?}: {own:?}");
            // The name may be behind a line that holds nothing but an escape.
            assert!(line == own.lines.0, "{text:?}: {own:?}");
            assert!(
                rest.starts_with(&own.name) || rest.starts_with(own.escape),
                "{text:?}: {own:?}"
            );
            before = own.lines.1;
        }
        for located in &report.findings {
            let line = located.position.line;
            assert!(
                file.instructions.iter().any(|own| own.lines.0 == line),
                "{text:?}: {located:?}"
            );
        }
    }
    assert!(read > 1_000, "{read}");
}

#[test]
fn short_flags_end_with_the_value_of_one() {
    let fetched = |line: &str| {
        let all = stage(&format!("RUN {line}"));
        all.iter().any(|finding| finding.contains("HB-DF-FETCH"))
    };
    for line in [
        "curl -fsSLo/bin/kubectl https://a.example/y && echo 'a /bin/kubectl' | sha256sum -c",
        "curl -s -XPOST http://localhost:9200/_refresh",
        "curl -s -bcookies.txt https://a.example/ | jq .x",
    ] {
        assert!(!fetched(line), "{line}");
    }
    for line in ["curl -fskL https://a.example/ | jq .x", "curl -sSLO https://a.example/tool"] {
        assert!(fetched(line), "{line}");
    }
}

#[test]
fn what_only_looks_like_a_tool_or_is_taken_back_is_no_tool() {
    for lines in [
        "RUN command -v make || true",
        "RUN make --version",
        "RUN case \"$X\" in make|gcc) true ;; esac",
        "RUN apk add --no-cache --virtual=deps gcc && make && apk del deps",
        "RUN apk add --no-cache --virtual deps gcc && make && apk del deps",
    ] {
        assert_eq!(stage(lines), [""; 0], "{lines}");
    }
    let marked = "RUN apt-get update && apt-get install -y --no-install-recommends gcc && gcc a.c \
                  && apt-mark auto '.*' && apt-get purge -y --auto-remove && rm -rf /var/lib/apt/lists/*";
    assert_eq!(stage(marked), [""; 0]);
    for lines in [
        "RUN apk add --no-cache --virtual=deps gcc && make",
        "RUN apt-mark auto x && make",
        "RUN apk add --no-cache --virtual a gcc && make && apk del b",
    ] {
        assert_eq!(stage(lines), ["2 HB-DF-STAGE"], "{lines}");
    }
}

#[test]
fn names_in_quotes_are_names() {
    for lines in ["COPY \"id_rsa\" /x", "ADD 'keys/server.key' /x", "COPY i\\d_rsa /x"] {
        assert_eq!(stage(lines), ["2 HB-DF-SECRET"], "{lines}");
    }
}

#[test]
fn a_commit_is_a_checksum_and_a_word_is_none() {
    let commit = "0123456789".repeat(4);
    let pinned = format!("ADD https://example.org/a/b.git#{commit}:docs /b");
    assert_eq!(stage(&pinned), [""; 0]);
    for lines in [
        "ADD https://example.org/a/b.git#main /b".to_owned(),
        format!("ADD https://example.org/a/b.tar#{commit} /b"),
        "RUN curl -fsSLo sha256 https://example.org/a && sh sha256".to_owned(),
    ] {
        assert_eq!(stage(&lines), ["2 HB-DF-FETCH"], "{lines}");
    }
}

#[test]
fn a_folder_takes_what_is_in_it() {
    for (lines, is_clean) in [
        ("RUN apk add a && rm -rf /var/cache/*", true),
        ("RUN apk add a && rm -rf /var/cache", true),
        ("RUN apk add a && rm -rf /tmp/* /var/{cache,log}/*", true),
        ("RUN apk add a && rm -rf /var/cache/fontconfig", false),
        ("RUN apk add a && rm /var/cache/*", false),
        ("RUN pip install --no-cache a==1", true),
        ("RUN pip3.12 install a==1", false),
        ("RUN pipenv install", true),
    ] {
        let wanted = if is_clean { &[][..] } else { &["2 HB-DF-CLEAN"] };
        assert_eq!(stage(lines), wanted, "{lines}");
    }
}

#[test]
fn installations_are_read_with_the_values_of_their_flags() {
    for (lines, wanted) in [
        (
            "RUN yes | apt-get install --no-install-recommends a=1 && rm -rf /var/lib/apt/lists/*",
            None,
        ),
        (
            "RUN apt-get install --no-install-recommends a=1 && rm -rf /var/lib/apt/lists/*",
            Some("HB-DF-INSTALL"),
        ),
        ("RUN pip install --no-cache-dir --index-url mirror a==1", None),
        ("RUN python3 -m pip install --no-cache-dir a", Some("HB-DF-PIN note")),
        ("RUN python3 -m pip install --no-cache-dir a==1", None),
        ("RUN npm install -g --registry mirror a@1", None),
    ] {
        let wanted: Vec<_> = wanted.map(|id| format!("2 {id}")).into_iter().collect();
        assert_eq!(whole_stage(lines), wanted, "{lines}");
    }
}

#[test]
fn a_stage_has_the_shell_of_the_one_it_starts_from() {
    let digest = "a".repeat(64);
    let text = format!(
        "FROM alpine:3.20@sha256:{digest} AS a\nSHELL [\"pwsh\", \"-c\"]\nFROM a\nRUN make\nUSER 1001\n"
    );
    assert_eq!(found(&text), [""; 0]);
    let slim = format!("FROM swift:6-slim@sha256:{digest}\nUSER 1001\n");
    assert_eq!(found(&slim), [""; 0]);
}
