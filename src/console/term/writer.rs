//! One write a frame: what is drawn gathers in a buffer and leaves at once, between the marks of synchronized output,
//! so that nothing tears over a slow link. A frame that changed nothing writes nothing.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

const BEGIN: &[u8] = b"\x1b[?2026h";
const END: &[u8] = b"\x1b[?2026l";

/// The gathering end, for the backend. Its `flush` keeps; [`Frames::commit`] sends.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    buffer: Rc<RefCell<Vec<u8>>>,
    last: Rc<RefCell<Vec<u8>>>,
}

impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Frames {
    /// Gathers bytes that draw nothing; they are sent even if they were sent before.
    pub fn raw(&self, bytes: &[u8]) {
        self.buffer.borrow_mut().extend_from_slice(bytes);
        self.last.borrow_mut().clear();
    }

    /// Sends what gathered, in one write.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn commit(&self, out: &mut impl Write) -> io::Result<()> {
        let gathered = std::mem::take(&mut *self.buffer.borrow_mut());
        // Every frame ends with the plain style and the cursor's place; one without changes is only that again.
        if gathered.is_empty() || self.last.borrow().ends_with(&gathered) {
            return Ok(());
        }
        out.write_all(&[BEGIN, &gathered, END].concat())?;
        *self.last.borrow_mut() = gathered;
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
