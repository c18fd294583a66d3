//! `time.Time` of Go.

use std::rc::Rc;

use jiff::Zoned;

/// A time with its zone.
///
/// Layouts (`Format`, `Parse`) are beside sprig's date functions: `functions::sprig::layout`.
#[derive(Clone)]
pub struct Time {
    /// The instant and the zone's rules.
    pub zoned: Zoned,
    /// The zone's abbreviation where the rules have none: Go keeps the one it parsed, and the empty one of a
    /// fixed offset.
    pub abbreviation: Option<Rc<str>>,
}
