//! Taking the terminal, and giving it back: on return, on panic, before a suspension.

use std::io::{self, Write};
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Once, OnceLock};

use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange};
use crossterm::queue;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use tokio_util::sync::CancellationToken;

/// Buttons and the wheel (1000), told in digits, so that no screen is too wide (1006). Not crossterm's own command, which
/// asks for every motion as well: bytes over SSH that nothing here heeds.
const MOUSE_ON: &[u8] = b"\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &[u8] = b"\x1b[?1006l\x1b[?1000l";

/// Whether the terminal is ours at the moment.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Whether the mouse is.
static MOUSE: AtomicBool = AtomicBool::new(false);
/// Whether it tells when it gets the focus.
static FOCUS: AtomicBool = AtomicBool::new(false);
/// Cancelled when some thread panicked.
static PANICKED: LazyLock<CancellationToken> = LazyLock::new(CancellationToken::new);
/// Cancelled when that panic was reported.
static REPORTED: LazyLock<CancellationToken> = LazyLock::new(CancellationToken::new);
/// Tells of a panic whether it is somebody else's, who is in the same process and tells it by another way.
static SPARED: OnceLock<fn(&PanicHookInfo<'_>) -> bool> = OnceLock::new();

/// Holds the terminal until it is dropped.
#[derive(Debug)]
pub struct TerminalGuard(());

impl TerminalGuard {
    /// Takes the terminal, and the mouse where that is wanted; where its background is followed, it tells when it gets the
    /// focus.
    ///
    /// # Errors
    /// When it cannot be put into raw mode.
    pub fn take(mouse: bool, follows: bool) -> io::Result<TerminalGuard> {
        install_panic_hook();
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        let mut out = Vec::new();
        queue!(out, EnterAlternateScreen, EnableBracketedPaste, Hide)?;
        if mouse {
            out.extend_from_slice(MOUSE_ON);
            MOUSE.store(true, Ordering::SeqCst);
        }
        if follows {
            queue!(out, EnableFocusChange)?;
            FOCUS.store(true, Ordering::SeqCst);
        }
        io::stdout().write_all(&out)?;
        io::stdout().flush()?;
        Ok(TerminalGuard(()))
    }
}

impl Drop for TerminalGuard {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back, if it is ours. Failures mean that it is gone, which needs no word.
fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = Vec::new();
    if MOUSE.swap(false, Ordering::SeqCst) {
        out.extend_from_slice(MOUSE_OFF);
    }
    if FOCUS.swap(false, Ordering::SeqCst) {
        let _ = queue!(out, DisableFocusChange);
    }
    let _ = queue!(out, DisableBracketedPaste, LeaveAlternateScreen, Show);
    let mut stdout = io::stdout();
    let _ = stdout.write_all(&out).and_then(|()| stdout.flush());
    let _ = disable_raw_mode();
}

/// Gives back what can be given back of a terminal that takes nothing: its modes, without a word.
pub fn let_go() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = disable_raw_mode();
    }
}

/// Whether a console shows on the terminal.
pub fn is_taken() -> bool {
    TAKEN.load(Ordering::SeqCst)
}

/// Panics that are not the console's, and do not end it.
pub fn spare(is_others: fn(&PanicHookInfo<'_>) -> bool) {
    let _ = SPARED.set(is_others);
}

/// Returns when a thread of the program panicked: the terminal is given back by then, and must not be drawn on.
pub async fn panicked() {
    PANICKED.cancelled().await;
}

/// Returns when that panic was reported: a program that ends before would take the report with it.
pub async fn reported() {
    REPORTED.cancelled().await;
}

/// A panic first gives the terminal back, and then is reported, unless nobody can read the report any more: writing
/// to a dead terminal inside a panic hook would abort the process.
fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if SPARED.get().is_some_and(|is_others| is_others(panic)) {
                return;
            }
            give_back();
            PANICKED.cancel();
            if io::stderr().write_all(b"\n").is_ok() {
                report(panic);
            }
            REPORTED.cancel();
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_of_the_mouse_is_taken_back_and_no_motion_is_asked_for() {
        let modes = |sequence: &[u8], end: char| {
            let text = String::from_utf8(sequence.to_vec()).unwrap();
            let mut modes: Vec<String> =
                text.split("\x1b[?").skip(1).map(|mode| mode.strip_suffix(end).unwrap().to_owned()).collect();
            modes.sort();
            modes
        };
        assert_eq!(modes(MOUSE_ON, 'h'), ["1000", "1006"]);
        assert_eq!(modes(MOUSE_OFF, 'l'), modes(MOUSE_ON, 'h'));
    }
}
