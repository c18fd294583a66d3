//! One error for everything that can go wrong around a test: a text for whoever reads the output.

use std::error::Error;
use std::fmt;

/// The result of everything in this library.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why something could not be done. It is made from any error, with the causes of that error, and is
/// not one itself, so that `?` works on all others.
pub struct Failure(String);

impl Failure {
    /// A failure that says `why`.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// As the text is: the test harness prints what a test returns in this form.
impl fmt::Debug for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let next = error.to_string();
            // Many errors already quote their cause.
            if !text.contains(&next) {
                text = format!("{text}: {next}");
            }
            cause = error.source();
        }
        Self(text)
    }
}

/// Says what was being done when an error came.
pub trait Context<T> {
    /// Puts `doing` in front of the error.
    fn context(self, doing: impl fmt::Display) -> Result<T>;
}

impl<T, E: Into<Failure>> Context<T> for Result<T, E> {
    fn context(self, doing: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Failure(format!("{doing}: {}", error.into())))
    }
}
