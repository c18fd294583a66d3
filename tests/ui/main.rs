//! `gabion ui` over a real API server with a real operator: what is on the pages, for whom, and what never is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says so by failing"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{
    Failure, Kubectl, Operator, Result, SOON, Server, Signal, Subsystem, eventually, repository,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// In the provider, a template, annotations, labels and a Secret: on no page.
const CANARY: &str = "canary-51f0c2";
/// A name that a user may choose for a secret of the provider.
const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u{202e}";
const MANY: usize = 250;

/// A running page.
struct Page {
    _process: Operator,
    address: String,
}

impl Page {
    async fn start(kubeconfig: &Path) -> Result<Self> {
        let kubeconfig = kubeconfig.to_string_lossy().into_owned();
        let args = ["ui", "--port=0", "--request-timeout=2s"];
        let process = Operator::start(&args, &[("KUBECONFIG", kubeconfig)])?;
        let address = eventually(SOON, "it says its address", || async {
            let log = process.log();
            let found = log.split("http://").nth(1).and_then(|rest| rest.split('/').next());
            found.map(ToOwned::to_owned).ok_or_else(|| Failure::new(log.as_str()))
        })
        .await?;
        Ok(Self { _process: process, address })
    }

    /// Code, head and body. No answer may hold what is nobody's to see, and each has the same armour.
    async fn send(&self, method: &str, path: &str, headers: &str) -> Result<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address).await?;
        let request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        assert!(!answer.contains(CANARY), "{path} shows a value");
        for armour in [
            "content-security-policy: default-src 'none'; style-src 'self'",
            "cache-control: no-store",
            "x-content-type-options: nosniff",
        ] {
            assert!(answer.contains(armour), "{path} has no {armour}");
        }
        let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        Ok((code.ok_or_else(|| Failure::new(answer.as_str()))?, answer))
    }

    async fn get(&self, path: &str) -> Result<String> {
        let (code, answer) = self.send("GET", path, &format!("Host: {}\r\n", self.address)).await?;
        if code == 200 { Ok(answer) } else { Err(Failure::new(format!("{path}: {code}"))) }
    }

    /// Waits until a page holds all of these.
    async fn shows(&self, path: &str, parts: &[&str]) -> Result<String> {
        eventually(SOON, &format!("{path} shows {parts:?}"), || async {
            let answer = self.get(path).await?;
            match parts.iter().find(|part| !answer.contains(**part)) {
                None => Ok(answer),
                Some(part) => Err(Failure::new(format!("{part} is not in {answer}"))),
            }
        })
        .await
    }
}

fn store(namespace: &str) -> Value {
    json!({
        "apiVersion": "external-secrets.io/v1", "kind": "SecretStore",
        "metadata": {"name": "fake", "namespace": namespace, "annotations": {"note": CANARY}},
        "spec": {"provider": {"fake": {"data": [{"key": "db", "value": CANARY}]}}},
    })
}

fn external(namespace: &str, name: &str, remote: &str) -> Value {
    json!({
        "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret",
        "metadata": {"name": name, "namespace": namespace, "annotations": {"note": CANARY}, "labels": {"l": CANARY}},
        "spec": {
            "secretStoreRef": {"name": "fake"}, "refreshInterval": "1h",
            "target": {"template": {"data": {"password": format!("{CANARY}{{{{ .password }}}}")}}},
            "data": [{"secretKey": "password", "remoteRef": {"key": remote}}],
        },
    })
}

fn apply(kubectl: &Kubectl, objects: &[Value]) -> Result<()> {
    kubectl
        .apply_yaml(&json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string())?;
    Ok(())
}

