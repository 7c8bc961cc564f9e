//! Server-sent events out of bytes that may be cut anywhere.
//!
//! The parser follows the *Server-sent events* section of the HTML standard as far as `data` goes (the API puts all it
//! has to say there; `event`, `id` and `retry` are passed over), with a limit that the standard lacks: an upstream that
//! never ends its line, or its event, is an error and not a growing buffer.

/// An event, or a line, went past the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// Reads events from chunks of bytes.
#[derive(Debug)]
pub(super) struct EventReader {
    /// Bytes received; those before `start` are read.
    buffer: Vec<u8>,
    start: usize,
    /// Bytes before this hold no line end, so that a long line in many chunks is scanned once.
    scanned: usize,
    /// The `data` lines of the event under way, joined by line feeds.
    data: Vec<u8>,
    has_data: bool,
    /// The data was handed out; the next call starts the next event.
    handed_out: bool,
    /// The last line ended in a carriage return: a line feed that follows belongs to it.
    skip_line_feed: bool,
    /// No byte was read yet: a byte order mark may come.
    at_start: bool,
    limit: usize,
}

impl EventReader {
    /// A reader that takes lines and events of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            data: Vec::new(),
            has_data: false,
            handed_out: false,
            skip_line_feed: false,
            at_start: true,
            limit,
        }
    }

    /// Takes the next bytes of the stream.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.start == self.buffer.len() {
            self.buffer.clear();
        } else {
            self.buffer.drain(..self.start);
        }
        self.scanned = self.scanned.saturating_sub(self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole event's data; `None` until more bytes come.
    pub(super) fn next_event(&mut self) -> Result<Option<&[u8]>, TooLong> {
        self.begin_event();
        while let Some((from, to)) = self.next_line()? {
            if from == to {
                if self.has_data {
                    self.handed_out = true;
                    return Ok(Some(&self.data));
                }
                continue;
            }
            self.take_line(from, to)?;
        }
        Ok(None)
    }

    /// What is left when the stream has ended: data whose closing blank line never came. The standard drops it;
    /// some servers end on `data: [DONE]` without one.
    pub(super) fn rest(&mut self) -> Option<&[u8]> {
        self.begin_event();
        let (from, to) = (self.start, self.buffer.len());
        self.start = to;
        self.take_line(from, to).ok()?;
        (self.has_data && !self.data.is_empty()).then_some(&self.data)
    }

    fn begin_event(&mut self) {
        if self.handed_out {
            self.handed_out = false;
            self.has_data = false;
            self.data.clear();
        }
    }

    /// The bounds of the next whole line in the buffer, without its end.
    fn next_line(&mut self) -> Result<Option<(usize, usize)>, TooLong> {
        if self.skip_line_feed && self.start < self.buffer.len() {
            self.skip_line_feed = false;
            if self.buffer[self.start] == b'\n' {
                self.start += 1;
            }
        }
        if self.at_start {
            const MARK: &[u8] = b"\xef\xbb\xbf";
            let head = &self.buffer[self.start..];
            if head.len() < MARK.len() && MARK.starts_with(head) {
                return Ok(None);
            }
            self.at_start = false;
            if head.starts_with(MARK) {
                self.start += MARK.len();
            }
        }
        let from = self.start;
        let scan = self.scanned.max(from);
        let Some(length) = self.buffer[scan..]
            .iter()
            .position(|byte| matches!(byte, b'\n' | b'\r'))
        else {
            self.scanned = self.buffer.len();
            return if self.buffer.len() - from > self.limit {
                Err(TooLong)
            } else {
                Ok(None)
            };
        };
        let to = scan + length;
        self.skip_line_feed = self.buffer[to] == b'\r';
        self.start = to + 1;
        Ok(Some((from, to)))
    }

    fn take_line(&mut self, from: usize, to: usize) -> Result<(), TooLong> {
        let line = &self.buffer[from..to];
        let value = match line.strip_prefix(b"data") {
            Some(b"") => &[][..],
            Some([b':', b' ', value @ ..]) => value,
            Some([b':', value @ ..]) => value,
            _ => return Ok(()),
        };
        if self.data.len() + value.len() > self.limit {
            return Err(TooLong);
        }
        if self.has_data {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
        self.has_data = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] =
        "\u{feff}: hello\r\nevent: x\r\ndata: {\"a\":\"é😀\"}\r\n\r\n\r\nid: 7\ndata:one\ndata: two\ndata\n\ndata: cr\r\rdatax: no\n\ndata: [DONE]\n\n"
            .as_bytes();

    fn read(pieces: &[&[u8]]) -> Vec<String> {
        let mut reader = EventReader::new(1024);
        let mut events = Vec::new();
        for piece in pieces {
            reader.push(piece);
            while let Some(data) = reader.next_event().expect("within the limit") {
                events.push(String::from_utf8(data.to_vec()).expect("whole characters"));
            }
        }
        events
    }

    fn expected() -> Vec<&'static str> {
        vec!["{\"a\":\"é😀\"}", "one\ntwo\n", "cr", "[DONE]"]
    }

    #[test]
    fn comments_other_fields_line_ends_and_many_lines_are_read() {
        assert_eq!(read(&[STREAM]), expected());
    }

    #[test]
    fn every_single_cut_gives_the_same_events() {
        for at in 0..=STREAM.len() {
            assert_eq!(
                read(&[&STREAM[..at], &STREAM[at..]]),
                expected(),
                "cut at {at}"
            );
        }
    }

    #[test]
    fn one_byte_at_a_time_gives_the_same_events() {
        let bytes: Vec<&[u8]> = STREAM.chunks(1).collect();
        assert_eq!(read(&bytes), expected());
    }

    #[test]
    fn every_pair_of_cuts_gives_the_same_events() {
        for first in 0..STREAM.len() {
            for second in first..STREAM.len() {
                let pieces = [&STREAM[..first], &STREAM[first..second], &STREAM[second..]];
                assert_eq!(read(&pieces), expected(), "cuts at {first} and {second}");
            }
        }
    }

    #[test]
    fn a_line_without_end_is_refused_at_the_limit() {
        let mut reader = EventReader::new(64);
        reader.push(&[b'x'; 64]);
        assert_eq!(reader.next_event(), Ok(None));
        reader.push(b"x");
        assert_eq!(reader.next_event(), Err(TooLong));
    }

    #[test]
    fn an_event_without_end_is_refused_at_the_limit() {
        let mut reader = EventReader::new(64);
        for _ in 0..3 {
            reader.push(b"data: 0123456789abcdef\n");
            assert_eq!(reader.next_event(), Ok(None));
        }
        reader.push(b"data: one more line, too long\n");
        assert_eq!(reader.next_event(), Err(TooLong));
    }

    #[test]
    fn data_without_its_blank_line_is_left_as_the_rest() {
        let mut reader = EventReader::new(64);
        reader.push(b"data: a\n\ndata: [DONE]");
        assert_eq!(reader.next_event(), Ok(Some(&b"a"[..])));
        assert_eq!(reader.next_event(), Ok(None));
        assert_eq!(reader.rest(), Some(&b"[DONE]"[..]));
        let mut empty = EventReader::new(64);
        assert_eq!(empty.rest(), None);
    }
}
