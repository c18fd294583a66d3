//! Who may ask for an exception and who may approve it, as `config/rbac/exceptions.yaml` and `config/rbac/people.yaml` say. No operator
//! runs: the API server holds people to their own names.

use jiff::{Span, Timestamp};
use kube::Client;
use serde_json::{Value, json};
use support::{Failure, Result, SOON, eventually, repository};

const NAMESPACE: &str = "guarded";
const ELSEWHERE: &str = "guarded-elsewhere";

fn hours(hours: i64) -> String {
    Timestamp::now().checked_add(Span::new().hours(hours)).expect("in range").to_string()
}

fn exceptions(namespace: &str) -> String {
    format!("/apis/gabion.dev/v1alpha1/namespaces/{namespace}/baselineexceptions")
}

const APPROVALS: &str = "/apis/gabion.dev/v1alpha1/baselineexceptionapprovals";

/// A request by this user, that ends in so many hours.
fn exception(requested_by: &str, expires: i64) -> Value {
    json!({
        "apiVersion": "gabion.dev/v1alpha1", "kind": "BaselineException",
        "metadata": {"name": "gpu", "namespace": NAMESPACE},
        "spec": {
            "controls": ["PSS-privileged"], "target": {"kind": "Deployment", "name": "gpu"},
            "containers": [{"name": "driver", "imageRepository": "registry.corp.example/prod/driver"}],
            "reason": "loads a kernel module", "expiresAt": hours(expires), "requestedBy": requested_by,
        },
    })
}

fn approval(namespace: &str, requested_by: &str, approver: &str, ends: i64) -> Value {
    let of = json!({"namespace": namespace, "name": "gpu", "uid": "u1", "generation": 1,
        "specHash": "0f".repeat(32)});
    json!({
        "apiVersion": "gabion.dev/v1alpha1", "kind": "BaselineExceptionApproval",
        "metadata": {"name": namespace},
        "spec": {"exceptionRef": of, "requestedBy": requested_by, "approver": approver, "notAfter": hours(ends)},
    })
}

/// The roles of people, as an administrator binds them: `dev` edits, and by mistake may also create approvals;
/// `sec` approves everywhere and edits too; `part` approves in one namespace only.
fn bindings() -> Value {
    let role = |name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name});
    let users = |names: &[&str]| -> Value {
        let one = |name: &&str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name});
        names.iter().map(one).collect()
    };
    let binding = |name: &str, namespace: Option<&str>, of: &str, names: &[&str]| {
        let kind = if namespace.is_some() { "RoleBinding" } else { "ClusterRoleBinding" };
        let mut metadata = json!({"name": name});
        if let Some(namespace) = namespace {
            metadata["namespace"] = namespace.into();
        }
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata,
               "roleRef": role(of), "subjects": users(names)})
    };
    let mistake = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "guarded-mistake"},
        "rules": [{"apiGroups": ["gabion.dev"], "resources": ["baselineexceptionapprovals"], "verbs": ["create", "patch"]}]});
    let namespace =
        |name: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    json!({"apiVersion": "v1", "kind": "List", "items": [
        namespace(NAMESPACE), namespace(ELSEWHERE), mistake,
        binding("guarded-editor", Some(NAMESPACE), "gabion-editor", &["dev", "sec"]),
        binding("guarded-mistake", None, "guarded-mistake", &["dev", "part", "sec"]),
        binding("guarded-approver", None, "gabion-exception-approver", &["sec"]),
        binding("guarded-part", Some(ELSEWHERE), "gabion-exception-approver", &["part"]),
    ]})
}

/// Sends requests as users.
struct People {
    client: Client,
}

impl People {
    async fn send(
        &self,
        who: &str,
        method: &str,
        url: &str,
        body: &Value,
    ) -> Result<Value, String> {
        let kind =
            if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let mut request =
            http::Request::builder().method(method).uri(url).header("content-type", kind);
        if who != "admin" {
            request = request
                .header("impersonate-user", who)
                .header("impersonate-group", "system:authenticated");
        }
        let request =
            request.body(body.to_string().into_bytes()).map_err(|error| error.to_string())?;
        self.client.request(request).await.map_err(|error| error.to_string())
    }

    async fn refused(&self, who: &str, method: &str, url: &str, body: &Value, words: &str) {
        let url = format!("{url}?dryRun=All");
        let why = self.send(who, method, &url, body).await.expect_err(words);
        assert!(why.contains(words), "{who} {method} {url}: {why}");
    }

    async fn taken(&self, who: &str, method: &str, url: &str, body: &Value) {
        let answer = self.send(who, method, url, body).await;
        assert!(answer.is_ok(), "{who} {method} {url}: {answer:?}");
    }
}

