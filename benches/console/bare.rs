//! The least that a program on a terminal can do: it reads what is typed, and writes a frame of so many bytes. Measured
//! beside the console, it shows what of a figure is the machine's.

use std::io::{Read, Write};

use super::session::END;

/// The word that makes the bench this client, with the bytes of a frame behind it.
pub const WORD: &str = "bare";

/// Writes a frame at once, and one for whatever is read.
pub fn run(bytes: usize) {
    crossterm::terminal::enable_raw_mode().unwrap();
    let (mut input, mut output) = (std::io::stdin(), std::io::stdout());
    let mut keys = [0; 64];
    for count in 0_usize.. {
        let mut frame = format!("\x1b[H{count:010}").into_bytes();
        frame.resize(bytes.saturating_sub(END.len()).max(frame.len()), b'.');
        frame.extend_from_slice(END);
        output.write_all(&frame).unwrap();
        output.flush().unwrap();
        match input.read(&mut keys) {
            Ok(0) | Err(_) => return,
            Ok(read) if keys[..read].contains(&3) => return,
            Ok(_) => {}
        }
    }
}
