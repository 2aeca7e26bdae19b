//! Reads a stream of server-sent events out of chunks that end anywhere.

/// Most bytes of one event; a log line is far below.
const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;

/// One event of the stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SseEvent {
    /// The `event` field; empty for plain messages.
    pub(crate) kind: String,
    /// The `id` field; empty if it had none.
    pub(crate) id: String,
    /// The `data` lines, joined.
    pub(crate) data: String,
}

/// Turns chunks into events.
#[derive(Debug, Default)]
pub(crate) struct SseReader {
    pending: Vec<u8>,
    event: SseEvent,
    filled: bool,
}

// === impl SseReader ===

impl SseReader {
    /// Takes the next chunk and gives the events that it completes; `None` if the stream is not one of ours.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Option<Vec<SseEvent>> {
        self.pending.extend_from_slice(chunk);
        let mut events = Vec::new();
        let mut from = 0;
        while let Some(length) = self.pending[from..].iter().position(|&b| b == b'\n') {
            let line = String::from_utf8(self.pending[from..from + length].to_vec()).ok()?;
            from += length + 1;
            if line.is_empty() {
                events.extend(self.finish());
            } else {
                self.field(&line);
            }
        }
        self.pending.drain(..from);
        let size = self.pending.len() + self.event.data.len();
        (size <= MAX_EVENT_BYTES).then_some(events)
    }

    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => self.event.kind = value.to_owned(),
            "id" => self.event.id = value.to_owned(),
            "data" if self.filled => {
                self.event.data.push('\n');
                self.event.data.push_str(value);
            }
            "data" => {
                self.filled = true;
                self.event.data = value.to_owned();
            }
            // Comments (keep-alives) and fields that we do not use.
            _ => {}
        }
    }

    fn finish(&mut self) -> Option<SseEvent> {
        let event = std::mem::take(&mut self.event);
        std::mem::take(&mut self.filled).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] =
        ": hello\n\nid: 7\ndata: {\"text\":\"é\"}\n\nevent: end\ndata: a\ndata: b\n\n".as_bytes();

    #[test]
    fn events_come_out_whole_however_the_chunks_are_cut() {
        for size in 1..STREAM.len() {
            let mut reader = SseReader::default();
            let mut events = Vec::new();
            for chunk in STREAM.chunks(size) {
                events.extend(reader.push(chunk).unwrap());
            }
            assert_eq!(events.len(), 2, "chunks of {size}");
            assert_eq!(
                (&*events[0].id, &*events[0].data),
                ("7", "{\"text\":\"é\"}")
            );
            assert_eq!((&*events[1].kind, &*events[1].data), ("end", "a\nb"));
        }
    }

    #[test]
    fn an_endless_event_is_given_up() {
        let mut reader = SseReader::default();
        let chunk = vec![b'x'; 1024 * 1024];
        let given_up = (0..20).any(|_| reader.push(&chunk).is_none());
        assert!(given_up);
    }
}
