//! Lines of all formats, as they stand one behind the other in an app's log.

use chrono::{DateTime, Utc};
use syncdeck::logs::LogRecord;
use syncdeck::logs::packed::Packed;
use syncdeck::logs::parse::Zone;
use syncdeck::logs::parse::origin::LineOrigin;
use syncdeck::logs::parse::stream::Stream;

const SAMPLES: [&str; 3] = [
    include_str!("../../src/logs/parse/samples/applink.log"),
    include_str!("../../src/logs/parse/samples/heroku.log"),
    include_str!("../../src/logs/parse/samples/loggers.log"),
];

/// A text of at least so many lines, and how many it has. Each sample line comes again and again, with other requests,
/// times, paths and answers.
pub fn text(least: usize) -> (String, usize) {
    let samples: Vec<&str> = SAMPLES.iter().flat_map(|sample| sample.lines()).collect();
    let rounds = least.div_ceil(samples.len());
    let mut text = String::new();
    for round in 0..rounds {
        let request = format!("{:08x}", round.wrapping_mul(2_654_435_761) as u32);
        let clock = format!("{:02}:{:02}:", round / 60 % 24, round % 60);
        let path = format!("/accounts/{}", round % 997);
        let answered = if round % 20 == 0 { "status=500" } else { "status=200" };
        for at in 0..samples.len() {
            // Another order each time: what comes next cannot be guessed from what came before.
            let line = samples[(at * 11 + round * 5) % samples.len()]
                .replace("f2f3ed60", &request)
                .replace("16:02:", &clock)
                .replace("/accounts", &path)
                .replace("status=200", answered);
            text.push_str(&line);
            text.push('\n');
        }
    }
    (text, rounds * samples.len())
}

/// Bytes that are read at once, as from a file.
pub const PIECE: usize = 64 << 10;

/// Gives each record of a text in one piece, one behind the other.
pub fn each_packed(text: &str, mut each: impl FnMut(&Packed)) {
    let seen: DateTime<Utc> = DateTime::UNIX_EPOCH;
    let mut stream = Stream::new(LineOrigin::new("file", "app.log", Zone::Utc));
    for piece in text.as_bytes().chunks(PIECE) {
        stream.feed(piece, seen);
        while let Some(packed) = stream.next_packed() {
            each(packed);
        }
    }
    stream.finish(seen);
    while let Some(packed) = stream.next_packed() {
        each(packed);
    }
}

/// Gives each record of a text, one behind the other.
pub fn each_record(text: &str, mut each: impl FnMut(LogRecord)) {
    let seen: DateTime<Utc> = DateTime::UNIX_EPOCH;
    let mut stream = Stream::new(LineOrigin::new("file", "app.log", Zone::Utc));
    for piece in text.as_bytes().chunks(PIECE) {
        stream.feed(piece, seen);
        std::iter::from_fn(|| stream.pop()).for_each(&mut each);
    }
    stream.finish(seen);
    std::iter::from_fn(|| stream.pop()).for_each(&mut each);
}
