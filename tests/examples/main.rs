//! `examples/` is what users copy: a real API server takes every file, and the secrets of
//! `examples/secrets` really arrive.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use aws_sdk_secretsmanager::types::Tag;
use aws_sdk_ssm::types::ParameterType;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use gabion::api::external_secrets::external_secret::ExternalSecret;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use support::{
    ControlPlane, Failure, Kubectl, Moto, Operator, Result, envelopes, eventually, free_port,
    repository,
};

/// Files whose kinds other products define, none of which is installed here.
const OF_OTHERS: [&str; 1] = ["guide/service-mesh.yaml"];
/// A value that is made, and that nobody knows before.
const MADE: &str = "<made>";
const NAMESPACE: &str = "shop";
/// A bound for what takes a second or two on a quiet machine.
const SOON: Duration = Duration::from_mins(1);

/// The data of the Secret of each ExternalSecret in `examples/secrets`, by its name.
const ARRIVES: [(&str, &[(&str, &str)]); 32] = [
    (
        "database",
        &[
            ("greeting", "hello"),
            ("hosts", r#"[{"name": "db-1"}, {"name": "db-2"}]"#),
            ("password", "not-a-real-one"),
            ("user", "shop"),
        ],
    ),
    (
        "database-parts",
        &[
            ("all-hosts", r#"["db-1","db-2"]"#),
            ("first-host", "db-1"),
            ("password", "not-a-real-one"),
        ],
    ),
    (
        "found",
        &[
            ("api-key", "key-2"),
            ("keystore", "YSBrZXlzdG9yZQ=="),
            ("keystore-password", "changeit"),
        ],
    ),
    ("from-another-namespace", &[("password", "smtp-1")]),
    ("from-two-stores", &[("ours", "key-2"), ("shared", "licence-1")]),
    ("generated-fixed", &[("salutation", "hello")]),
    // Random values: only their keys are known.
    ("generated-id", &[("uuid", MADE)]),
    ("generated-login", &[(".dockerconfigjson", MADE)]),
    ("generated-password", &[("password", MADE)]),
    (
        "generated-session",
        &[
            ("access_key_id", MADE),
            ("expiration", MADE),
            ("secret_access_key", MADE),
            ("session_token", MADE),
        ],
    ),
    ("generated-ssh-key", &[("ssh-privatekey", MADE), ("ssh-publickey", MADE)]),
    ("generated-token", &[("timeLeft", MADE), ("token", MADE)]),
    ("gone-with-the-source", &[("greeting", "hello")]),
    ("keys-in-any-case", &[("greeting", "hello")]),
    ("keystore", &[("keystore.p12", "a keystore"), ("password", "changeit")]),
    ("more-keys", &[("greeting", "hello"), ("theirs", "stays")]),
    ("not-while-people-work", &[("greeting", "hello")]),
    ("outlived", &[("greeting", "hello")]),
    ("own-keys", &[("mail", "mail-1")]),
    ("owner-of-the-key", &[("owner", "payments")]),
    ("parameters", &[("feature", "on"), ("level", "debug"), ("nested_depth", "3")]),
    (
        "prefixed-keys",
        &[
            ("db.hosts", r#"[{"name": "db-1"}, {"name": "db-2"}]"#),
            ("db.password", "not-a-real-one"),
            ("db.user", "shop"),
        ],
    ),
    ("read-on-change", &[("greeting", "hello")]),
    ("read-once", &[("greeting", "hello")]),
    // It writes nothing.
    ("readable", &[]),
    ("rotated-by-event", &[("password", "mailbox-1")]),
    // A ClusterExternalSecret creates it.
    ("shared-licence", &[("licence", "licence-1")]),
    ("taken-over", &[("greeting", "hello")]),
    (
        "template",
        &[
            ("DATABASE_URL", "postgres://shop:not-a-real-one@db.example.com/app"),
            ("config.yaml", "database:\n  user: \"shop\"\n  password: \"not-a-real-one\"\n"),
        ],
    ),
    (
        "template-from",
        &[
            ("hosts", r#"[{"name": "db-1"}, {"name": "db-2"}]"#),
            ("my.cnf", "[client]\nuser=shop\npassword=not-a-real-one\n"),
            ("password", "not-a-real-one"),
            ("user", "shop"),
        ],
    ),
    ("two-versions", &[("current", "key-2"), ("previous", "key-1")]),
    ("written-once", &[("greeting", "hello")]),
];

/// All files below `examples/FOLDER`, relative to `examples/`.
fn files(folder: &str) -> Result<Vec<String>> {
    let root = repository().join("examples");
    let (mut found, mut folders) = (Vec::new(), vec![root.join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Some(name) = path.strip_prefix(&root)?.to_str() {
                found.push(name.to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn example(file: &str) -> Result<String> {
    let path: PathBuf = repository().join("examples").join(file);
    path.to_str().map(ToOwned::to_owned).ok_or_else(|| Failure::new("a path that is not UTF-8"))
}

#[test]
fn a_real_api_server_takes_every_example() -> Result<()> {
    let plane = ControlPlane::shared()?;
    let kubectl = plane.admin()?;
    kubectl.run(&["create", "namespace", "examples"])?;
    // Of pull-secrets.yaml, which names the namespace of its source.
    kubectl.run(&["create", "namespace", "platform"])?;
    let (mut unknown, mut taken) = (Vec::new(), 0);
    // These are for other programs than an API server.
    let others = |file: &String| file.starts_with("ci/") || file.starts_with("images/");
    for file in files("")?.into_iter().filter(|file| !others(file)) {
        let path = example(&file)?;
        let create = ["create", "--dry-run=server", "--validate=strict"];
        let place: &[&str] =
            if file == "hardening/pull-secrets.yaml" { &[] } else { &["-n", "examples"] };
        match kubectl.run(&[&create[..], place, &["-f", path.as_str()]].concat()) {
            Ok(_) => taken += 1,
            Err(why) if why.to_string().contains("no matches for kind") => unknown.push(file),
            Err(why) => return Err(Failure::new(format!("examples/{file}: {why}"))),
        }
    }
    assert_eq!(unknown, OF_OTHERS);
    assert!(taken > 35, "only {taken} files");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secrets_of_the_examples_arrive() -> Result<()> {
    // Not the shared one: the other test fills that, and this one wants no others' objects.
    let (plane, moto) = (ControlPlane::start()?, Moto::start()?);
    let kubectl = plane.admin()?;
    fill(&moto).await?;
    prepare(&kubectl)?;
    kubectl.run(&["apply", "-n", NAMESPACE, "-f", &example("secrets")?])?;
    let operator = run(&plane, &moto)?;

    let client = plane.client().await?;
    let objects = Api::<ExternalSecret>::namespaced(client.clone(), NAMESPACE);
    let created = || async { Ok::<_, Failure>(objects.get("shared-licence").await.map(|_| ())?) };
    eventually(SOON, "the ClusterExternalSecret is provisioned", created).await?;
    let listed = objects.list(&ListParams::default()).await?;
    let names: Vec<_> = listed.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, ARRIVES.map(|(name, _)| name), "the table above is the list of examples");
    let secrets = Api::<Secret>::namespaced(client, NAMESPACE);
    for object in listed {
        let name = object.name_any();
        let what = format!("ExternalSecret {name} is Ready");
        let ready =
            eventually(SOON, &what, || async { says_ready(&objects.get_status(&name).await?) });
        ready.await.map_err(|why| Failure::new(format!("{why}\n{}", operator.log())))?;
        let target = object.spec.target.name.clone().unwrap_or_else(|| name.clone());
        let held = secrets.get_opt(&target).await?.and_then(|secret| secret.data);
        let held: BTreeMap<_, _> = held.into_iter().flatten().collect();
        let expected = ARRIVES.iter().find(|(known, _)| *known == name);
        let expected = expected.into_iter().flat_map(|(_, data)| *data);
        let held: BTreeMap<_, _> = held
            .iter()
            .map(|(k, v)| {
                let is_made = expected.clone().any(|(key, value)| key == k && *value == MADE);
                assert!(!v.0.is_empty(), "{k} of {name}");
                (&**k, if is_made { MADE.into() } else { String::from_utf8_lossy(&v.0) })
            })
            .collect();
        let expected: BTreeMap<_, _> = expected.map(|(k, v)| (*k, (*v).into())).collect();
        assert_eq!(held, expected, "of {name}");
    }
    for kind in ["secretstores", "clustersecretstores", "clusterpushsecrets", "pushsecrets"] {
        let valid = "jsonpath={.status.conditions[?(@.type=='Ready')].status}=True";
        let wait = format!("--for={valid}");
        kubectl.run(&["wait", kind, "--all", "-n", NAMESPACE, &wait, "--timeout=60s"])?;
    }
    let aws = moto.secrets_manager().await;
    let pushed = aws.get_secret_value().secret_id("pushed/settings").send().await?;
    let pushed = pushed.secret_string().unwrap_or_default();
    assert!(pushed.starts_with(r#"{"greeting":""#), "{pushed}");
    for made in ["pushed-by-pattern/greeting", "pushed-by-pattern", "backup"] {
        aws.get_secret_value().secret_id(made).send().await?;
    }
    follows_the_event(&moto, &secrets).await
}

/// The SDK's own wire, against the SQS of others: a rotated value arrives by its event, and the message is done.
async fn follows_the_event(moto: &Moto, secrets: &Api<Secret>) -> Result<()> {
    let (aws, queues) = (moto.secrets_manager().await, moto.queues().await);
    let (key, text) = ("shop/mailbox", "mailbox-2");
    let put = aws.put_secret_value().secret_id(key).secret_string(text).send().await?;
    let (arn, version) = (put.arn().unwrap_or_default(), put.version_id().unwrap_or_default());
    let time = "2026-01-02T03:04:05Z";
    let event = envelopes::label_updated(arn, key, "AWSCURRENT", version, time).to_string();
    let found = queues.get_queue_url().queue_name("gabion-events").send().await?;
    let url = found.queue_url().unwrap_or_default();
    queues.send_message().queue_url(url).message_body(event).send().await?;
    eventually(SOON, "the rotated value", || async {
        let data = secrets.get("rotated-by-event").await?.data.unwrap_or_default();
        match data.get("password") {
            Some(found) if found.0 == text.as_bytes() => Ok(()),
            _ => Err(Failure::new("it is the old one")),
        }
    })
    .await?;
    let hidden = aws_sdk_sqs::types::QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
    eventually(SOON, "the message is deleted", || async {
        let asked = queues.get_queue_attributes().queue_url(url).attribute_names(hidden.clone());
        let answer = asked.send().await?;
        match answer.attributes().and_then(|all| all.get(&hidden)).map(String::as_str) {
            Some("0") => Ok(()),
            other => Err(Failure::new(format!("in hand: {other:?}"))),
        }
    })
    .await
}

/// What the examples ask of AWS.
async fn fill(moto: &Moto) -> Result<()> {
    let aws = moto.secrets_manager().await;
    for (name, text) in [
        ("shop/keystore", STANDARD.encode("a keystore")),
        ("shop/keystore-password", "changeit".to_owned()),
        ("company/licence", "licence-1".to_owned()),
        ("shop/mailbox", "mailbox-1".to_owned()),
        ("tenants/shop/mail", "mail-1".to_owned()),
    ] {
        aws.create_secret().name(name).secret_string(text).send().await?;
    }
    moto.queues().await.create_queue().queue_name("gabion-events").send().await?;
    let parameters = moto.parameter_store().await;
    for (name, text) in [
        ("/shop/feature", "on"),
        ("/shop/settings/level", "debug"),
        ("/shop/settings/nested/depth", "3"),
    ] {
        let kind = ParameterType::SecureString;
        parameters.put_parameter().name(name).value(text).r#type(kind).send().await?;
    }
    let owner = Tag::builder().key("owner").value("payments").build();
    let key = "shop/api-key";
    aws.create_secret().name(key).secret_string("key-1").tags(owner).send().await?;
    aws.put_secret_value().secret_id(key).secret_string("key-2").send().await?;
    Ok(())
}

/// What the examples expect in the cluster.
fn prepare(kubectl: &Kubectl) -> Result<()> {
    let role = "eks.amazonaws.com/role-arn=arn:aws:iam::123456789012:role/reader";
    for command in [
        "create namespace shop",
        "label namespace shop secrets=shared",
        "create serviceaccount secrets-reader -n shop",
        &format!("annotate serviceaccount secrets-reader -n shop {role}"),
        "create secret generic aws-credentials -n shop --from-literal=access-key-id=AKIAEXAMPLE \
         --from-literal=secret-access-key=example",
        "create secret generic made-by-hand -n shop --from-literal=greeting=good-day",
        "create secret generic mfa-device -n shop --from-literal=seed=GEZDGNBVGY3TQOJQ",
        "create secret generic settings -n shop --from-literal=theirs=stays",
        "create namespace platform",
        "create secret generic smtp -n platform --from-literal=password=smtp-1",
        "create serviceaccount platform-reader -n shop",
        "create role reader -n platform --verb=get --resource=secrets --resource-name=smtp",
        "create rolebinding reader -n platform --role=reader --serviceaccount=shop:platform-reader",
    ] {
        kubectl.run(&command.split_whitespace().collect::<Vec<_>>())?;
    }
    Ok(())
}

/// Our binary, under the shipped rights.
fn run(plane: &ControlPlane, moto: &Moto) -> Result<Operator> {
    let kubectl = plane.admin()?;
    for part in ["operator/namespace.yaml", "operator/service-account.yaml"] {
        kubectl.apply_path(&repository().join("config").join(part))?;
    }
    let rights = repository().join("config/rbac");
    kubectl.run(&["apply", "-k", &rights.to_string_lossy()])?;
    let kubeconfig = plane.service_account_kubeconfig("gabion-system", "gabion")?;
    let arguments = [
        "run".to_owned(),
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--metrics-addr=127.0.0.1:{}", free_port()?),
        format!("--health-addr=127.0.0.1:{}", free_port()?),
    ];
    Operator::start(&arguments, &moto.environment())
}

fn says_ready(object: &ExternalSecret) -> Result<()> {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    match conditions.into_iter().find(|condition| condition.type_ == "Ready") {
        Some(condition) if condition.status == "True" => Ok(()),
        Some(condition) => {
            Err(Failure::new(condition.message.clone().unwrap_or_else(|| "no message".to_owned())))
        }
        None => Err(Failure::new("it has no condition yet")),
    }
}
