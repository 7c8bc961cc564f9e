//! Secrets out of a text that comes in pieces.

use super::{
    machine::{Look, MACHINE, Machine, Verdict},
    patterns::{BLOCK_BYTES, Extent, PATTERNS},
};

/// Replaces secrets, whatever the pieces are in which they come.
///
/// The text is gone through once, from place to place where a word may begin. At each, all patterns are followed until
/// none can match any more; only while one still can is text held back, from that place on. What is decided depends on
/// the text alone, hence pieces make no difference.
#[derive(Debug)]
pub(super) struct Redactor {
    machine: &'static Machine,
    enabled: u32,
    /// Text from the place on where a secret may begin.
    held: String,
    /// The look at `held`.
    look: Option<Look>,
    /// The last two bytes before `held`, the nearer one first.
    before: [u8; 2],
    inside: Inside,
    count: u64,
}

/// What the next byte is part of.
#[derive(Clone, Copy, Debug)]
enum Inside {
    Text,
    /// The rest of a secret that was too long for its pattern.
    Run,
    Block(Block),
}

/// A private key block after its first line.
#[derive(Clone, Copy, Debug)]
struct Block {
    bytes: usize,
    tail: [u8; 22],
}

impl Block {
    const NEW: Self = Self {
        bytes: 0,
        tail: [0; 22],
    };

    /// Takes a byte; `Some` when the block has ended, with whether the byte still belonged to it.
    fn take(&mut self, byte: u8) -> Option<bool> {
        let inside = byte.is_ascii_alphanumeric()
            || byte.is_ascii_whitespace()
            || b"+/=\\-:,>|\"'*#_.();@<".contains(&byte);
        if !inside || self.bytes == BLOCK_BYTES {
            return Some(false);
        }
        self.bytes += 1;
        self.tail.copy_within(1.., 0);
        self.tail[21] = byte;
        let ends = || {
            [&b"PRIVATE KEY-----"[..], b"PRIVATE KEY BLOCK-----"]
                .iter()
                .any(|end| self.tail.ends_with(end))
        };
        (byte == b'-' && ends()).then_some(true)
    }
}

impl Redactor {
    /// A redactor for the patterns whose bits are set, in the table's order.
    pub(super) fn new(enabled: u32) -> Self {
        Self {
            machine: &MACHINE,
            enabled,
            held: String::new(),
            look: None,
            before: [b' '; 2],
            inside: Inside::Text,
            count: 0,
        }
    }

    /// How many secrets were replaced.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// How many bytes are held back.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// Appends to `out` what is decided by now.
    pub(super) fn push(&mut self, chunk: &str, out: &mut String) {
        if self.enabled == 0 {
            out.push_str(chunk);
        } else if self.held.is_empty() {
            let taken = self.take(chunk, false, out);
            self.held.push_str(&chunk[taken..]);
        } else {
            let mut text = std::mem::take(&mut self.held);
            text.push_str(chunk);
            let taken = self.take(&text, false, out);
            text.drain(..taken);
            self.held = text;
        }
    }

    /// Appends what was held back: nothing follows.
    pub(super) fn finish(&mut self, out: &mut String) {
        let text = std::mem::take(&mut self.held);
        self.take(&text, true, out);
    }

    /// Takes the text as far as it is decided, and says how far that is.
    fn take(&mut self, text: &str, last: bool, out: &mut String) -> usize {
        let bytes = text.as_bytes();
        let mut written = 0;
        let mut at = 0;
        loop {
            let left = self.leave_secret(&bytes[at..]);
            if left > 0 {
                at += left;
                written = at;
            }
            let look = match self.look.take() {
                Some(look) => look,
                None => match self.place(bytes, at) {
                    Some(place) => {
                        at = place;
                        self.machine.look()
                    }
                    None => break,
                },
            };
            match self.machine.go_on(look, &bytes[at..], last, self.enabled) {
                Verdict::Over(None) => at += 1,
                Verdict::Over(Some(found)) => {
                    let pattern = &PATTERNS[found.pattern];
                    out.push_str(&text[written..at]);
                    out.push_str("[redacted:");
                    out.push_str(pattern.name);
                    out.push(']');
                    self.count += 1;
                    at += found.len;
                    written = at;
                    self.inside = match pattern.extent {
                        Extent::Run if found.len == pattern.max_len => Inside::Run,
                        Extent::Block => Inside::Block(Block::NEW),
                        Extent::Run | Extent::Pattern => Inside::Text,
                    };
                }
                Verdict::Open(look) => {
                    self.look = Some(look);
                    out.push_str(&text[written..at]);
                    self.note(&bytes[..at]);
                    return at;
                }
            }
        }
        out.push_str(&text[written..]);
        self.note(bytes);
        bytes.len()
    }

    /// How many of the bytes still belong to a secret that was replaced already.
    fn leave_secret(&mut self, bytes: &[u8]) -> usize {
        match &mut self.inside {
            Inside::Text => return 0,
            Inside::Run => {
                let is_key = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~+/=".contains(byte);
                if let Some(end) = bytes.iter().position(|byte| !is_key(byte)) {
                    self.inside = Inside::Text;
                    return end;
                }
            }
            Inside::Block(block) => {
                for (at, &byte) in bytes.iter().enumerate() {
                    if let Some(belongs) = block.take(byte) {
                        self.inside = Inside::Text;
                        return at + usize::from(belongs);
                    }
                }
            }
        }
        bytes.len()
    }

    /// The next place from `at` on where a secret may begin: at a dash, or where a word begins.
    fn place(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let mut nearer = if at > 0 {
            bytes[at - 1]
        } else {
            self.before[0]
        };
        for (place, &byte) in bytes.iter().enumerate().skip(at) {
            if self.machine.begins(byte)
                && (!is_word(byte) || !is_word(nearer) || self.follows_escape(bytes, place, nearer))
            {
                return Some(place);
            }
            nearer = byte;
        }
        None
    }

    /// Whether the word character before `place` is the second half of `\n`, `\r` or `\t`, as in quoted JSON.
    fn follows_escape(&self, bytes: &[u8], place: usize, nearer: u8) -> bool {
        let farther = match place {
            0 => self.before[1],
            1 => self.before[0],
            _ => bytes[place - 2],
        };
        farther == b'\\' && matches!(nearer, b'n' | b'r' | b't')
    }

    fn note(&mut self, taken: &[u8]) {
        self.before = match taken {
            [] => self.before,
            [byte] => [*byte, self.before[0]],
            [.., farther, nearer] => [*nearer, *farther],
        };
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
