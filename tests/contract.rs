//! What users apply: the definitions in `crds/`, their rules, and objects as they are written in the wild.

mod contract {
    mod definitions;
    mod objects;
    mod rules;
}
