//! Contract 2.8: templates of the target.

use serde_json::{Value, json};
use support::{Failure, Result, SOON, Subsystem, eventually};

use crate::scene::{Scene, value};

/// Two values of one JSON secret, and a template.
fn templated(scene: &Scene, template: Value) -> Value {
    scene.put("db", &json!({"user": "app", "password": "p&ss \"1\""}).to_string());
    json!({
        "data": [],
        "dataFrom": [{"extract": {"key": scene.remote("db")}}],
        "target": {"template": template},
    })
}

fn config_map(name: &str, data: Value) -> Value {
    json!({"kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

#[tokio::test]
async fn a_template_makes_the_secret_and_a_rotation_renders_it_again() -> Result<()> {
    let scene = Scene::new("template").await?;
    let spec = templated(
        &scene,
        json!({
            "type": "example.com/dsn",
            "metadata": {
                "labels": {"user": "{{ .user | upper }}"},
                "annotations": {"note": "{{ len .password }} characters"},
            },
            "data": {
                "dsn": "postgres://{{ .user }}:{{ .password | urlquery }}@db/app",
                "config.yaml": "user: {{ .user | quote }}\n{{- if .password }}\npassword: {{ .password | toJson }}\n{{- end }}\n",
            },
        }),
    );
    scene.synced("db", spec).await?;

    scene
        .data_is(
            "db",
            json!({
                "dsn": "postgres://app:p%26ss+%221%22@db/app",
                "config.yaml": "user: \"app\"\npassword: \"p\\u0026ss \\\"1\\\"\"\n",
            }),
        )
        .await?;
    let secret = scene.get("Secret", "db").await?.expect("a Secret");
    assert_eq!(secret["type"], "example.com/dsn");
    assert_eq!(secret["metadata"]["labels"]["user"], "APP");
    assert_eq!(secret["metadata"]["annotations"]["note"], "8 characters");

    scene.put("db", &json!({"user": "ops", "password": "x"}).to_string());
    scene.force("db", "1").await?;
    let wanted = json!({
        "dsn": "postgres://ops:x@db/app",
        "config.yaml": "user: \"ops\"\npassword: \"x\"\n",
    });
    scene.data_is("db", wanted).await?;
    let secret = scene.get("Secret", "db").await?.expect("a Secret");
    assert_eq!(secret["metadata"]["labels"]["user"], "OPS");
    assert_eq!(secret["metadata"]["annotations"]["note"], "1 characters");
    Ok(())
}

#[tokio::test]
async fn the_stronger_source_of_a_key_wins() -> Result<()> {
    let scene = Scene::new("template-order").await?;
    let all = |text: &str| json!({"a": text, "b": text, "c": text, "d": text});
    scene.create(config_map("weak", json!({"a": "map", "b": "map", "c": "map"}))).await?;
    let secret = json!({"kind": "Secret", "metadata": {"name": "strong"},
        "stringData": {"b": "secret", "c": "secret"}});
    scene.create(secret).await?;
    scene.put("all", &all("read").to_string());
    let items = |keys: &[&str]| -> Value { keys.iter().map(|key| json!({"key": key})).collect() };
    let template = json!({
        "mergePolicy": "Merge",
        "templateFrom": [{
            "configMap": {"name": "weak", "items": items(&["a", "b", "c"])},
            "secret": {"name": "strong", "items": items(&["b", "c"])},
            "literal": "c: literal",
        }],
        "data": {"e": "{{ .d }}"},
    });
    let spec = json!({
        "data": [],
        "dataFrom": [{"extract": {"key": scene.remote("all")}}],
        "target": {"template": template},
    });
    scene.synced("all", spec).await?;
    let wanted = json!({"a": "map", "b": "secret", "c": "literal", "d": "read", "e": "read"});
    scene.data_is("all", wanted).await?;

    // Replace drops the data read as soon as anything is templated, be it a label alone.
    let only_label = json!({"mergePolicy": "Replace", "data": null,
        "templateFrom": [{"target": "Labels", "literal": "tier: {{ .a }}"}]});
    let change = json!({"spec": {"target": {"template": only_label}}});
    scene.patch("ExternalSecret", "all", change).await?;
    scene.data_is("all", json!({})).await?;
    let secret = scene.get("Secret", "all").await?.expect("a Secret");
    assert_eq!(secret["metadata"]["labels"]["tier"], "read");
    Ok(())
}

#[tokio::test]
async fn a_changed_source_is_rendered_again_at_once() -> Result<()> {
    let scene = Scene::new("template-source").await?;
    let from = json!({"templateFrom": [
        {"configMap": {"name": "layout", "items": [{"key": "app.ini"}]}},
        {"secret": {"name": "more", "items": [{"key": "extra", "templateAs": "KeysAndValues"}]}},
    ]});
    let spec = templated(&scene, from);
    scene.create(scene.external("db", spec)).await?;
    let message = scene.fails("db", "ConfigMap \"layout\" does not exist").await?;
    assert!(message.contains("spec.target.template.templateFrom[0].configMap"), "{message}");

    scene.create(config_map("layout", json!({"other": "x"}))).await?;
    scene.fails("db", "ConfigMap \"layout\" has no key \"app.ini\"").await?;
    let change = json!({"data": {"app.ini": "[db]\nuser={{ .user }}\n"}});
    scene.patch("ConfigMap", "layout", change).await?;
    scene.fails("db", "Secret \"more\" does not exist").await?;
    let more = json!({"kind": "Secret", "metadata": {"name": "more"},
        "stringData": {"extra": "{{ .user }}-key: \"{{ .user }}\"\ncount: 3\n"}});
    scene.create(more).await?;
    scene.ready("db").await?;
    let ini = |text: &str| format!("[db]\nuser={text}\n");
    let wanted = json!({"app.ini": ini("app"), "app-key": "app", "count": "3"});
    scene.data_is("db", wanted).await?;

    let change = json!({"data": {"app.ini": "[db]\nuser={{ .user | upper }}\n"}});
    scene.patch("ConfigMap", "layout", change).await?;
    scene.data_is("db", json!({"app.ini": ini("APP"), "app-key": "app", "count": "3"})).await?;
    let change = json!({"stringData": {"extra": "only: one"}});
    scene.patch("Secret", "more", change).await?;
    scene.data_is("db", json!({"app.ini": ini("APP"), "only": "one"})).await
}

#[tokio::test]
async fn a_template_that_fails_leaves_the_secret_as_it_was_and_says_where() -> Result<()> {
    let scene = Scene::new("template-fails").await?;
    let spec = templated(&scene, json!({"data": {"a": "{{ .user }}"}}));
    scene.synced("db", spec).await?;
    scene.data_is("db", json!({"a": "app"})).await?;

    for (text, wanted) in [
        ("x\n{{ .usr }}", "2:4"),
        ("{{ .user }}{{ end }}", "unexpected {{end}}"),
        ("{{ nosuch .user }}", "function \"nosuch\" not defined"),
        ("{{ range until 1000000000 }}x{{ end }}", "exceeds the bound"),
        ("{{ fail .password }}", "target.template.data[a]"),
    ] {
        let change = json!({"spec": {"target": {"template": {"data": {"a": text}}}}});
        scene.patch("ExternalSecret", "db", change).await?;
        let message = scene.fails("db", wanted).await?;
        assert!(message.starts_with("could not update secret: "), "{message}");
        assert!(message.contains("spec.target.template.data[a]"), "{message}");
        assert!(!message.contains("p&ss"), "a value in {message}");
        assert_eq!(scene.data("db").await?, Some(json!({"a": "app"})));
    }
    let labels = json!({"metadata": {"labels": {"l": "{{ .password }}"}}, "data": {"a": "b"}});
    let change = json!({"spec": {"target": {"template": labels}}});
    scene.patch("ExternalSecret", "db", change).await?;
    let message = scene.fails("db", "its value may have at most 63").await?;
    assert!(!message.contains("p&ss"), "a value in {message}");
    assert_eq!(scene.data("db").await?, Some(json!({"a": "app"})));
    Ok(())
}

#[tokio::test]
async fn labels_and_annotations_come_from_the_template_alone_and_go_with_it() -> Result<()> {
    let scene = Scene::new("template-meta").await?;
    let mut object = scene.external(
        "db",
        templated(
            &scene,
            json!({
                "mergePolicy": "Merge",
                "templateFrom": [
                    {"target": "Labels", "literal": "from: literal\nboth: literal"},
                    {"target": "annotations", "literal": "note: \"{{ .user }}\""},
                ],
                "metadata": {"labels": {"both": "metadata"}},
            }),
        ),
    );
    object["metadata"]["labels"] = json!({"of-the-object": "x"});
    scene.create(object).await?;
    scene.ready("db").await?;
    let labels = || async {
        let secret = scene.get("Secret", "db").await?.expect("a Secret");
        Ok::<_, Failure>(secret["metadata"]["labels"].clone())
    };
    let found = labels().await?;
    assert_eq!((&found["from"], &found["both"]), (&json!("literal"), &json!("metadata")));
    assert_eq!(found["of-the-object"], Value::Null);
    // Those of others stay, whatever the template does.
    let change = json!({"metadata": {"labels": {"of-others": "kept"}}});
    scene.patch("Secret", "db", change).await?;

    let change = json!({"spec": {"target": {"template": {"templateFrom": null}}}});
    scene.patch("ExternalSecret", "db", change).await?;
    eventually(SOON, "the label is pruned", || async {
        let found = labels().await?;
        if found["from"].is_null() && found["both"] == "metadata" && found["of-others"] == "kept" {
            Ok(())
        } else {
            Err(Failure::new(format!("{found}")))
        }
    })
    .await
}

#[tokio::test]
async fn rendered_values_are_decoded_as_told() -> Result<()> {
    let scene = Scene::new("template-decode").await?;
    let from = json!({"templateFrom": [
        {"literal": "a: {{ .user | b64enc }}", "valuesDecodingStrategy": "Base64"},
        {"literal": "b: {{ .user | b64enc }}"},
    ]});
    scene.synced("db", templated(&scene, from)).await?;
    scene.data_is("db", json!({"a": "app", "b": "YXBw"})).await?;
    let wrong = json!({"templateFrom": [
        {"literal": "a: \"not base64\"", "valuesDecodingStrategy": "Base64"},
    ]});
    let change = json!({"spec": {"target": {"template": wrong}}});
    scene.patch("ExternalSecret", "db", change).await?;
    scene.fails("db", "(1 characters) is not Base64").await?;
    Ok(())
}

#[tokio::test]
async fn an_unchanged_template_is_not_written_again() -> Result<()> {
    let scene = Scene::new("template-steady").await?;
    let mut spec = templated(
        &scene,
        json!({
            "metadata": {"labels": {"user": "{{ .user }}"}},
            "data": {"a": "{{ .user }}"},
        }),
    );
    spec["refreshInterval"] = json!("1s");
    scene.synced("db", spec).await?;
    scene.settle().await?;
    let made = || scene.requests().iter().filter(|request| request.is_write()).count();
    let (before, reads) = (made(), scene.reads("db"));
    eventually(SOON, "three more refreshes", || async {
        let now = scene.reads("db");
        if now >= reads + 3 { Ok(()) } else { Err(Failure::new(format!("{now} reads"))) }
    })
    .await?;
    assert_eq!(made(), before);
    Ok(())
}

#[tokio::test]
async fn s5_a_key_that_a_template_made_is_said_by_place_and_length() -> Result<()> {
    let scene = Scene::new("made-keys").await?;
    scene.put("db", &value("x"));
    for (name, target, literal) in [
        ("data", "Data", "{{ printf \"!%s\" .value | toJson }}: x"),
        ("labels", "Labels", "{{ printf \"%s !!\" .value | toJson }}: x"),
        ("annotations", "Annotations", "{{ printf \"%s !!\" .value | toJson }}: x"),
    ] {
        let from = json!([{"target": target, "literal": literal}]);
        let mut object =
            scene.external(name, json!({"target": {"template": {"templateFrom": from}}}));
        object["spec"]["data"] = json!([scene.entry("value", "db")]);
        scene.create(object).await?;
        let message = scene.fails(name, "the key at position 1 in alphabetical order").await?;
        assert!(message.contains("characters"), "{message}");
    }
    // That no value is in any text is asserted when the scene ends.
    Ok(())
}

#[tokio::test]
async fn s5_a_key_of_a_remote_secret_is_not_repeated() -> Result<()> {
    let scene = Scene::new("read-keys").await?;
    let key = value("as a key");
    scene.put("db", &json!({"a": "1", key.as_str(): "2"}).to_string());
    let rewrite = json!([{"regexp": {"source": "a", "target": "@"}}]);
    let from = json!([{"extract": {"key": scene.remote("db")}, "rewrite": rewrite}]);
    let mut object = scene.external("db", json!({"dataFrom": from}));
    object["spec"]["data"] = json!([]);
    scene.create(object).await?;
    scene.fails("db", "is no valid Secret key").await?;
    Ok(())
}

/// 8 namespaces, each with 64 costly templates that are due every second, and one plain object beside them.
#[tokio::test]
async fn s7_costly_templates_of_few_do_not_stop_the_others() -> Result<()> {
    let env = Subsystem::Secrets.start(&[])?;
    let mut scenes = Vec::new();
    for nth in 0..8 {
        let scene = Scene::bare(&env, &format!("costly-{nth}")).await?;
        let fake = json!({"fake": {"data": [{"key": "a", "value": "b"}]}});
        scene
            .create(json!({"kind": "SecretStore", "metadata": {"name": "fake"},
            "spec": {"provider": fake}}))
            .await?;
        let template = json!({"data": {"key": "{{ genPrivateKey \"rsa\" }}"}});
        for nth in 0..64 {
            let mut object = scene.external(
                &format!("key-{nth}"),
                json!({
                "secretStoreRef": {"name": "fake"}, "refreshInterval": "1s",
                "target": {"template": template}}),
            );
            object["spec"]["data"] = json!([{"secretKey": "a", "remoteRef": {"key": "a"}}]);
            scene.create(object).await?;
        }
        scenes.push(scene);
    }
    let plain = Scene::within(&env, "plain").await?;
    for nth in 0..3 {
        let name = format!("plain-{nth}");
        plain.put(&name, &value("x"));
        let began = std::time::Instant::now();
        plain.synced(&name, json!({})).await?;
        let took = began.elapsed();
        assert!(took < std::time::Duration::from_secs(2), "it took {took:?}");
    }
    Ok(())
}
