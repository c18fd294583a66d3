//! Schemas of the kinds that a cluster serves beyond those of Kubernetes.

use std::sync::Arc;

use serde_json::Value;

use super::given::{Definitions, Document, completed};
use super::types::TYPES;
use crate::check::schema::Schema;
use crate::cluster::{ReadError, Reader, Target};

/// Versions of groups that are asked for.
const MOST: usize = 500;

/// Adds what the API server publishes of itself.
pub(super) fn read(target: &Target, definitions: &mut Definitions) -> Result<(), String> {
    // Without a provider TLS cannot begin. It fails only if there is one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let read = runtime.block_on(documents(target, definitions));
    read.map_err(|error| format!("--schema cluster: {error}"))
}

async fn documents(target: &Target, definitions: &mut Definitions) -> Result<(), ReadError> {
    let reader = Reader::connect(target).await?;
    let index = reader.get("/openapi/v3").await?;
    let paths = index["paths"].as_object().into_iter().flatten();
    let wanted = paths.filter(|(path, _)| is_foreign(path)).take(MOST);
    for (_, place) in wanted {
        let Some(url) = place["serverRelativeURL"].as_str() else { continue };
        let document: Document = Arc::new(reader.get(url).await?);
        add(&document, definitions);
    }
    Ok(())
}

/// `apis/example.com/v1`, and no group of Kubernetes, whose kinds are known.
fn is_foreign(path: &str) -> bool {
    let mut parts = path.split('/');
    let (Some("apis"), Some(group), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    !TYPES.kinds.keys().any(|key| key.split('/').next() == Some(group))
}

fn add(document: &Document, definitions: &mut Definitions) {
    let schemas = document.pointer("/components/schemas").and_then(Value::as_object);
    for schema in schemas.into_iter().flat_map(|schemas| schemas.values()) {
        let kinds = schema["x-kubernetes-group-version-kind"].as_array();
        let [kind] = kinds.map(Vec::as_slice).unwrap_or_default() else { continue };
        let text = |key: &str| kind[key].as_str().unwrap_or_default();
        let schema = Schema::within(completed(schema.clone()), Arc::clone(document));
        definitions.put(text("group"), text("version"), text("kind"), schema);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_kubernetes_are_not_asked_for() {
        assert!(is_foreign("apis/cert-manager.io/v1"));
        for path in ["api/v1", "apis/apps/v1", "apis/cert-manager.io", "version", "apis/batch/v1"] {
            assert!(!is_foreign(path), "{path}");
        }
    }
}
