//! The pods of a namespace: what they use, and which of them could not be made again.
//!
//! Kubernetes evaluates LimitRange and quota when a pod is created. A pod that runs shows nothing of it, until its
//! controller makes it again and is refused. So what the API server would do is computed here: it fills in what a
//! container leaves out, and then compares.

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};

use super::amounts::read;
use super::baseline::Amounts;
use super::error::Error;
use super::merge::{Limits, Merged};
use super::objects::shortened;
use super::resources::{UserLimit, UserLimits, defaulted_limits, defaulted_requests, demanded};
use crate::quantity::Quantity;
use crate::text;

/// Kinds of pods, by their amounts, that are kept of one namespace.
const MOST_SHAPES: usize = 32;
/// Containers of a pod beyond which it is not kept.
const MOST_CONTAINERS: usize = 32;
/// Longest text about them.
const LONGEST: usize = 1_500;
/// Pods that are named.
const MOST_NAMED: usize = 3;

/// What is kept of the pods of a namespace. Those that have ended count for nothing, as in the API server's own quota.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pods {
    /// What they use, by the names that a quota has for it.
    pub used: Amounts,
    /// What of that is used by pods that wait for their scheduling gates: they cost nothing, and count.
    gated: Amounts,
    /// One of those.
    gated_pod: Option<String>,
    /// Pods by their amounts.
    shapes: Vec<Shape>,
    /// Pods of which nothing more is known.
    others: i64,
}

/// Pods that state the same amounts.
#[derive(Clone, Debug, PartialEq)]
struct Shape {
    /// One of them.
    pod: String,
    count: i64,
    containers: Vec<Part>,
    /// What the pod states as a whole.
    whole: Stated,
    overhead: Amounts,
}

/// A container.
#[derive(Clone, Debug, PartialEq)]
struct Part {
    name: String,
    role: Role,
    stated: Stated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Main,
    Sidecar,
    Init,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Stated {
    requests: Amounts,
    limits: Amounts,
}

impl Stated {
    fn of(resources: Option<&ResourceRequirements>) -> Self {
        Self {
            requests: read(resources.and_then(|r| r.requests.as_ref())),
            limits: read(resources.and_then(|r| r.limits.as_ref())),
        }
    }

    fn amounts(&self, limits: bool) -> &Amounts {
        if limits { &self.limits } else { &self.requests }
    }
}

impl Pods {
    /// Pods of which nothing is known but what they use.
    pub fn using(used: Amounts) -> Self {
        Self { used, ..Self::default() }
    }

    /// Adds one pod.
    pub(crate) fn add(&mut self, pod: &Pod) {
        let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default();
        if phase == "Succeeded" || phase == "Failed" {
            return;
        }
        let name = shortened(pod.metadata.name.as_deref().unwrap_or_default());
        let mut used = Amounts::new();
        add(&mut used, "pods", Quantity::whole(1));
        add(&mut used, "count/pods", Quantity::whole(1));
        if let Some(spec) = &pod.spec {
            let shape = Shape::of(&name, spec);
            charge(&mut used, &shape.total(false), &shape.total(true));
            if spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty()) {
                add_all(&mut self.gated, &used);
                self.gated_pod.get_or_insert(name);
            }
            self.keep(shape);
        }
        add_all(&mut self.used, &used);
    }

    fn keep(&mut self, shape: Shape) {
        let same = |known: &&mut Shape| {
            (&known.containers, &known.whole, &known.overhead)
                == (&shape.containers, &shape.whole, &shape.overhead)
        };
        if let Some(known) = self.shapes.iter_mut().find(same) {
            known.count += 1;
        } else if self.shapes.len() < MOST_SHAPES && shape.containers.len() <= MOST_CONTAINERS {
            self.shapes.push(shape);
        } else {
            self.others += 1;
        }
    }

