//! Output into a pipe whose reader may have seen enough.

use std::io::{self, ErrorKind, Write};

/// Writes until nobody reads any more, and then nothing: `gabion check | head` is no failure, and its exit code says
/// what was found.
pub struct UntilClosed<W>(Option<W>);

impl<W: Write> UntilClosed<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self(Some(out))
    }

    fn attempt<T: Default>(&mut self, act: impl FnOnce(&mut W) -> io::Result<T>) -> io::Result<T> {
        let Some(out) = &mut self.0 else { return Ok(T::default()) };
        match act(out) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.0 = None;
                Ok(T::default())
            }
            other => other,
        }
    }
}

impl<W: Write> Write for UntilClosed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(|out| out.write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt(W::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_left_is_no_failure_and_a_full_disk_is() {
        let mut left = UntilClosed::new(Failing(ErrorKind::BrokenPipe));
        left.write_all(b"one").unwrap();
        left.write_all(b"two").unwrap();
        left.flush().unwrap();
        let mut full = UntilClosed::new(Failing(ErrorKind::StorageFull));
        assert!(full.write_all(b"one").is_err());
    }
}
