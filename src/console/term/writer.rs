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
    /// Sends what gathered, in one write.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn commit(&self, out: &mut impl Write) -> io::Result<()> {
        let gathered = std::mem::take(&mut *self.buffer.borrow_mut());
        // A frame without changes is only the cursor's position again.
        if gathered.is_empty() || gathered == *self.last.borrow() {
            return Ok(());
        }
        let frame = [BEGIN, &gathered, END].concat();
        // What a frame ends with is remembered only when it is short enough to be nothing but cursor movement.
        *self.last.borrow_mut() = if gathered.len() < 64 { gathered } else { Vec::new() };
        out.write_all(&frame)?;
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
}