    /// Says so if more of a resource is used than `hard`.
    pub(crate) fn above(&self, name: &str, hard: Quantity) -> Option<String> {
        let used = self.used.get(name).filter(|used| **used > hard)?;
        let said = format!("{name} used={used} hard={hard}");
        Some(match (self.gated.get(name), &self.gated_pod) {
            (Some(gated), Some(pod)) => {
                format!("{said} ({gated} by pods with scheduling gates, such as {pod})")
            }
            _ => said,
        })
    }

    /// Which pods the API server would refuse if they were made again under these limits and quota.
    pub(crate) fn refused(
        &self,
        merged: &Merged,
        users: &[(String, UserLimits)],
    ) -> Option<String> {
        let bounds = Bounds::of(merged, users);
        let refused =
            |shape: &Shape| Some((shape.count, bounds.problem(shape)?, shape.pod.clone()));
        let refused: Vec<_> = self.shapes.iter().filter_map(refused).collect();
        let mut said: Vec<String> = Vec::new();
        if !refused.is_empty() {
            let (count, all) = (refused.iter().map(|(count, ..)| count).sum::<i64>(), self.count());
            let named = refused.iter().take(MOST_NAMED);
            let named: Vec<_> = named.map(|(_, why, pod)| format!("{pod}: {why}")).collect();
            said.push(format!("{count} of {all} pods; {}", named.join("; ")));
        }
        said.extend(self.too_many(merged, &bounds));
        (!said.is_empty()).then(|| text::shortened(&said.join("; "), LONGEST))
    }

    fn count(&self) -> i64 {
        self.others + self.shapes.iter().map(|shape| shape.count).sum::<i64>()
    }

    /// Whether the quota has no room for all of them, once what they leave out is filled in.
    fn too_many(&self, merged: &Merged, bounds: &Bounds<'_>) -> Option<String> {
        if self.others > 0 {
            return None; // what the others come to is not known
        }
        let mut all = Amounts::new();
        for shape in &self.shapes {
            let filled = bounds.filled(shape);
            let mut used = Amounts::new();
            charge(&mut used, &filled.total(false), &filled.total(true));
            for (name, amount) in used {
                add(&mut all, &name, amount.times(shape.count));
            }
        }
        let over = merged.quota.iter().filter_map(|(name, hard)| {
            let is_held = self.used.get(name).is_some_and(|used| used > hard);
            let then = all.get(name).filter(|then| *then > hard && !is_held)?;
            Some(format!("{name} would be {then}, and the quota allows {hard}"))
        });
        let over: Vec<_> = over.collect();
        (!over.is_empty()).then(|| {
            format!("all of them together, with the defaults filled in: {}", over.join(", "))
        })
    }
}

/// What of the quota can be in force, and why the rest must wait: resources of which more is in use than it would
/// allow. Of those, what a quota in force says already stays. A resource whose use is not known does not wait.
pub(crate) fn allowed(
    hard: &Amounts,
    pods: &Pods,
    in_force: Option<&Amounts>,
) -> (Amounts, Option<Error>) {
    let (mut allowed, mut over) = (Amounts::new(), Vec::new());
    for (name, hard) in hard {
        let Some(why) = pods.above(name, *hard) else {
            allowed.insert(name.clone(), *hard);
            continue;
        };
        over.push(why);
        if let Some(now) = in_force.and_then(|in_force| in_force.get(name)) {
            allowed.insert(name.clone(), *now);
        }
    }
    (allowed, (!over.is_empty()).then(|| Error::QuotaBelowUsage(over.join(", "))))
}

/// What a pod with these totals adds to what a quota counts.
fn charge(used: &mut Amounts, requests: &Amounts, limits: &Amounts) {
    for (resource, amount) in limits {
        add(used, &format!("limits.{resource}"), *amount);
    }
    for (resource, amount) in requests {
        add(used, &format!("requests.{resource}"), *amount);
        if ["cpu", "memory", "ephemeral-storage"].contains(&resource.as_str()) {
            add(used, resource, *amount);
        }
    }
}

