//! The reader: events of the parser to documents of nodes.

use std::{collections::HashMap, ops::Range};

use granit_parser::{Event, Options, Parser, ScanError, Span, StructureStyle, options};

use super::{
    node::{Content, Entry, Node},
    scalar,
};

/// Values that one file may hold, aliases expanded: far above a file of 10 MB with honest content, far below
/// what an alias bomb would grow to.
pub(super) const MOST_VALUES: usize = 1_000_000;

/// Bytes of text that anchors and aliases may repeat: a few long texts under an alias make a bomb too.
pub(super) const MOST_REPEATED: usize = 64 * 1024 * 1024;

/// Collections within collections; Kubernetes itself goes no deeper than a few dozen.
pub(super) const DEEPEST: usize = 100;

/// One document of a file.
#[derive(Debug)]
pub(crate) struct Document {
    /// What it holds; nothing, if it is empty.
    pub(crate) root: Option<Node>,
    /// Its comments, in the order of the text.
    pub(crate) comments: Vec<Comment>,
}

/// A comment.
#[derive(Debug)]
pub(crate) struct Comment {
    /// Its text after the mark.
    pub(crate) text: String,
    /// Where it starts.
    pub(crate) at: usize,
}

/// Why a document cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The byte at which it shows.
    pub(crate) at: usize,
    /// What is wrong and what to do.
    pub(crate) message: String,
    /// Of something that is there twice: where it was first.
    pub(crate) first: Option<usize>,
}

impl Fault {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), first: None }
    }
}

/// The documents of a text, each by itself: one that cannot be read does not hide the next.
pub(super) fn documents(text: &str) -> Vec<Result<Document, Fault>> {
    let mut reader = Reader::new(text);
    let mut documents = Vec::new();
    loop {
        match reader.document() {
            Ok(Some(document)) => documents.push(Ok(document)),
            Ok(None) => return documents,
            Err(fault) => {
                documents.push(Err(fault));
                if !reader.skip_document() {
                    return documents;
                }
            }
        }
    }
}

fn parser_options() -> Options {
    // A long block of comments is no attack: the size of the file bounds it.
    options! { max_buffered_comment_events: usize::MAX }
}

type Events<'t> = Parser<'t, granit_parser::StrInput<'t>>;

/// How much was read, or is in a node.
#[derive(Clone, Copy, Debug, Default)]
struct Amount {
    values: usize,
    /// Of texts and keys.
    bytes: usize,
}

