//! A template, and in the last line a value that it may use.

use gotemplate::Delimiters;
use gotemplate::Entries;
use gotemplate::Environment;
use gotemplate::Failure;
use gotemplate::KeyKind;
use gotemplate::Limits;
use gotemplate::Map;
use gotemplate::Template;
use gotemplate::Text;
use gotemplate::Type;
use gotemplate::Value;
use jiff::Timestamp;
use zeroize::Zeroizing;

pub fn run(input: &[u8]) {
    let at = input.iter().rposition(|byte| *byte == b'\n').unwrap_or(input.len());
    let (text, value) = (&input[..at], input.get(at + 1..).unwrap_or_default());
    let Ok(template) = Template::parse("fuzz", text, &Delimiters::default()) else { return };
    let entries: Entries = ["a", "j", "user", "value"]
        .into_iter()
        .map(|key| (Text::from(key), Value::String(Text::new(value.to_vec()))))
        .collect();
    let dot = Value::Map(Map::new(&Type::String, entries));
    // Hashing a password takes longer here than all the rest, and shows nothing new.
    let limits = Limits { slow: 0, ..Limits::default() };
    if let Ok(out) = template.render(dot, &mut Counter(1), &limits) {
        assert!(out.len() <= limits.output);
    }
}

struct Counter(u8);

impl Environment for Counter {
    fn now(&mut self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        for byte in buffer {
            self.0 = self.0.wrapping_mul(31).wrapping_add(7);
            *byte = self.0;
        }
        Ok(())
    }

    fn private_key(&mut self, _: KeyKind) -> Result<Zeroizing<Vec<u8>>, Failure> {
        Err(Failure::function("no keys here"))
    }
}
