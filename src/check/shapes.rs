//! Pods in objects of kinds that other programs bring, found by their shape: an Argo Rollout, a Knative Service, a
//! scheduled job of an operator.

use serde_json::Value;

use super::object::Object;
use crate::policy::FieldPath;
use crate::policy::Segment;
use crate::policy::Subject;
use crate::policy::WorkloadKind;

/// Values within values that are searched.
const DEEPEST: usize = 12;
/// Values of one object that are searched.
const MOST_VALUES: usize = 20_000;
/// Templates of one object that are evaluated.
const MOST: usize = 50;

/// What is found in an object.
#[derive(Debug, Default)]
pub(crate) struct Shapes<'v> {
    /// Whatever holds a spec with a list of containers.
    pub(crate) templates: Vec<Subject<'v>>,
    /// Where a container stands that no such spec holds.
    pub(crate) unread: Option<FieldPath>,
    seen: usize,
}

impl<'v> Shapes<'v> {
    /// The pod templates of an object.
    pub(crate) fn of(object: &Object<'v>) -> Self {
        let mut found = Self::default();
        let root = FieldPath::default();
        if is_pod(&object.value["spec"]) {
            found.push(object.value, root);
            return found;
        }
        for (key, value) in object.value.as_object().into_iter().flatten() {
            if !matches!(key.as_str(), "metadata" | "status") {
                found.search(value, &root.key(key), 0);
            }
        }
        found
    }

    fn push(&mut self, holder: &'v Value, at: FieldPath) {
        const NOTHING: &Value = &Value::Null;
        if self.templates.len() < MOST {
            let metadata = holder.get("metadata").unwrap_or(NOTHING);
            let spec = holder.get("spec").unwrap_or(NOTHING);
            self.templates.push(Subject { kind: WorkloadKind::PodTemplate, at, metadata, spec });
        }
    }

    fn search(&mut self, value: &'v Value, at: &FieldPath, depth: usize) {
        self.seen += 1;
        if depth > DEEPEST || self.seen > MOST_VALUES {
            return;
        }
        match value {
            Value::Object(fields) if is_pod(&value["spec"]) => {
                self.push(value, at.clone());
                for (key, value) in fields.iter().filter(|(key, _)| *key != "spec") {
                    self.search(value, &at.key(key), depth + 1);
                }
            }
            Value::Object(fields) => {
                if self.unread.is_none() && is_container(value, at) {
                    self.unread = Some(at.clone());
                }
                for (key, value) in fields {
                    self.search(value, &at.key(key), depth + 1);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.search(item, &at.index(index), depth + 1);
                }
            }
            _ => {}
        }
    }
}

/// A spec with containers, each with an image.
fn is_pod(spec: &Value) -> bool {
    let containers = spec["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
    !containers.is_empty() && containers.iter().all(|container| container["image"].is_string())
}

/// Fields that a container has and few other things.
fn is_container(value: &Value, at: &FieldPath) -> bool {
    const FIELDS: [&str; 7] =
        ["command", "args", "env", "envFrom", "volumeMounts", "securityContext", "resources"];
    let named = at.0.iter().rev().find_map(|segment| match segment {
        Segment::Key(key) => Some(key.to_lowercase()),
        Segment::Index(_) => None,
    });
    let named = named.is_some_and(|key| key.contains("container") || key.contains("sidecar"));
    let like = FIELDS.iter().any(|field| !value[*field].is_null());
    value["image"].is_string() && (named || like)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::check::object::objects;

    fn found(mut object: Value) -> (Vec<String>, Option<String>) {
        object["apiVersion"] = "example.com/v1".into();
        object["kind"] = "Thing".into();
        let objects = objects(&object);
        let shapes = Shapes::of(&objects[0]);
        let paths = shapes.templates.iter().map(|subject| subject.at.to_string()).collect();
        (paths, shapes.unread.map(|at| at.to_string()))
    }

    #[test]
    fn pods_are_found_wherever_they_are() {
        let pod =
            json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"image": "a:1"}]}});
        for (object, paths) in [
            (json!({"spec": {"template": pod}}), vec!["spec.template"]),
            (
                json!({"spec": {"jobs": [{"jobTemplate": {"spec": {"template": pod}}}, {"jobTemplate": {"spec": {"template": pod}}}]}}),
                vec![
                    "spec.jobs[0].jobTemplate.spec.template",
                    "spec.jobs[1].jobTemplate.spec.template",
                ],
            ),
            (json!({"metadata": {}, "spec": {"containers": [{"image": "a"}]}}), vec![""]),
            (json!({"spec": {"containers": "x"}}), vec![]),
            (json!({"spec": {"template": {"spec": {"containers": [{"name": "a"}]}}}}), vec![]),
            (json!({"status": {"template": pod}}), vec![]),
        ] {
            assert_eq!(
                found(object.clone()),
                (paths.iter().map(ToString::to_string).collect(), None),
                "{object}"
            );
        }
    }

    #[test]
    fn containers_elsewhere_are_named() {
        for (object, at) in [
            (
                json!({"spec": {"podSpec": {"containers": [{"name": "a", "image": "b"}]}}}),
                "spec.podSpec.containers[0]",
            ),
            (
                json!({"spec": {"templates": [{"container": {"image": "a"}}]}}),
                "spec.templates[0].container",
            ),
            (json!({"spec": {"steps": [{"image": "a", "command": ["x"]}]}}), "spec.steps[0]"),
        ] {
            assert_eq!(found(object), (vec![], Some(at.to_owned())));
        }
        for none in
            [json!({"spec": {"image": "a:1"}}), json!({"spec": {"image": {"repository": "x"}}})]
        {
            assert_eq!(found(none), (vec![], None));
        }
    }

    #[test]
    fn a_large_object_takes_no_longer_than_it_must() {
        let wide: Vec<_> = (0..200_000).map(|_| json!({"spec": {}})).collect();
        let deep = (0..90).fold(json!({}), |inner, _| json!([inner]));
        assert_eq!(found(json!({"spec": {"wide": wide, "deep": deep}})), (vec![], None));
        let pod = json!({"spec": {"containers": [{"image": "a"}]}});
        let many: Vec<_> = (0..1000).map(|_| pod.clone()).collect();
        assert_eq!(found(json!({ "spec": many })).0.len(), MOST);
    }
}