/// A baseline and a namespace as the operator leaves them.
fn harden(kubectl: &Kubectl) -> Result<()> {
    let ready = json!([{"type": "Ready", "status": "True", "reason": "Applied", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
    let baseline = json!({"status": {
        "stage": "Audit", "level": "restricted", "policyRevision": "r7", "conditions": ready,
        "namespaces": {"selected": 1, "applied": 1, "held": 1, "byStage": {"observe": 0, "audit": 1, "warn": 0, "enforce": 0}},
    }});
    let status = json!({
        "stage": "Audit", "level": "restricted", "conditions": ready, "heldCount": 1, "conflictCount": 1,
        "baselines": [{"name": "production", "priority": 0, "stage": "Audit"}],
        "held": ["quota: pods use more than it allows"],
        "conflicts": [{"object": "Namespace label x", "manager": "argocd", "message": format!("take it out of {HOSTILE}")}],
        "values": [{"item": "podSecurity.level", "value": "restricted", "baseline": "production", "reason": "the only one"}],
        "previous": [{"item": "Namespace label x", "value": CANARY}],
    });
    apply(
        kubectl,
        &[
            json!({"apiVersion": "gabion.dev/v1alpha1", "kind": "HardeningBaseline", "metadata": {"name": "production"},
                "spec": {"namespaceSelector": {"matchLabels": {"environment": "production"}}}}),
            json!({"apiVersion": "gabion.dev/v1alpha1", "kind": "NamespaceHardening",
                "metadata": {"name": "effective", "namespace": "ui-shop"}, "spec": {}, "status": status}),
        ],
    )?;
    let patch = baseline.to_string();
    kubectl.run(&[
        "patch",
        "hb",
        "production",
        "--subresource=status",
        "--type=merge",
        "-p",
        &patch,
    ])?;
    Ok(())
}

#[tokio::test]
async fn the_page_shows_the_state_and_nothing_else_to_nobody_else() -> Result<()> {
    let env = Subsystem::Secrets.start(&[])?;
    let kubectl = env.plane().admin()?;
    for namespace in ["ui-shop", "ui-team"] {
        kubectl.run(&["create", "namespace", namespace])?;
    }
    apply(
        &kubectl,
        &[
            store("ui-shop"),
            store("ui-team"),
            external("ui-team", "own", "db"),
            external("ui-shop", "hostile", HOSTILE),
        ],
    )?;
    apply(
        &kubectl,
        &(0..MANY)
            .map(|number| external("ui-shop", &format!("app-{number:03}"), "db"))
            .collect::<Vec<_>>(),
    )?;
    harden(&kubectl)?;
    let page = Page::start(env.plane().kubeconfig()).await?;
    page.shows("/secrets", &["252 ExternalSecrets, 1 to 100"]).await?;
    page.shows("/secrets?state=synced", &["251 of 252"]).await?;

    lists(&page).await?;
    hostile(&page).await?;
    hardening(&page).await?;
    strangers(&page).await?;
    live(&page, &kubectl).await?;
    one_namespace(&env, &kubectl).await?;
    let taken = page.address.rsplit(':').next().unwrap_or_default().to_owned();
    let kubeconfig = env.plane().kubeconfig().to_string_lossy().into_owned();
    let port = format!("--port={taken}");
    let mut second = Operator::start(&["ui", &port], &[("KUBECONFIG", kubeconfig)])?;
    assert_eq!(second.wait(SOON)?, Some(2));
    assert!(second.log().contains("free the port or give another with --port"), "{}", second.log());
    away(&page, &env).await
}

/// Filters, sorting, and pages by cursor, each object once.
async fn lists(page: &Page) -> Result<()> {
    for (query, parts) in [
        ("namespace=ui-team", &["1 of 252", "/secrets/ui-team/own"][..]),
        ("q=APP-00&sort=name", &["10 of 252", "app-009"]),
        ("store=ss%2Ffake&state=Failing", &["1 of 252", "/secrets/ui-shop/hostile"]),
        ("q=nothing-like-it", &["0 of 252", "No ExternalSecret fits"]),
        ("state=nonsense&sort=nonsense&after=nonsense&x=y", &["252 ExternalSecrets"]),
    ] {
        page.shows(&format!("/secrets?{query}"), parts).await?;
    }
    let (mut at, mut seen) = ("/secrets?sort=name&namespace=ui-shop".to_owned(), Vec::new());
    for _ in 0..3 {
        let text = page.get(&at).await?;
        seen.extend(
            text.split("<a href=\"/secrets/ui-shop/")
                .skip(1)
                .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())),
        );
        match text.split_once("rel=\"next\" href=\"") {
            Some((_, rest)) => at = rest.split('"').next().unwrap().replace("&amp;", "&"),
            None => break,
        }
    }
    assert_eq!(seen.len(), MANY + 1);
    assert!(seen.is_sorted() && seen.windows(2).all(|pair| pair[0] != pair[1]));
    Ok(())
}

/// What users write is text on the page, and nothing that a browser acts on.
async fn hostile(page: &Page) -> Result<()> {
    let text = page
        .shows("/secrets/ui-shop/hostile", &["&lt;script&gt;alert(1)", "Conditions", "Failing"])
        .await?;
    for path in [
        "/",
        "/secrets",
        "/secrets?q=%3Cscript%3Ealert%281%29",
        "/violations",
        "/namespaces/ui-shop",
    ] {
        let other = page.get(path).await?;
        for text in [&text, &other] {
            assert!(
                !text.contains("<script>") && !text.contains("<img") && !text.contains('\u{202e}'),
                "{path}"
            );
        }
    }
    let fine = page.get("/secrets/ui-shop/app-001").await?;
    for part in ["Synced", "ui-shop/app-001", "password", "Time line", ">db<"] {
        assert!(fine.contains(part), "{part}: {fine}");
    }
    let host = format!("Host: {}\r\n", page.address);
    for path in [
        "/nowhere",
        "/secrets/ui-shop/none",
        "/secrets/../../api",
        "/namespaces/none",
        "/secrets/a%2fb/c",
        "/api/v1/secrets",
    ] {
        let (code, text) = page.send("GET", path, &host).await?;
        assert_eq!(code, 404, "{path}: {text}");
    }
    Ok(())
}

async fn hardening(page: &Page) -> Result<()> {
    for (path, parts) in [
        ("/namespaces", &["production", "ui-shop", "Audit", "restricted"][..]),
        (
            "/namespaces/ui-shop",
            &[
                "podSecurity.level",
                "the only one",
                "take it out of &lt;script&gt;",
                "argocd",
                "quota: pods use",
            ],
        ),
        ("/violations", &["Conflict", "take it out of", "not counted", "gabion check --baseline"]),
        ("/policies", &["production", "r7", "1 of 1"]),
        ("/stores", &["ss/fake", "251", "ui-team"]),
        ("/", &["1 object needs somebody", "ss/fake", "production"]),
    ] {
        page.shows(path, parts).await?;
    }
    Ok(())
}

/// Another name, another site, another method, a request that is too long.
async fn strangers(page: &Page) -> Result<()> {
    let host = format!("Host: {}\r\n", page.address);
    for (method, headers, code) in [
        ("GET", "Host: rebound.example\r\n".to_owned(), 403),
        ("GET", format!("Host: rebound.example{}\r\n", &page.address["127.0.0.1".len()..]), 403),
        ("GET", format!("{host}Sec-Fetch-Site: cross-site\r\n"), 403),
        ("GET", format!("{host}Sec-Fetch-Site: same-origin\r\n"), 200),
        ("POST", host.clone(), 405),
        ("DELETE", host.clone(), 405),
    ] {
        for path in ["/", "/secrets", "/events", "/style.css"] {
            if (path, code) != ("/events", 200) {
                let (got, text) = page.send(method, path, &headers).await?;
                assert_eq!(got, code, "{method} {path} {headers}");
                assert!(code == 200 || !text.contains("ui-shop"));
            }
        }
    }
    let long = format!("GET /?{} HTTP/1.1\r\n{host}\r\n", "x".repeat(20 << 10));
    let mut stream = TcpStream::connect(&page.address).await?;
    let _ = stream.write_all(long.as_bytes()).await;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    assert!(answer.is_empty() || answer.contains(" 4"), "{answer}");
    Ok(())
}

/// A stream says that there is something new soon after it happened; there is room for 32 of them and 64 connections.
async fn live(page: &Page, kubectl: &Kubectl) -> Result<()> {
    let request = format!("GET /events HTTP/1.1\r\nHost: {}\r\n\r\n", page.address);
    let mut open = Vec::new();
    for _ in 0..33 {
        let mut stream = TcpStream::connect(&page.address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await?;
        open.push((stream, String::from_utf8_lossy(&head).into_owned()));
    }
    assert!(open[..32].iter().all(|(_, head)| head.ends_with("200")), "{:?}", open[31].1);
    assert!(open[32].1.ends_with("503"));
    let mut held = Vec::new();
    for _ in 0..31 {
        held.push(TcpStream::connect(&page.address).await?);
    }
    let mut crowded = TcpStream::connect(&page.address).await?;
    crowded
        .write_all(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", page.address).as_bytes())
        .await?;
    let mut answer = String::new();
    crowded.read_to_string(&mut answer).await?;
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("Too many connections"),
        "{answer}"
    );
    drop(held);

    let (mut stream, _) = open.swap_remove(0);
    drop(open);
    let mut rest = vec![0; 8192];
    while tokio::time::timeout(Duration::from_millis(1500), stream.read(&mut rest)).await.is_ok() {}
    kubectl.run(&["annotate", "es", "app-000", "-n", "ui-shop", "force-sync=now"])?;
    let begun = Instant::now();
    let count = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut rest)).await??;
    let said = String::from_utf8_lossy(&rest[..count]).into_owned();
    assert!(
        said.contains("data: ") && begun.elapsed() < Duration::from_secs(2),
        "{said} {:?}",
        begun.elapsed()
    );
    page.shows("/secrets/ui-shop/app-000", &["It was refreshed"]).await?;
    Ok(())
}