impl Amount {
    fn plus(self, other: Self) -> Self {
        Self {
            values: self.values.saturating_add(other.values),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    fn since(self, earlier: Self) -> Self {
        Self { values: self.values - earlier.values, bytes: self.bytes - earlier.bytes }
    }
}

struct Reader<'t> {
    source: Events<'t>,
    /// What the documents hold, aliases expanded.
    held: Amount,
    /// What aliases stand for, and what is kept of anchored values for them.
    repeated: Amount,
    depth: usize,
    comments: Vec<Comment>,
    /// Anchored nodes of the current document, each with what is in it.
    anchors: HashMap<usize, (Node, Amount)>,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            source: Parser::new_from_str_with_options(text, parser_options()),
            held: Amount::default(),
            repeated: Amount::default(),
            depth: 0,
            comments: Vec::new(),
            anchors: HashMap::new(),
        }
    }

    /// Goes on to the document after one that cannot be read.
    fn skip_document(&mut self) -> bool {
        self.comments.clear();
        self.depth = 0;
        self.within_bounds() && self.source.proceed_next_document().unwrap_or(false)
    }

    /// The next event that is not a comment.
    fn event(&mut self) -> Result<Option<(Event<'t>, Span)>, Fault> {
        loop {
            match self.source.next_event() {
                None => return Ok(None),
                Some(Err(error)) => return Err(syntax(&error)),
                Some(Ok((Event::Comment(text, _), span))) => {
                    self.comments.push(Comment { text: text.into_owned(), at: range(span).start });
                }
                Some(Ok(event)) => return Ok(Some(event)),
            }
        }
    }

    fn document(&mut self) -> Result<Option<Document>, Fault> {
        loop {
            match self.event()? {
                None | Some((Event::StreamEnd, _)) => return Ok(None),
                Some((Event::DocumentStart(..), _)) => break,
                Some(_) => {}
            }
        }
        self.anchors.clear();
        let mut root = None;
        while let Some((event, span)) = self.event()? {
            if matches!(event, Event::DocumentEnd) {
                break;
            }
            root = Some(self.node(event, span)?);
        }
        let empty = root.as_ref().is_some_and(|node: &Node| node.is_null() && node.span.is_empty());
        let root = root.filter(|_| !empty);
        Ok(Some(Document { root, comments: std::mem::take(&mut self.comments) }))
    }

    fn within_bounds(&self) -> bool {
        self.held.values <= MOST_VALUES
            && self.repeated.values <= MOST_VALUES
            && self.repeated.bytes <= MOST_REPEATED
    }

    /// Refuses what is beyond the bounds.
    fn bounded(&self, at: usize) -> Result<(), Fault> {
        if self.within_bounds() {
            return Ok(());
        }
        let message = format!(
            "this file holds more than {MOST_VALUES} values, or more than {} MiB of text, once its aliases are \
             expanded; split it, or write out what its anchors repeat",
            MOST_REPEATED >> 20
        );
        Err(Fault::new(at, message))
    }

    fn count(&mut self, bytes: usize, at: usize) -> Result<(), Fault> {
        self.held = self.held.plus(Amount { values: 1, bytes });
        self.bounded(at)
    }

    /// Counts a copy before it is made.
    fn repeat(&mut self, copied: Amount, at: usize) -> Result<(), Fault> {
        self.repeated = self.repeated.plus(copied);
        self.bounded(at)
    }

    fn node(&mut self, event: Event<'t>, span: Span) -> Result<Node, Fault> {
        let at = range(span);
        if let Event::Alias(id) = event {
            return self.alias(id, at);
        }
        let before = self.held;
        let text = if let Event::Scalar(text, ..) = &event { text.len() } else { 0 };
        self.count(text, at.start)?;
        let start = at.start;
        let anchor = event.anchor_id();
        let node = match event {
            Event::Scalar(text, style, _, tag) => Node {
                content: Content::Scalar(scalar::resolve(&text, style, tag.as_deref())),
                span: at,
                flow: false,
                shared: false,
            },
            Event::SequenceStart(style, ..) => self.nested(at, style, Self::sequence)?,
            Event::MappingStart(style, ..) => self.nested(at, style, Self::mapping)?,
            _ => return Err(Fault::new(at.start, "this is not a value")),
        };
        if let Some(id) = anchor {
            let amount = self.held.since(before);
            self.repeat(amount, start)?;
            self.anchors.insert(id, (node.clone(), amount));
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, at: Range<usize>) -> Result<Node, Fault> {
        let Some(amount) = self.anchors.get(&id).map(|(_, amount)| *amount) else {
            let message =
                "this alias stands inside the value that it names; a value cannot hold itself";
            return Err(Fault::new(at.start, message));
        };
        self.held = self.held.plus(amount);
        self.repeat(amount, at.start)?;
        let mut node = self.anchors.get(&id).map(|(node, _)| node.clone()).unwrap_or(Node {
            content: Content::Sequence(Vec::new()),
            span: at,
            flow: false,
            shared: true,
        });
        share(&mut node);
        Ok(node)
    }

    fn nested(
        &mut self,
        at: Range<usize>,
        style: StructureStyle,
        read: fn(&mut Self, Node) -> Result<Node, Fault>,
    ) -> Result<Node, Fault> {
        self.depth += 1;
        if self.depth > DEEPEST {
            let message = format!("values are nested more than {DEEPEST} deep");
            return Err(Fault::new(at.start, message));
        }
        let flow = style == StructureStyle::Flow;
        let empty = Content::Sequence(Vec::new());
        let node = read(self, Node { content: empty, span: at, flow, shared: false })?;
        self.depth -= 1;
        Ok(node)
    }

    fn sequence(&mut self, mut node: Node) -> Result<Node, Fault> {
        let mut items = Vec::new();
        while let Some((event, span)) = self.event()? {
            if matches!(event, Event::SequenceEnd) {
                if node.flow {
                    node.span.end = range(span).end;
                }
                break;
            }
            let own = range(span).end;
            let item = self.node(event, span)?;
            if !node.flow {
                node.span.end = if item.shared { own } else { item.span.end };
            }
            items.push(item);
        }
        node.content = Content::Sequence(items);
        Ok(node)
    }

    fn mapping(&mut self, mut node: Node) -> Result<Node, Fault> {
        let mut keys = Keys::default();
        while let Some((event, span)) = self.event()? {
            if matches!(event, Event::MappingEnd) {
                if node.flow {
                    node.span.end = range(span).end;
                }
                break;
            }
            let key_span = range(span);
            let key = key(&event, &key_span)?;
            self.count(key.len(), key_span.start)?;
            let Some((event, span)) = self.event()? else { break };
            let own = range(span).end;
            let value = self.node(event, span)?;
            if !node.flow {
                node.span.end = if value.shared { own } else { value.span.end };
            }
            keys.add(Entry { key, key_span, value })?;
        }
        node.content = Content::Mapping(keys.finish()?);
        Ok(node)
    }
}