impl Shape {
    fn of(pod: &str, spec: &PodSpec) -> Self {
        let part = |container: &Container, role| Part {
            name: shortened(&container.name),
            role,
            stated: Stated::of(container.resources.as_ref()),
        };
        let inits = spec.init_containers.iter().flatten().map(|container| {
            let stays = container.restart_policy.as_deref() == Some("Always");
            part(container, if stays { Role::Sidecar } else { Role::Init })
        });
        let mains = spec.containers.iter().map(|container| part(container, Role::Main));
        Self {
            pod: pod.to_owned(),
            count: 1,
            containers: inits.chain(mains).collect(),
            whole: Stated::of(spec.resources.as_ref()),
            overhead: read(spec.overhead.as_ref()),
        }
    }

    /// What the pod counts for: its containers and sidecars together, or its largest init container with the
    /// sidecars started before it, whichever is more; what it states as a whole stands for that. Plus its overhead.
    fn total(&self, limits: bool) -> Amounts {
        let mut total = self.sum(limits);
        total.extend(self.whole.amounts(limits).clone());
        for (name, amount) in &self.overhead {
            if !limits || total.contains_key(name) {
                add(&mut total, name, *amount);
            }
        }
        total
    }

    /// The same of its containers alone.
    fn sum(&self, limits: bool) -> Amounts {
        let (mut running, mut starting) = (Amounts::new(), Amounts::new());
        for part in &self.containers {
            let own = part.stated.amounts(limits);
            match part.role {
                Role::Main => add_all(&mut running, own),
                Role::Sidecar => {
                    add_all(&mut running, own);
                    raise(&mut starting, &running);
                }
                Role::Init => {
                    let mut together = running.clone();
                    add_all(&mut together, own);
                    raise(&mut starting, &together);
                }
            }
        }
        raise(&mut running, &starting);
        running
    }
}

/// What the API server fills in and compares.
struct Bounds<'a> {
    limits: Amounts,
    requests: Amounts,
    max: Amounts,
    quota: &'a Amounts,
    users: Vec<(&'a str, &'a UserLimit)>,
}

impl<'a> Bounds<'a> {
    fn of(merged: &'a Merged, users: &'a [(String, UserLimits)]) -> Self {
        let nothing = Limits::default();
        let ours = merged.limits.as_ref().unwrap_or(&nothing);
        let users: Vec<_> = users
            .iter()
            .flat_map(|(name, all)| all.0.iter().map(|item| (name.as_str(), item)))
            .collect();
        let mut bounds = Self {
            limits: defaulted_limits(ours),
            requests: defaulted_requests(ours),
            max: ours.max.clone(),
            quota: &merged.quota,
            users,
        };
        // What ours leaves out, theirs fill in.
        for (_, item) in &bounds.users {
            fill(&mut bounds.limits, &item.default);
            fill(&mut bounds.requests, &item.default_request);
        }
        bounds
    }

    /// A pod as it would be created: the API server takes a stated limit for a request that is missing, then come
    /// the defaults.
    fn filled(&self, shape: &Shape) -> Shape {
        let mut filled = shape.clone();
        for part in &mut filled.containers {
            let Stated { requests, limits } = &mut part.stated;
            fill(requests, limits);
            fill(limits, &self.limits);
            fill(requests, &self.requests);
        }
        filled
    }

    /// Why a pod would be refused.
    fn problem(&self, shape: &Shape) -> Option<String> {
        let filled = self.filled(shape);
        let mut parts = shape.containers.iter().zip(&filled.containers);
        let of_part = parts.find_map(|(before, after)| {
            let why = self.of_container(&before.stated, &after.stated, &shape.whole)?;
            Some(format!("container {} {why}", after.name))
        });
        of_part.or_else(|| self.of_pod(&filled))
    }

