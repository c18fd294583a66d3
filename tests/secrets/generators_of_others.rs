//! Generators whose values others make: AWS, and servers that a flag names.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};
use support::{Failure, Result, SOON, Subsystem, eventually, webhook_address};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::scene::{Scene, value};

/// An ExternalSecret without a store that uses a generator.
async fn uses(scene: &Scene<'_>, name: &str, kind: &str) -> Result<()> {
    let from = json!([{"sourceRef": {"generatorRef": {"kind": kind, "name": name}}}]);
    let mut object = scene.external(name, json!({"data": [], "dataFrom": from}));
    object["spec"]["secretStoreRef"] = Value::Null;
    scene.create(object).await?;
    Ok(())
}

async fn generator(scene: &Scene<'_>, kind: &str, name: &str, spec: Value) -> Result<()> {
    scene.create(json!({"kind": kind, "metadata": {"name": name}, "spec": spec})).await?;
    Ok(())
}

#[tokio::test]
async fn aws_makes_logins_and_sessions_for_whoever_may_ask() -> Result<()> {
    let scene = Scene::new("gen-aws").await?;
    let key = |key: &str| json!({"name": "aws-keys", "key": key});
    let keys = json!({"accessKeyIDSecretRef": key("id"), "secretAccessKeySecretRef": key("key")});
    let auth = json!({"secretRef": keys});
    let aws = |extra: Value| {
        let mut spec = json!({"region": "eu-west-1", "auth": auth});
        for (field, value) in extra.as_object().into_iter().flatten() {
            spec[field] = value.clone();
        }
        spec
    };
    let (ecr, sts) = ("ECRAuthorizationToken", "STSSessionToken");
    generator(&scene, ecr, "private", aws(json!({}))).await?;
    generator(&scene, ecr, "public", aws(json!({"scope": "public"}))).await?;
    generator(&scene, sts, "session", aws(json!({"requestParameters": {"sessionDuration": 900}})))
        .await?;
    for (kind, field) in [(ecr, "ecrAuthorizationTokenSpec"), (sts, "stsSessionTokenSpec")] {
        let inner = json!({"kind": kind, "generator": {field: aws(json!({}))}});
        let name = format!("gen-aws-{}", field.to_lowercase());
        generator(&scene, "ClusterGenerator", &name, inner).await?;
        uses(&scene, &name, "ClusterGenerator").await?;
        scene.ready(&name).await?;
    }
    for (kind, name) in [(ecr, "private"), (ecr, "public"), (sts, "session")] {
        uses(&scene, name, kind).await?;
        scene.ready(name).await?;
    }
    let login = scene.data("private").await?.unwrap_or_default();
    assert_eq!(login["username"], "AWS");
    assert_eq!(login["password"], format!("login:of:{}", scene.access_key));
    assert_eq!(login["expires_at"], "1700000000");
    assert!(login["proxy_endpoint"].as_str().is_some_and(|url| url.contains("dkr.ecr")));
    let public = scene.data("public").await?.unwrap_or_default();
    assert!(public.get("proxy_endpoint").is_none() && public["username"] == "AWS");
    let session = scene.data("session").await?.unwrap_or_default();
    assert!(session["access_key_id"].as_str().is_some_and(|key| key.starts_with("ASIA")));
    assert!(session["expiration"].as_str().is_some_and(|time| time.parse::<u64>().is_ok()));

    // A repair of the data asks again and keeps what was made; a refresh is new.
    scene.patch("Secret", "session", json!({"stringData": {"added": "x"}})).await?;
    scene.settle().await?;
    scene.data_is("session", session.clone()).await?;

    for (name, kind, spec, said) in [
        ("no-auth", ecr, json!({"region": "eu-west-1"}), "spec.auth: is not set"),
        ("no-region", ecr, aws(json!({"region": "nowhere"})), "spec.region: \"nowhere\" is not"),
        ("no-scope", ecr, aws(json!({"scope": "secret"})), "must be private or public"),
        (
            "by-token",
            sts,
            json!({"region": "eu-west-1", "auth": {"jwt": {"serviceAccountRef": {"name": "a"}}}}),
            "AWS makes no session",
        ),
        (
            "no-keys",
            ecr,
            json!({"region": "eu-west-1", "auth": {"secretRef": {
            "accessKeyIDSecretRef": {"name": "none", "key": "a"},
            "secretAccessKeySecretRef": {"name": "none", "key": "a"}}}}),
            "Secret gen-aws/none does not exist",
        ),
        (
            "abroad",
            ecr,
            json!({"region": "eu-west-1", "auth": {"secretRef": {
            "accessKeyIDSecretRef": {"name": "a", "key": "a", "namespace": "kube-system"},
            "secretAccessKeySecretRef": {"name": "a", "key": "a"}}}}),
            "names namespace \"kube-system\"",
        ),
    ] {
        generator(&scene, kind, name, spec).await?;
        uses(&scene, name, kind).await?;
        scene.fails(name, said).await?;
    }
    // One of another namespace is none of this.
    let other = scene.beside("other").await?;
    generator(&other, ecr, "theirs", json!({"region": "eu-west-1"})).await?;
    uses(&scene, "theirs", ecr).await?;
    scene.fails("theirs", "ECRAuthorizationToken \"theirs\" does not exist").await?;
    Ok(())
}