/// The definitions, the guards and the roles are there and in force.
async fn people() -> Result<People> {
    let plane = super::plane()?;
    let admin = plane.admin()?;
    admin.run(&[
        "wait",
        "--for=condition=Established",
        "--timeout=60s",
        "crd/baselineexceptions.gabion.dev",
        "crd/baselineexceptionapprovals.gabion.dev",
    ])?;
    for path in ["config/rbac/exceptions.yaml", "config/rbac/people.yaml"] {
        admin.apply_path(&repository().join(path))?;
    }
    admin.apply_yaml(&bindings().to_string())?;
    let people = People { client: plane.client().await? };
    let (forged, mine) = (exception("sec", 24), approval(NAMESPACE, "dev", "else", 24));
    let probes = [("dev", exceptions(NAMESPACE), forged), ("sec", APPROVALS.to_owned(), mine)];
    eventually(SOON, "the guards are in force", || async {
        for (who, url, object) in &probes {
            let answer = people.send(who, "POST", &format!("{url}?dryRun=All"), object).await;
            let why = answer.err().unwrap_or_else(|| format!("{who} is not refused at {url}"));
            if !why.contains("must be the user who creates") {
                return Err(Failure::new(why));
            }
        }
        Ok(())
    })
    .await?;
    Ok(people)
}

#[tokio::test]
async fn hardening_13_nobody_asks_or_approves_in_the_name_of_another() -> Result<()> {
    let people = people().await?;
    let ask = exceptions(NAMESPACE);
    for (object, words) in [
        (exception("sec", 24), "spec.requestedBy must be the user who creates"),
        (exception("dev", -1), "spec.expiresAt must be after the creation"),
        (exception("dev", 90 * 24 + 1), "at most 90 days"),
    ] {
        people.refused("dev", "POST", &ask, &object, words).await;
    }
    people.taken("dev", "POST", &ask, &exception("dev", 90 * 24 - 1)).await;

    let of_dev = |approver: &str, ends: i64| approval(NAMESPACE, "dev", approver, ends);
    for (who, object, words) in [
        ("dev", of_dev("dev", 24), "nobody approves a request of their own"),
        ("dev", of_dev("sec", 24), "spec.approver must be the user who creates"),
        ("dev", approval(NAMESPACE, "else", "dev", 24), "approving needs the verb approve"),
        ("sec", approval(NAMESPACE, "sec", "sec", 24), "nobody approves a request of their own"),
        (
            "sec",
            approval(NAMESPACE, "sec", "dev", 24),
            "spec.approver must be the user who creates",
        ),
        ("part", of_dev("part", 24), "approving needs the verb approve"),
        ("sec", of_dev("sec", -1), "spec.notAfter must be after the creation"),
        ("sec", of_dev("sec", 90 * 24 + 1), "at most 90 days"),
    ] {
        people.refused(who, "POST", APPROVALS, &object, words).await;
    }
    people.taken("part", "POST", APPROVALS, &approval(ELSEWHERE, "dev", "part", 24)).await;
    people.taken("sec", "POST", APPROVALS, &of_dev("sec", 24)).await;
    let one = format!("{APPROVALS}/{NAMESPACE}");
    let longer = json!({"spec": {"notAfter": hours(48)}});
    people.refused("sec", "PATCH", &one, &longer, "an approval cannot be changed").await;

    // Who approves must not first write what they approve.
    let one = format!("{ask}/gpu");
    let wider = json!({"spec": {"controls": ["PSS-privileged", "PSS-hostNamespaces"]}});
    people.refused("sec", "PATCH", &one, &wider, "only spec.requestedBy may change the spec").await;
    let taken_over = json!({"spec": {"requestedBy": "sec"}});
    people.refused("sec", "PATCH", &one, &taken_over, "cannot be changed").await;
    people.refused("dev", "PATCH", &one, &taken_over, "cannot be changed").await;
    let longer = json!({"spec": {"expiresAt": hours(90 * 24 + 1)}});
    people.refused("dev", "PATCH", &one, &longer, "at most 90 days").await;
    people.taken("dev", "PATCH", &one, &wider).await;
    let label = json!({"metadata": {"labels": {"team": "a"}, "finalizers": ["example.com/hold"]}});
    people.taken("sec", "PATCH", &one, &label).await;
    people.taken("sec", "PATCH", &one, &json!({"metadata": {"finalizers": null}})).await;
    people.taken("sec", "DELETE", &one, &Value::Null).await;
    Ok(())
}

#[tokio::test]
async fn the_api_server_finds_no_mistake_in_the_expressions_of_the_guards() -> Result<()> {
    let people = people().await?;
    for name in ["gabion-guard-exceptions", "gabion-guard-approvals"] {
        let url =
            format!("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/{name}");
        let checked = eventually(SOON, "the policy is checked", || async {
            let policy = people.send("admin", "GET", &url, &Value::Null).await?;
            let seen = policy["status"]["observedGeneration"] == policy["metadata"]["generation"];
            if seen { Ok(policy) } else { Err(policy["status"].to_string()) }
        })
        .await?;
        assert_eq!(checked["status"]["typeChecking"]["expressionWarnings"], Value::Null, "{name}");
    }
    Ok(())
}
