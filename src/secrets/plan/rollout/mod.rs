//! Rolling the workloads that use a Secret when its data changes.
//!
//! Everything is decided from objects of the cluster: a number on the Secret that grows with its data, the same number
//! in the pod template of each workload that rolled for it, and the number that is done, in the status. A restart
//! between any two requests loses nothing and repeats nothing.

pub(crate) mod ask;
pub(crate) mod report;
pub(crate) mod revision;
#[cfg(test)]
mod tests;
pub(crate) mod wave;
pub(crate) mod workload;
