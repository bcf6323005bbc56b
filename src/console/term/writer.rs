//! One write a frame: what is drawn gathers in a buffer and leaves at once, between the marks of synchronized output,
//! so that nothing tears over a slow link. A frame that changed nothing writes nothing.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const BEGIN: &[u8] = b"\x1b[?2026h";
const END: &[u8] = b"\x1b[?2026l";

/// The gathering end, for the backend. Its `flush` keeps; [`Frames::commit`] sends.
#[derive(Clone, Debug, Default)]
pub struct Frames(Arc<Mutex<Gathered>>);

#[derive(Debug, Default)]
struct Gathered {
    buffer: Vec<u8>,
    last: Vec<u8>,
}

impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered().buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Frames {
    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gathers bytes that draw nothing; they are sent even if they were sent before.
    pub fn raw(&self, bytes: &[u8]) {
        let mut gathered = self.gathered();
        gathered.buffer.extend_from_slice(bytes);
        gathered.last.clear();
    }

    /// Sends what gathered, in one write.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn commit(&self, out: &mut impl Write) -> io::Result<()> {
        let mut gathered = self.gathered();
        let buffer = std::mem::take(&mut gathered.buffer);
        // Every frame ends with the plain style and the cursor's place; one without changes is only that again.
        if buffer.is_empty() || gathered.last.ends_with(&buffer) {
            return Ok(());
        }
        out.write_all(&[BEGIN, &buffer, END].concat())?;
        gathered.last = buffer;
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_one_write_and_an_unchanged_one_is_none() {
        let mut frames = Frames::default();
        let mut out = Vec::new();
        frames.write_all(b"\x1b[1;1Hhello").unwrap();
        frames.flush().unwrap();
        assert!(out.is_empty());
        frames.commit(&mut out).unwrap();
        assert_eq!(out, b"\x1b[?2026h\x1b[1;1Hhello\x1b[?2026l");
        out.clear();
        frames.write_all(b"\x1b[1;1Hhello").unwrap();
        frames.commit(&mut out).unwrap();
        assert!(out.is_empty());
    }

    #[test]
    fn the_same_end_after_a_long_frame_is_no_change_but_what_is_copied_twice_is_sent_twice() {
        let mut frames = Frames::default();
        let mut out = Vec::new();
        frames.write_all(&[&b"x".repeat(200)[..], b"\x1b[2;3H"].concat()).unwrap();
        frames.commit(&mut out).unwrap();
        out.clear();
        frames.write_all(b"\x1b[2;3H").unwrap();
        frames.commit(&mut out).unwrap();
        assert!(out.is_empty());
        for _ in 0..2 {
            out.clear();
            frames.raw(b"\x1b]52;c;eA==\x07");
            frames.write_all(b"\x1b[2;3H").unwrap();
            frames.commit(&mut out).unwrap();
            assert!(!out.is_empty());
        }
    }
}