    fn of_container(&self, before: &Stated, after: &Stated, whole: &Stated) -> Option<String> {
        let over = after.requests.iter().find_map(|(name, request)| {
            let limit = after.limits.get(name).filter(|limit| request > limit)?;
            let whose = if before.limits.contains_key(name) { "its" } else { "the default" };
            Some(format!("requests {request} of {name}, and {whose} limit is {limit}"))
        });
        let ours = || above_max(after, &self.max, "the most that one container may have");
        let theirs = || {
            let mut users = self.users.iter().filter(|(_, item)| !item.of_pods);
            users.find_map(|(name, item)| {
                let said = format!("the maximum of LimitRange/{name}");
                above_max(after, &item.max, &said).or_else(|| below_min(after, &item.min, name))
            })
        };
        let missing = || {
            let mut names = self.quota.keys();
            names.find_map(|name| {
                let (limits, resource) = demanded(name)?;
                let is_stated = after.amounts(limits).contains_key(resource)
                    || whole.amounts(limits).contains_key(resource);
                (!is_stated).then(|| format!("states no {name}, which the quota demands"))
            })
        };
        over.or_else(ours).or_else(theirs).or_else(missing)
    }

    fn of_pod(&self, filled: &Shape) -> Option<String> {
        let requested = filled.sum(false);
        let more = filled.whole.requests.iter().find_map(|(name, whole)| {
            let sum = requested.get(name).filter(|sum| *sum > whole)?;
            Some(format!(
                "its containers request {sum} of {name} with the defaults, and the pod {whole}"
            ))
        });
        let larger = || {
            filled.containers.iter().find_map(|part| {
                part.stated.limits.iter().find_map(|(name, own)| {
                    let whole = filled.whole.limits.get(name).filter(|whole| own > *whole)?;
                    let of = &part.name;
                    Some(format!(
                        "container {of} has a limit of {own} of {name}, and the pod {whole}"
                    ))
                })
            })
        };
        let theirs = || {
            let total = Stated { requests: filled.total(false), limits: filled.total(true) };
            let mut users = self.users.iter().filter(|(_, item)| item.of_pods);
            users.find_map(|(name, item)| {
                let said = format!("the maximum of LimitRange/{name} for a pod");
                above_max(&total, &item.max, &said).or_else(|| below_min(&total, &item.min, name))
            })
        };
        more.or_else(larger).or_else(theirs)
    }
}

fn above_max(stated: &Stated, max: &Amounts, what: &str) -> Option<String> {
    max.iter().find_map(|(name, most)| {
        let of = |amounts: &Amounts| amounts.get(name).copied().filter(|amount| amount > most);
        let amount = of(&stated.limits).or_else(|| of(&stated.requests))?;
        Some(format!("has {amount} of {name}, and {what} is {most}"))
    })
}

fn below_min(stated: &Stated, min: &Amounts, whose: &str) -> Option<String> {
    min.iter().find_map(|(name, least)| {
        let of = |amounts: &Amounts| amounts.get(name).copied().filter(|amount| amount < least);
        let amount = of(&stated.requests).or_else(|| of(&stated.limits))?;
        Some(format!("has {amount} of {name}, and the minimum of LimitRange/{whose} is {least}"))
    })
}

/// Adds what is missing.
fn fill(amounts: &mut Amounts, given: &Amounts) {
    for (name, amount) in given {
        amounts.entry(name.clone()).or_insert(*amount);
    }
}

fn add(used: &mut Amounts, name: &str, amount: Quantity) {
    let sum = used.get(name).copied().unwrap_or(Quantity::ZERO).plus(amount);
    used.insert(name.to_owned(), sum);
}

fn add_all(used: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        add(used, name, *amount);
    }
}

fn raise(amounts: &mut Amounts, least: &Amounts) {
    for (name, amount) in least {
        let entry = amounts.entry(name.clone()).or_insert(*amount);
        *entry = (*entry).max(*amount);
    }
}
