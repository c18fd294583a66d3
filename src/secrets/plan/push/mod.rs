//! What a `PushSecret` pushes where. Pure: [`entries`] and [`data_to`] say what is asked for, [`value`] what it is worth, [`decide`]
//! what has to be done about one remote secret, [`claims`] whose it is, [`pace`] how often, [`report`] what the status
//! says.

pub(crate) mod claims;
pub(crate) mod data_to;
pub(crate) mod decide;
pub(crate) mod entries;
pub(crate) mod error;
pub(crate) mod json;
pub(crate) mod pace;
pub(crate) mod report;
pub(crate) mod settings;
pub(crate) mod value;

pub(crate) use error::PushError;

#[cfg(test)]
mod tests;
