//! Requests and records as text, so that a corpus can be read and written by people: a line, headers, an empty line,
//! and the body as it is.

/// The parts of such a text.
pub(crate) struct Message<'b> {
    /// The first line.
    pub(crate) first: &'b [u8],
    /// Name and value of each line with a colon; spaces around the value are left out.
    pub(crate) headers: Vec<(&'b [u8], &'b [u8])>,
    /// All that follows the first empty line; `None` if there is none.
    pub(crate) body: Option<&'b [u8]>,
}

// === impl Message ===

impl<'b> Message<'b> {
    pub(crate) fn of(bytes: &'b [u8]) -> Self {
        let (head, body) = match bytes.windows(2).position(|pair| pair == b"\n\n") {
            Some(at) => (&bytes[..at], Some(&bytes[at + 2..])),
            None => (bytes, None),
        };
        let mut lines = head.split(|byte| *byte == b'\n');
        let first = lines.next().unwrap_or_default();
        let headers = lines.filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((&line[..colon], line[colon + 1..].trim_ascii()))
        });
        Self {
            first,
            headers: headers.collect(),
            body,
        }
    }
}
