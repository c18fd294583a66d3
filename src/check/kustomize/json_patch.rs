//! JSON patches (RFC 6902) on an object.

use super::{
    super::yaml::{Content, Node},
    tree,
};

/// Applies the operations of a patch, in order. The error says which one cannot be done.
pub(super) fn apply(object: &mut Node, patch: &Node) -> Result<(), String> {
    for (number, operation) in patch.items().iter().enumerate() {
        one(object, operation).map_err(|problem| format!("operation {number}: {problem}"))?;
    }
    Ok(())
}

fn one(object: &mut Node, operation: &Node) -> Result<(), String> {
    let text = |key: &str| operation.get(key).and_then(Node::as_str).unwrap_or_default();
    let path = pointer(text("path"))?;
    let value = || operation.get("value").cloned().ok_or("it has no value".to_owned());
    match text("op") {
        "add" => add(object, &path, value()?, false),
        "replace" => add(object, &path, value()?, true),
        "remove" => take(object, &path).map(drop),
        "move" => {
            let moved = take(object, &pointer(text("from"))?)?;
            add(object, &path, moved, false)
        }
        "copy" => {
            let copied = find(object, &pointer(text("from"))?)?.clone();
            add(object, &path, copied, false)
        }
        "test" => {
            let same = find(object, &path)?.to_value() == value()?.to_value();
            if same { Ok(()) } else { Err(format!("{} is another value", text("path"))) }
        }
        other => Err(format!("{other:?} is no operation")),
    }
}

fn pointer(text: &str) -> Result<Vec<String>, String> {
    let steps = text.strip_prefix('/').ok_or(format!("{text:?} is no path: it begins with /"))?;
    Ok(steps.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect())
}

fn missing(step: &str) -> String {
    format!("there is nothing at {step:?}")
}

fn find<'n>(node: &'n mut Node, path: &[String]) -> Result<&'n mut Node, String> {
    path.iter().try_fold(node, |node, step| {
        if matches!(node.content, Content::Sequence(_)) {
            let index = step.parse::<usize>().map_err(|_| missing(step))?;
            tree::items_mut(node).get_mut(index).ok_or(missing(step))
        } else {
            tree::get_mut(node, step).ok_or(missing(step))
        }
    })
}

/// The holder of what a path names, and its last step.
fn holder<'n, 'p>(
    object: &'n mut Node,
    path: &'p [String],
) -> Result<(&'n mut Node, &'p str), String> {
    let (last, before) = path.split_last().ok_or("it names no field")?;
    Ok((find(object, before)?, last))
}

fn add(object: &mut Node, path: &[String], value: Node, replaces: bool) -> Result<(), String> {
    let (holder, last) = holder(object, path)?;
    if let Content::Sequence(items) = &mut holder.content {
        let index = if last == "-" && !replaces {
            items.len()
        } else {
            last.parse().map_err(|_| missing(last))?
        };
        if replaces {
            *items.get_mut(index).ok_or(missing(last))? = value;
        } else if index <= items.len() {
            items.insert(index, value);
        } else {
            return Err(missing(last));
        }
        return Ok(());
    }
    if replaces && holder.get(last).is_none() {
        return Err(missing(last));
    }
    if !matches!(holder.content, Content::Mapping(_)) {
        return Err(missing(last));
    }
    let at = value.span.clone();
    tree::set(holder, last, &at, value);
    Ok(())
}

fn take(object: &mut Node, path: &[String]) -> Result<Node, String> {
    let (holder, last) = holder(object, path)?;
    if let Content::Sequence(items) = &mut holder.content {
        let index = last.parse::<usize>().ok().filter(|index| *index < items.len());
        return Ok(items.remove(index.ok_or(missing(last))?));
    }
    tree::remove(holder, last).ok_or(missing(last))
}
