//! Names of objects at a backend: whatever is accepted is a path below the backend's root, and
//! nothing that fits the alphabet is refused.
#![no_main]

use std::path::{Component, Path};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use xgene_fuzz::{Input, read};
use xstore::ObjectKey;
use xstore_backends::fs::ObjectPath;

/// A name, segment by segment.
#[derive(Debug, Arbitrary)]
struct Plan {
    absolute: bool,
    segments: Vec<Segment>,
}

#[derive(Debug, Arbitrary)]
enum Segment {
    /// One character of the alphabet, repeated.
    Run { character: u8, count: u8 },
    /// Characters of the alphabet.
    Word([u8; 3]),
    /// What a path must never hold.
    Trap(Trap),
    /// Any text at all.
    Text(String),
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Trap {
    Empty,
    Here,
    Parent,
    Drive,
    Backslash,
    Nul,
    Capital,
    WideDigit,
}

fuzz_target!(|data: &[u8]| {
    match read::<Plan>(data) {
        Some(Input::Raw(bytes)) => {
            if let Ok(name) = std::str::from_utf8(bytes) {
                check(name);
            }
        }
        Some(Input::Planned(plan)) => check(&plan.name()),
        None => {}
    }
});

fn check(name: &str) {
    let key = ObjectKey::try_new(name);
    assert_eq!(key.is_some(), is_key(name), "{name:?}");
    let Some(key) = key else { return };
    assert_eq!(key.as_str(), name);
    let ObjectPath { folders, file, .. } = ObjectPath::new(&key);
    for part in folders.iter().chain([&file]) {
        // One component each, that a file system takes and that leads nowhere but down.
        let components: Vec<Component<'_>> = Path::new(part).components().collect();
        assert!(
            matches!(components[..], [Component::Normal(_)]),
            "{part:?} of {name:?}"
        );
        assert!(
            part.len() <= 255 && !part.starts_with('.'),
            "{part:?} of {name:?}"
        );
    }
}

/// The rule, written down a second time: character by character, with what stood before it.
fn is_key(name: &str) -> bool {
    let mut before = '/';
    for character in name.chars() {
        let allowed = match character {
            '/' => before != '/',
            '0'..='9' | 'a'..='z' => true,
            _ => false,
        };
        if !allowed {
            return false;
        }
        before = character;
    }
    before != '/' && name.len() <= 512
}

impl Plan {
    fn name(&self) -> String {
        let root = if self.absolute { "/" } else { "" };
        let segments: Vec<String> = self.segments.iter().map(Segment::text).collect();
        format!("{root}{}", segments.join("/"))
    }
}

impl Segment {
    fn text(&self) -> String {
        match self {
            Self::Run { character, count } => {
                letter(*character).to_string().repeat(usize::from(*count))
            }
            Self::Word(bytes) => bytes.iter().copied().map(letter).collect(),
            Self::Trap(trap) => trap.text().to_owned(),
            Self::Text(text) => text.clone(),
        }
    }
}

impl Trap {
    const fn text(self) -> &'static str {
        match self {
            Self::Empty => "",
            Self::Here => ".",
            Self::Parent => "..",
            Self::Drive => "c:",
            Self::Backslash => "a\\b",
            Self::Nul => "a\0",
            Self::Capital => "A",
            Self::WideDigit => "\u{ff11}",
        }
    }
}

fn letter(byte: u8) -> char {
    const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    char::from(ALPHABET[usize::from(byte) % ALPHABET.len()])
}