/// A server that records what it is asked.
#[derive(Clone, Default)]
struct Served {
    requests: Arc<Mutex<Vec<String>>>,
    count: Arc<AtomicUsize>,
}

impl Served {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind(webhook_address()?).await?;
        let served = Self::default();
        let all = served.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(all.clone().answer(stream));
            }
        });
        Ok(served)
    }

    async fn answer(self, mut stream: TcpStream) {
        let mut request = Vec::new();
        let mut part = [0; 4096];
        loop {
            let Ok(read) = stream.read(&mut part).await else { return };
            request.extend_from_slice(&part[..read]);
            let text = String::from_utf8_lossy(&request).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                if read == 0 {
                    return;
                }
                continue;
            };
            let length = head.lines().find_map(|line| {
                line.to_lowercase().strip_prefix("content-length: ")?.parse().ok()
            });
            if body.len() >= length.unwrap_or(0) {
                break;
            }
        }
        let text = String::from_utf8_lossy(&request).into_owned();
        let nth = self.count.fetch_add(1, Ordering::Relaxed);
        let at = text.split_whitespace().nth(1).unwrap_or_default().to_owned();
        self.requests.lock().unwrap().push(text);
        let ok = |body: String| ("200 OK", String::new(), body);
        let (status, header, body) = match at.split('?').next().unwrap_or_default() {
            "/ok" => {
                ok(json!({"data": {"password": value(&format!("made-{nth}")), "n": 1}}).to_string())
            }
            "/document" => ok(json!({"data": {"document": "{\"a\": 1}"}}).to_string()),
            "/redirect" => (
                "302 Found",
                format!("Location: http://{}/ok\r\n", webhook_address().unwrap()),
                String::new(),
            ),
            "/big" => ok(format!("{{\"a\": \"{}\"}}", "x".repeat(10 << 20))),
            "/text" => ok(value("no json")),
            "/list" => ok(json!([value("x")]).to_string()),
            "/broken" => ("500 Internal Server Error", String::new(), value("broken")),
            _ => ("404 Not Found", String::new(), value("nothing")),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\n{header}Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let _ = stream.write_all((head + &body).as_bytes()).await;
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Takes our mark from the Secret of a webhook, and waits until it is back.
async fn a_label_is_repaired(scene: &Scene<'_>) -> Result<()> {
    let label = "reconcile.external-secrets.io/managed";
    let unmarked = json!({"metadata": {"labels": {label: null}}});
    scene.patch("Secret", "hook", unmarked).await?;
    eventually(SOON, "the label of Secret hook", || async {
        let secret = scene.get("Secret", "hook").await?.unwrap_or_default();
        match secret["metadata"]["labels"][label].as_str() {
            Some("true") => Ok(()),
            found => Err(Failure::new(format!("the label is {found:?}"))),
        }
    })
    .await?;
    scene.settle().await
}

/// Of a template that takes only what the server makes nobody can tell which keys depend on it: what was altered is new
/// then, and never left as it is.
async fn a_template_that_takes_nothing_else(scene: &Scene<'_>, hook: &Value) -> Result<()> {
    let mut document = hook.clone();
    document["url"] = json!(format!("http://{}/document", webhook_address()?));
    generator(scene, "Webhook", "document", document).await?;
    let from = json!([{"sourceRef": {"generatorRef": {"kind": "Webhook", "name": "document"}}}]);
    let mut object = scene.external("document", json!({"data": [], "dataFrom": from}));
    object["spec"]["secretStoreRef"] = Value::Null;
    object["spec"]["target"]["template"] = json!({"data": {
        "a": "{{ (.document | fromJson).a }}", "fixed": "as it is"}});
    scene.create(object).await?;
    scene.ready("document").await?;
    let rendered = json!({"a": "1", "fixed": "as it is"});
    scene.data_is("document", rendered.clone()).await?;
    scene.patch("Secret", "document", json!({"stringData": {"fixed": "altered"}})).await?;
    scene.data_is("document", rendered).await
}

#[tokio::test]
async fn webhooks_ask_servers_that_the_flag_names_and_nobody_else() -> Result<()> {
    let scene = Scene::bare(Subsystem::Secrets.shared()?, "gen-webhook").await?;
    let served = Served::start().await?;
    let address = webhook_address()?;
    let secret = |name: &str, labels: Value| {
        json!({"kind": "Secret",
        "metadata": {"name": name, "labels": labels},
        "stringData": {"user": "a b&c", "token": value("token")}})
    };
    let label = json!({"external-secrets.io/type": "webhook"});
    scene.create(secret("login", label)).await?;
    scene.create(secret("unlabelled", json!({}))).await?;
    let auth = |name: &str| json!([{"name": "auth", "secretRef": {"name": name}}]);
    let spec = json!({
        "url": format!("http://{address}/ok?user={{{{ .auth.user }}}}"),
        "method": "POST",
        "headers": {"Authorization": "Bearer {{ .auth.token }}"},
        "body": "{\"user\": \"{{ .auth.user }}\"}",
        "result": {"jsonPath": "$.data"},
        "secrets": auth("login"),
    });
    generator(&scene, "Webhook", "hook", spec.clone()).await?;
    uses(&scene, "hook", "Webhook").await?;
    scene.ready("hook").await?;
    let made = scene.data("hook").await?.unwrap_or_default();
    assert!(
        made["password"].as_str().is_some_and(|text| text.contains("made-")) && made["n"] == "1"
    );
    let request = served.requests().first().cloned().unwrap_or_default();
    assert!(request.starts_with("POST /ok?user=a+b%26c HTTP/1.1\r\n"), "{request}");
    assert!(
        request
            .to_lowercase()
            .contains(&format!("authorization: bearer {}", value("token").to_lowercase())),
        "{request}"
    );
    assert!(request.ends_with("{\"user\": \"a b&c\"}"), "{request}");
    let asked = served.requests().len();
    a_label_is_repaired(&scene).await?;
    scene.data_is("hook", made.clone()).await?;
    assert_eq!(served.requests().len(), asked, "for a value that would be thrown away");
    // A repair of the data keeps it, a refresh makes it anew.
    scene.patch("Secret", "hook", json!({"stringData": {"added": "x"}})).await?;
    scene.settle().await?;
    scene.data_is("hook", made.clone()).await?;
    scene.force("hook", "1").await?;
    scene.settle().await?;
    assert_ne!(scene.data("hook").await?, Some(made));

    a_template_that_takes_nothing_else(&scene, &spec).await?;

    let inner = json!({"kind": "Webhook", "generator": {"webhookSpec": spec}});
    generator(&scene, "ClusterGenerator", "gen-webhook", inner).await?;
    uses(&scene, "gen-webhook", "ClusterGenerator").await?;
    scene.ready("gen-webhook").await?;

    let at = |url: String| json!({"url": url, "result": {"jsonPath": "$.data"}});
    let here = |path: &str| at(format!("http://{address}/{path}"));
    let plus = |field: &str, with: Value| {
        let mut spec = here("ok");
        spec[field] = with;
        spec
    };
    let flag = "--webhook-generator-hosts";
    for (name, spec, said) in [
        ("unnamed", at("https://example.org/".to_owned()), flag),
        ("other-port", at("http://127.0.0.1:1/".to_owned()), flag),
        ("metadata", at("http://169.254.169.254/latest".to_owned()), flag),
        ("user", at(format!("http://x@{address}/ok")), "no user"),
        ("file", at("file:///etc/passwd".to_owned()), "spec.url"),
        ("redirect", here("redirect"), "redirects are not followed"),
        ("big", here("big"), "is larger than 1048576 bytes"),
        ("text", here("text"), "is no JSON"),
        ("list", here("list"), "has nothing at spec.result.jsonPath"),
        ("broken", here("broken"), "answered 500"),
        ("missing", here("nothing"), "it answered 404"),
        ("path", plus("result", json!({"jsonPath": "$..x"})), "spec.result.jsonPath"),
        ("secret", plus("secrets", auth("unlabelled")), "has no label external-secrets.io/type"),
        ("no-secret", plus("secrets", auth("none")), "Secret gen-webhook/none does not exist"),
        ("template", plus("body", json!("{{ .auth.token }}")), "spec.body"),
        ("header", plus("headers", json!({"a b": "c"})), "no header"),
        ("timeout", plus("timeout", json!("soon")), "spec.timeout"),
        ("method", plus("method", json!("CONNECT")), "spec.method must be"),
        ("ntlm", plus("auth", json!({"ntlm": {}})), "NTLM"),
        (
            "abroad",
            plus(
                "caProvider",
                json!({"type": "Secret", "name": "a", "key": "b", "namespace": "kube-system"}),
            ),
            "names namespace \"kube-system\"",
        ),
    ] {
        generator(&scene, "Webhook", name, spec).await?;
        uses(&scene, name, "Webhook").await?;
        let message = scene.fails(name, said).await?;
        assert!(!message.contains("vAlu3"), "{message}");
    }
    Ok(())
}