/// A user of one namespace sees that one, and no name of another anywhere.
async fn one_namespace(env: &support::TestEnv, kubectl: &Kubectl) -> Result<()> {
    kubectl.apply_path(&repository().join("config/rbac/people.yaml"))?;
    kubectl.run(&["create", "serviceaccount", "dev", "-n", "ui-team"])?;
    kubectl.run(&[
        "create",
        "rolebinding",
        "dev",
        "-n",
        "ui-team",
        "--clusterrole=gabion-viewer",
        "--serviceaccount=ui-team:dev",
    ])?;
    let kubeconfig = env.plane().service_account_kubeconfig("ui-team", "dev")?;
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&kubeconfig)?)?;
    config["contexts"][0]["context"]["namespace"] = json!("ui-team");
    std::fs::write(&kubeconfig, config.to_string())?;
    let page = Page::start(&kubeconfig).await?;
    page.shows(
        "/secrets",
        &["1 ExternalSecret", "own", "you see the namespace ui-team only", "ClusterSecretStore"],
    )
    .await?;
    let host = format!("Host: {}\r\n", page.address);
    for path in [
        "/",
        "/secrets",
        "/secrets?q=app",
        "/secrets?namespace=ui-shop",
        "/stores",
        "/namespaces",
        "/violations",
        "/policies",
        "/secrets/ui-team/own",
    ] {
        let (code, text) = page.send("GET", path, &host).await?;
        assert_eq!(code, 200, "{path}");
        let names = text.replace("value=\"ui-shop\"", "");
        assert!(
            !names.contains("ui-shop") && !names.contains("app-0") && !names.contains("production"),
            "{path}: {text}"
        );
    }
    for path in ["/secrets/ui-shop/app-001", "/namespaces/ui-shop"] {
        assert_eq!(page.send("GET", path, &host).await?.0, 404, "{path}");
    }
    Ok(())
}

/// Without the API server the page stays, and says since when it is old.
async fn away(page: &Page, env: &support::TestEnv) -> Result<()> {
    env.plane().signal(Server::Apiserver, Signal::STOP)?;
    let shown = page
        .shows(
            "/secrets",
            &[
                "The API server does not answer in time. What you see is as of",
                "252 ExternalSecrets",
            ],
        )
        .await;
    env.plane().signal(Server::Apiserver, Signal::CONT)?;
    shown?;
    eventually(SOON, "it is well again", || async {
        let text = page.get("/secrets").await?;
        if text.contains("does not answer") { Err(Failure::new("still away")) } else { Ok(()) }
    })
    .await
}

#[tokio::test]
async fn without_a_cluster_there_is_one_sentence_and_no_page() -> Result<()> {
    let mut process = Operator::start(&["ui", "--port=0"], &[("KUBECONFIG", "/nonexistent")])?;
    assert_eq!(process.wait(SOON)?, Some(2));
    let said = process.log();
    assert!(said.starts_with("error: no cluster: ") && said.lines().count() == 1, "{said}");
    Ok(())
}
