//! The custom resources: types, their schemas and nothing else.
