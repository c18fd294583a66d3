//! The bounds of one rendering and what is left of them.

use std::{cell::RefCell, rc::Rc};

use super::{
    buffer::Buffer,
    environment::Environment,
    error::Failure,
    value::{Entries, List, Map, Text, Type, Value},
};

/// The bounds of one rendering. With the default, ordinary work takes about 50 ms of one core and 8 MiB, and slow
/// operations up to 1.2 seconds more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Evaluation steps: one per node of the template, and one per element or 32 bytes a function works on.
    pub steps: u64,
    /// Bytes that values made by the template take, in all, freed ones too.
    pub bytes: usize,
    /// Bytes of output.
    pub output: usize,
    /// Templates that call one another, and values inside values, while they are printed or compared.
    pub depth: usize,
    /// Bytes of a compiled regular expression.
    pub regex: usize,
    /// Slow operations: keys that are made, passwords that are hashed, key derivations. Each stands for some 60 ms
    /// of one core, because that is what a single honest one takes; they come on top of the steps.
    pub slow: u32,
    /// Bits of an RSA key that is made.
    pub key_bits: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            steps: 250_000,
            bytes: 5 << 20,
            output: 1 << 20,
            depth: 100,
            regex: 512 << 10,
            slow: 20,
            key_bits: 4096,
        }
    }
}

/// What a function sees of the rendering that calls it: the bounds, and the environment with its time and randomness.
pub struct Context<'a> {
    /// Time, randomness, keys.
    pub(crate) environment: &'a mut dyn Environment,
    /// The bounds, as given.
    pub(crate) limits: &'a Limits,
    steps: u64,
    bytes: usize,
    depth: usize,
    slow: u32,
    /// Maps that were changed after they were made. They may hold themselves, so the end of a rendering empties
    /// them: a cycle would neither be freed nor wiped.
    changed: Vec<Rc<RefCell<Entries>>>,
}

impl<'a> Context<'a> {
    /// Everything is left.
    pub fn new(environment: &'a mut dyn Environment, limits: &'a Limits) -> Self {
        Self { environment, limits, steps: 0, bytes: 0, depth: 0, slow: 0, changed: Vec::new() }
    }

    /// Accounts for work: one step per element, or per 32 bytes, that a function looks at.
    pub(crate) fn step(&mut self, count: usize) -> Result<(), Failure> {
        self.steps = self.steps.saturating_add(count as u64);
        if self.steps > self.limits.steps {
            return Err(Failure::bound("evaluation steps", self.limits.steps));
        }
        Ok(())
    }

    /// Accounts for bytes before they are allocated. Call it with the size of a result *before* making it.
    pub(crate) fn allocate(&mut self, bytes: usize) -> Result<(), Failure> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.limits.bytes {
            return Err(Failure::bound("bytes of values", self.limits.bytes));
        }
        self.step(bytes / 32)
    }

    /// The shares of steps and bytes that are spent, and the slow operations.
    #[cfg(test)]
    #[expect(clippy::cast_precision_loss)] // shares need no more digits
    pub(crate) fn spent(&self) -> (f64, f64, u32) {
        let steps = self.steps as f64 / self.limits.steps as f64;
        (steps, self.bytes as f64 / self.limits.bytes as f64, self.slow)
    }

    /// A text to be written, with room for so many bytes, which are accounted for.
    pub(crate) fn buffer(&mut self, room: usize) -> Result<Buffer, Failure> {
        self.allocate(room + TEXT_OVERHEAD)?;
        Ok(Buffer::with_room(room))
    }

    /// Accounts for an operation that takes milliseconds: a key that is made, a password that is hashed.
    pub(crate) fn slow_operation(&mut self) -> Result<(), Failure> {
        self.slow_operations(1)
    }

    /// Accounts for one that takes as long as so many.
    pub(crate) fn slow_operations(&mut self, count: u64) -> Result<(), Failure> {
        self.slow = self.slow.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        if self.slow > self.limits.slow {
            return Err(Failure::bound(
                "slow operations such as keys and hashes",
                self.limits.slow,
            ));
        }
        Ok(())
    }

    /// Runs `inner` one level deeper: whatever walks nested values calls it per level.
    pub(crate) fn nested<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.enter()?;
        let result = inner(self);
        self.leave();
        result
    }

    pub(crate) fn enter(&mut self) -> Result<(), Failure> {
        if self.depth >= self.limits.depth {
            return Err(Failure::bound("nesting", self.limits.depth));
        }
        self.depth += 1;
        Ok(())
    }

    pub(crate) fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// A string of Go; accounts for its bytes.
    pub(crate) fn text(&mut self, bytes: impl Into<Vec<u8>>) -> Result<Value, Failure> {
        let text = Text::new(bytes.into());
        self.allocate(text.len() + TEXT_OVERHEAD)?;
        Ok(Value::String(text))
    }

    /// A `[]interface {}`; accounts for its elements' places.
    pub(crate) fn list(&mut self, items: Vec<Value>) -> Result<Value, Failure> {
        self.list_of(&Type::Any, items)
    }

    /// A slice of the element's type; accounts for its elements' places.
    pub(crate) fn list_of(
        &mut self,
        element: &'static Type,
        items: Vec<Value>,
    ) -> Result<Value, Failure> {
        self.allocate(items.len() * size_of::<Value>() + LIST_OVERHEAD)?;
        Ok(Value::List(List::new(element, items)))
    }

    /// A new `map[string]interface {}`; accounts for its entries' places.
    pub(crate) fn map(&mut self, entries: Entries) -> Result<Value, Failure> {
        self.map_of(&Type::Any, entries)
    }

    /// A new map from strings to the element's type; accounts for its entries' places.
    pub(crate) fn map_of(
        &mut self,
        element: &'static Type,
        entries: Entries,
    ) -> Result<Value, Failure> {
        self.allocate(entries.len() * size_of::<(Text, Value)>() + LIST_OVERHEAD)?;
        Ok(Value::Map(Map::new(element, entries)))
    }

    /// Puts an entry into a map that exists: everyone who holds the map sees it, as in Go.
    pub(crate) fn set(&mut self, map: &Map, key: Text, value: Value) -> Result<(), Failure> {
        let entries = map
            .entries
            .as_ref()
            .ok_or_else(|| Failure::function("assignment to entry in nil map"))?;
        self.allocate(GROWING_ENTRY)?;
        self.step(entries.borrow().after(&key) / MOVED_IN_A_STEP)?;
        if matches!(value, Value::Map(_) | Value::List(_)) {
            self.changed.push(Rc::clone(entries));
        }
        entries.borrow_mut().insert(key, value);
        Ok(())
    }

    /// Takes an entry out of a map that exists.
    pub(crate) fn unset(&mut self, map: &Map, key: &[u8]) -> Result<(), Failure> {
        self.step(1)?;
        if let Some(entries) = &map.entries {
            self.step(entries.borrow().after(key) / MOVED_IN_A_STEP)?;
            entries.borrow_mut().remove(key);
        }
        Ok(())
    }
}

impl Drop for Context<'_> {
    fn drop(&mut self) {
        for entries in self.changed.drain(..) {
            let emptied = std::mem::take(&mut *entries.borrow_mut());
            drop(emptied);
        }
    }
}

const TEXT_OVERHEAD: usize = 64;
const LIST_OVERHEAD: usize = 64;
/// An entry of a map that grows, with the places that growing leaves behind.
const GROWING_ENTRY: usize = 128;
/// Entries of a map that make way for another one in the time of a step.
const MOVED_IN_A_STEP: usize = 64;
