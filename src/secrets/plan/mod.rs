//! Pure decisions of the secrets half.
