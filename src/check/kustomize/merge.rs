//! Strategic merge patches: mappings are merged, lists of things with names by their names, everything else replaced.

use super::{
    super::yaml::{Content, Entry, Node},
    tree,
};

/// What becomes of a value that a patch is merged into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Kept,
    /// `$patch: delete`.
    Deleted,
}

/// Merges a patch into an object. Lists of kinds whose schema is not known are replaced as a whole.
pub(super) fn merge(base: &mut Node, patch: &Node, known: bool) -> Result<Outcome, String> {
    value(base, patch, "", known)
}

/// The fields by which the items of a list are told apart.
fn keys(field: &str, known: bool) -> &'static [&'static str] {
    if !known {
        return &[];
    }
    match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "secrets"
        | "resourceClaims" => &["name"],
        "volumeMounts" => &["mountPath"],
        "volumeDevices" => &["devicePath"],
        "ports" => &["containerPort", "port"],
        "hostAliases" => &["ip"],
        "topologySpreadConstraints" => &["topologyKey"],
        _ => &[],
    }
}

fn value(base: &mut Node, patch: &Node, field: &str, known: bool) -> Result<Outcome, String> {
    match (&patch.content, &base.content) {
        (Content::Mapping(_), Content::Mapping(_)) => {}
        (Content::Sequence(items), Content::Sequence(_)) => {
            return list(base, items, keys(field, known), patch, known);
        }
        _ => {
            *base = plain(patch)?;
            return Ok(Outcome::Kept);
        }
    }
    match patch.get("$patch").map(Node::as_str) {
        Some(Some("delete")) => return Ok(Outcome::Deleted),
        Some(Some("replace")) => {
            *base = plain(patch)?;
            return Ok(Outcome::Kept);
        }
        None | Some(Some("merge")) => {}
        Some(_) => return Err("a value of $patch that is not known".to_owned()),
    }
    let Content::Mapping(entries) = &patch.content else { return Ok(Outcome::Kept) };
    for entry in entries {
        fields(base, entry, known)?;
    }
    Ok(Outcome::Kept)
}

fn fields(base: &mut Node, entry: &Entry, known: bool) -> Result<(), String> {
    let key = entry.key.as_str();
    if key == "$patch" || key.starts_with("$setElementOrder/") {
        return Ok(());
    }
    if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
        let gone: Vec<_> = entry.value.items().iter().map(Node::to_value).collect();
        if let Some(Node { content: Content::Sequence(items), .. }) = tree::get_mut(base, list) {
            items.retain(|item| !gone.contains(&item.to_value()));
        }
        return Ok(());
    }
    if key.starts_with('$') {
        return Err(format!("the directive {key}"));
    }
    if entry.value.is_null() {
        tree::remove(base, key);
        return Ok(());
    }
    match tree::get_mut(base, key).filter(|value| !value.is_null()) {
        Some(own) => {
            if value(own, &entry.value, key, known)? == Outcome::Deleted {
                tree::remove(base, key);
            } else if !matches!(entry.value.content, Content::Mapping(_) | Content::Sequence(_)) {
                point(base, entry);
            }
        }
        None if entry.value.get("$patch").and_then(Node::as_str) == Some("delete") => {}
        None => tree::set(base, key, &entry.key_span, plain(&entry.value)?),
    }
    Ok(())
}

/// A scalar that is replaced stands where its patch does.
fn point(base: &mut Node, entry: &Entry) {
    if let Content::Mapping(entries) = &mut base.content
        && let Some(own) = entries.iter_mut().find(|own| own.key == entry.key)
    {
        own.key_span = entry.key_span.clone();
    }
}

fn list(
    base: &mut Node,
    items: &[Node],
    keys: &[&str],
    patch: &Node,
    known: bool,
) -> Result<Outcome, String> {
    let replaces = |item: &Node| item.get("$patch").and_then(Node::as_str) == Some("replace");
    if keys.is_empty() || items.iter().any(replaces) {
        let mut new = plain(patch)?;
        if let Content::Sequence(new) = &mut new.content {
            new.retain(
                |item| !matches!(&item.content, Content::Mapping(entries) if entries.is_empty()),
            );
        }
        *base = new;
        return Ok(Outcome::Kept);
    }
    let Content::Sequence(own) = &mut base.content else { return Ok(Outcome::Kept) };
    // What the patch names comes first, in its order.
    let mut first = Vec::new();
    for item in items {
        match own.iter().position(|own| is_same(own, item, keys)) {
            Some(at) => {
                let mut merged = own.remove(at);
                if value(&mut merged, item, "", known)? == Outcome::Kept {
                    first.push(merged);
                }
            }
            None if item.get("$patch").and_then(Node::as_str) == Some("delete") => {}
            None => first.push(plain(item)?),
        }
    }
    first.append(own);
    *own = first;
    Ok(Outcome::Kept)
}

fn is_same(one: &Node, other: &Node, keys: &[&str]) -> bool {
    let protocol = |item: &Node| item.get("protocol").and_then(Node::as_str).map(ToOwned::to_owned);
    let key = keys.iter().find(|key| other.get(key).is_some());
    key.is_some_and(|key| {
        let same = |of: &Node| of.get(key).map(Node::to_value);
        // Both protocols of one port are two ports.
        let protocols = (
            protocol(one).unwrap_or("TCP".to_owned()),
            protocol(other).unwrap_or("TCP".to_owned()),
        );
        same(one) == same(other) && protocols.0 == protocols.1
    })
}

/// A patch where there is nothing to merge it into: without directives and without what is null.
fn plain(patch: &Node) -> Result<Node, String> {
    let content = match &patch.content {
        Content::Scalar(value) => Content::Scalar(value.clone()),
        Content::Sequence(items) => {
            Content::Sequence(items.iter().map(plain).collect::<Result<_, _>>()?)
        }
        Content::Mapping(entries) => {
            let mut kept = Vec::new();
            for entry in entries.iter().filter(|entry| !entry.value.is_null()) {
                if entry.key == "$patch" || entry.key.starts_with("$setElementOrder/") {
                    continue;
                }
                if entry.key.starts_with('$') {
                    return Err(format!("the directive {}", entry.key));
                }
                kept.push(Entry { value: plain(&entry.value)?, ..entry.clone() });
            }
            Content::Mapping(kept)
        }
    };
    Ok(Node { content, ..patch.clone() })
}
