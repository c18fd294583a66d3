//! Messages of the Language Server Protocol on a stream: a header with a length, and JSON.
//!
//! Bounded, for an editor hands on whatever file somebody opens: a message that is too long is read past and not kept.

use std::io::{self, BufRead, Read as _, Write};

use serde_json::Value;

/// Longest message that is kept, in bytes: a file of the largest size with every character escaped.
const LONGEST: u64 = 32 * 1024 * 1024;

/// Longest message that is read past.
const FARTHEST: u64 = 1024 * 1024 * 1024;

/// Longest line of a header, and most lines of it.
const LINE: u64 = 1024;
const LINES: usize = 16;

/// What comes in.
#[derive(Debug, PartialEq)]
pub(super) enum Incoming {
    /// A message.
    Message(Value),
    /// Something that is no message, or too long for one.
    Unreadable(&'static str),
    /// The other side has gone.
    End,
}

/// Reads the next message.
pub(super) fn read(input: &mut dyn BufRead) -> io::Result<Incoming> {
    let Some(length) = header(input)? else { return Ok(Incoming::End) };
    if length > LONGEST {
        if length > FARTHEST {
            return Err(io::Error::other("a message of more than 1 GiB is announced"));
        }
        io::copy(&mut (&mut *input).take(length), &mut io::sink())?;
        return Ok(Incoming::Unreadable("the message is longer than 32 MiB"));
    }
    let mut bytes = Vec::new();
    if (&mut *input).take(length).read_to_end(&mut bytes)? as u64 != length {
        return Ok(Incoming::End);
    }
    Ok(match serde_json::from_slice(&bytes) {
        Ok(message) => Incoming::Message(message),
        Err(_) => Incoming::Unreadable("the message is not JSON"),
    })
}

/// The length that a header announces; nothing at the end of the stream.
fn header(input: &mut dyn BufRead) -> io::Result<Option<u64>> {
    let mut length = None;
    for number in 0..LINES {
        let mut line = Vec::new();
        let read = (&mut *input).take(LINE).read_until(b'\n', &mut line)?;
        if read == 0 && number == 0 {
            return Ok(None);
        }
        if !line.ends_with(b"\n") {
            return Err(io::Error::other("a header of a message is cut off or too long"));
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end();
        if line.is_empty() {
            return length
                .map(Some)
                .ok_or_else(|| io::Error::other("a message has no Content-Length"));
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("Content-Length")
        {
            length = value.trim().parse().ok();
        }
    }
    Err(io::Error::other("a header of a message has too many lines"))
}

/// Writes a message.
pub(super) fn write(output: &mut dyn Write, message: &Value) -> io::Result<()> {
    let text = message.to_string();
    write!(output, "Content-Length: {}\r\n\r\n{text}", text.len())?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<Result<Incoming, String>> {
        let mut input = bytes;
        let mut found = Vec::new();
        loop {
            let next = read(&mut input).map_err(|error| error.to_string());
            let over = matches!(next, Ok(Incoming::End) | Err(_));
            found.push(next);
            if over {
                return found;
            }
        }
    }

    #[test]
    fn messages_are_read_one_after_the_other() {
        let text = b"Content-Length: 2\r\n\r\n{}content-length:4\r\nContent-Type: x\r\n\r\nnull";
        let wanted = [serde_json::json!({}), Value::Null].map(|value| Ok(Incoming::Message(value)));
        assert_eq!(all(text), [wanted.to_vec(), vec![Ok(Incoming::End)]].concat());
    }

    #[test]
    fn what_is_no_message_is_bounded() {
        assert!(matches!(all(b"Content-Length: 3\r\n\r\n{a}")[0], Ok(Incoming::Unreadable(_))));
        assert_eq!(all(b"Content-Length: 9\r\n\r\n{}"), [Ok(Incoming::End)]);
        assert!(all(b"Content-Length: x\r\n\r\n{}")[0].is_err());
        assert!(all(b"\r\n")[0].is_err());
        assert!(all(&vec![b'x'; 1 << 20])[0].is_err());
        assert!(all(&b"a: b\r\n".repeat(100))[0].is_err());
        assert!(all(b"Content-Length: 99999999999999\r\n\r\n")[0].is_err());
        let mut long = format!("Content-Length: {}\r\n\r\n", LONGEST + 1).into_bytes();
        long.resize(long.len() + usize::try_from(LONGEST).unwrap() + 1, b' ');
        long.extend(b"Content-Length: 2\r\n\r\n{}");
        let read = all(&long);
        assert!(matches!(read[0], Ok(Incoming::Unreadable(_))));
        assert_eq!(read[1], Ok(Incoming::Message(serde_json::json!({}))), "the next one is read");
    }

    impl Clone for Incoming {
        fn clone(&self) -> Self {
            match self {
                Self::Message(value) => Self::Message(value.clone()),
                Self::Unreadable(why) => Self::Unreadable(why),
                Self::End => Self::End,
            }
        }
    }
}
