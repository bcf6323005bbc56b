//! Lines of bytes, as they come in pieces.

use memchr::memchr;

/// A longer line is cut, so that a stream without line ends takes no more memory than this.
const LONGEST: usize = 1 << 20;

/// Makes lines of pieces of a stream.
#[derive(Debug, Default)]
pub struct Splitter {
    /// The beginning of a line that has not ended.
    begun: Vec<u8>,
}

impl Splitter {
    /// Takes a piece in, and gives each line that ended, without its end. What is no UTF-8 becomes U+FFFD.
    pub fn feed(&mut self, mut piece: &[u8], each: &mut impl FnMut(&str)) {
        while let Some(end) = memchr(b'\n', piece) {
            if self.begun.is_empty() {
                give(&piece[..end], each);
            } else {
                self.begun.extend_from_slice(&piece[..end]);
                self.finish(each);
            }
            piece = &piece[end + 1..];
        }
        self.begun.extend_from_slice(piece);
        while self.begun.len() > LONGEST {
            let cut = boundary(&self.begun, LONGEST);
            give(&self.begun[..cut], each);
            self.begun.drain(..cut);
        }
    }

    /// Gives the line that has not ended, if there is one.
    pub fn finish(&mut self, each: &mut impl FnMut(&str)) {
        if !self.begun.is_empty() {
            give(&self.begun, each);
            self.begun.clear();
        }
    }
}

/// Gives a line, in parts where it is too long.
fn give(line: &[u8], each: &mut impl FnMut(&str)) {
    let mut line = line.strip_suffix(b"\r").unwrap_or(line);
    while line.len() > LONGEST {
        let (part, rest) = line.split_at(boundary(line, LONGEST));
        give_part(part, each);
        line = rest;
    }
    give_part(line, each);
}

/// Gives a part of a line. Most are UTF-8, and to see that is faster than to mend them.
fn give_part(part: &[u8], each: &mut impl FnMut(&str)) {
    match std::str::from_utf8(part) {
        Ok(text) => each(text),
        Err(_) => each(&String::from_utf8_lossy(part)),
    }
}

/// The last place up to `most` that is not within a character.
fn boundary(bytes: &[u8], most: usize) -> usize {
    let is_inside = |at: &usize| bytes[*at] & 0b1100_0000 == 0b1000_0000;
    (most - 3..=most).rev().find(|at| !is_inside(at)).unwrap_or(most)
}