/// The keys of one mapping while it is read.
#[derive(Default)]
struct Keys {
    entries: Vec<Entry>,
    merged: Vec<Entry>,
    /// Where each key stands, once there are so many that a scan through all takes long.
    positions: HashMap<String, usize>,
}

impl Keys {
    /// Up to this many keys a scan through all is faster than a hash.
    const FEW: usize = 16;

    fn add(&mut self, entry: Entry) -> Result<(), Fault> {
        if entry.key == "<<" {
            self.merged.push(entry);
            return Ok(());
        }
        if let Some(first) = self.find(&entry.key) {
            let message = format!("key {:?} is given twice in one mapping: remove one", entry.key);
            return Err(Fault { at: entry.key_span.start, message, first: Some(first) });
        }
        if self.entries.len() >= Self::FEW {
            if self.positions.is_empty() {
                let known = self.entries.iter().map(|e| (e.key.clone(), e.key_span.start));
                self.positions = known.collect();
            }
            self.positions.insert(entry.key.clone(), entry.key_span.start);
        }
        self.entries.push(entry);
        Ok(())
    }

    fn find(&self, key: &str) -> Option<usize> {
        if self.positions.is_empty() {
            return self.entries.iter().find(|e| e.key == key).map(|e| e.key_span.start);
        }
        self.positions.get(key).copied()
    }

    /// With what merge keys bring: a key of the mapping itself wins, then the first one merged.
    fn finish(mut self) -> Result<Vec<Entry>, Fault> {
        for Entry { key_span, value, .. } in std::mem::take(&mut self.merged) {
            let sources = match value.content {
                Content::Sequence(items) => items,
                _ => vec![value],
            };
            for source in sources {
                let Content::Mapping(entries) = source.content else {
                    let message =
                        "<< merges mappings only; name an anchor of a mapping, or remove it";
                    return Err(Fault::new(key_span.start, message));
                };
                for mut entry in entries {
                    if self.find(&entry.key).is_none() {
                        share(&mut entry.value);
                        self.add(entry)?;
                    }
                }
            }
        }
        Ok(self.entries)
    }
}

fn key(event: &Event<'_>, at: &Range<usize>) -> Result<String, Fault> {
    let Event::Scalar(text, style, _, tag) = event else {
        let message = "only a plain word can be a key here";
        return Err(Fault::new(at.start, message));
    };
    // `on:` is the key "true" to kubectl.
    Ok(match scalar::resolve(text, *style, tag.as_deref()) {
        serde_json::Value::Bool(word) => word.to_string(),
        _ => text.clone().into_owned(),
    })
}

/// Marks a copy: its text belongs to somebody else too.
fn share(node: &mut Node) {
    node.shared = true;
    match &mut node.content {
        Content::Scalar(_) => {}
        Content::Sequence(items) => items.iter_mut().for_each(share),
        Content::Mapping(entries) => entries.iter_mut().for_each(|entry| share(&mut entry.value)),
    }
}

fn range(span: Span) -> Range<usize> {
    span.byte_range().unwrap_or_default()
}

fn syntax(error: &ScanError) -> Fault {
    let at = error.marker().byte_offset().unwrap_or_default();
    Fault::new(at, format!("not YAML: {}", error.info()))
}
