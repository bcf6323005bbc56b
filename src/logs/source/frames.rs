//! Frames of syslog behind their lengths (RFC 6587, octet counting), as Logplex sends them.

use std::borrow::Cow;

/// Digits of a length: a frame is smaller than 10 MB.
const DIGITS: usize = 7;

/// The frames of a body, and what stands behind the last whole one.
pub(super) fn split(mut body: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut frames = Vec::new();
    while let Some((frame, rest)) = first(body) {
        frames.push(frame);
        body = rest;
    }
    (frames, body)
}

fn first(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let digits = body.iter().take(DIGITS).take_while(|byte| byte.is_ascii_digit()).count();
    let length: usize = std::str::from_utf8(&body[..digits]).ok()?.parse().ok()?;
    body[digits..].strip_prefix(b" ")?.split_at_checked(length)
}

/// A frame as a line of Heroku's: `<40>1 TIME HOST app web.3 - text` becomes `TIME app[web.3]: text`. One that is not of
/// that form stays as it is.
pub(super) fn line(frame: &[u8]) -> String {
    let text = String::from_utf8_lossy(frame);
    let text = text.trim_end_matches(['\n', '\r']);
    heroku(text).map_or_else(|| text.to_owned(), Cow::into_owned)
}

fn heroku(text: &str) -> Option<Cow<'_, str>> {
    let (_, rest) = text.strip_prefix('<')?.split_once(">1 ")?;
    let mut parts = rest.splitn(6, ' ');
    let (time, _host, app, process) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (_message_id, message) = (parts.next()?, parts.next().unwrap_or_default());
    Some(Cow::Owned(format!("{time} {app}[{process}]: {message}")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STATE: &str =
        "<40>1 2012-11-30T06:45:29+00:00 host app web.3 - State changed from starting to up\n";

    fn framed(text: &[u8]) -> Vec<u8> {
        [text.len().to_string().as_bytes(), b" ", text].concat()
    }

    #[test]
    fn a_frame_of_logplex_is_a_line_of_heroku() {
        assert_eq!(
            line(STATE.as_bytes()),
            "2012-11-30T06:45:29+00:00 app[web.3]: State changed from starting to up"
        );
        assert_eq!(line(b"<40>2 what is this"), "<40>2 what is this");
        assert_eq!(line(b"<13>1 T h app p -"), "T app[p]: ");
    }

    #[test]
    fn a_half_frame_is_what_is_left() {
        let whole = framed(STATE.as_bytes());
        assert_eq!(split(&whole), (vec![STATE.as_bytes()], &b""[..]));
        let cut = &whole[..whole.len() - 1];
        assert_eq!(split(&[&whole, cut].concat()), (vec![STATE.as_bytes()], cut));
        for broken in [&b"x"[..], b"12", b"99999999 a", b"-1 a", b" 1 a"] {
            assert_eq!(split(broken), (vec![], broken), "{broken:?}");
        }
    }

    proptest! {
        /// Whatever is in a frame, the next one is whole.
        #[test]
        fn frames_come_out_as_they_went_in(frames in proptest::collection::vec(any::<Vec<u8>>(), 0..8)) {
            let body: Vec<u8> = frames.iter().flat_map(|frame| framed(frame)).collect();
            let (found, rest) = split(&body);
            prop_assert_eq!(found, frames.iter().map(Vec::as_slice).collect::<Vec<_>>());
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn no_bytes_panic(body in any::<Vec<u8>>()) {
            let (frames, rest) = split(&body);
            prop_assert!(frames.iter().map(|frame| frame.len()).sum::<usize>() + rest.len() <= body.len());
            frames.into_iter().for_each(|frame| drop(line(frame)));
        }
    }
}
