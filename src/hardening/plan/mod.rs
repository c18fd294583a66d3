//! Pure decisions of the hardening half.
