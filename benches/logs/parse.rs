//! From bytes to what lines say, on one core.

use std::hint::black_box;

use syncdeck::logs::line::LogFilter;
use syncdeck::logs::packed::Packed;
use syncdeck::logs::parse::line;
use syncdeck::logs::parse::splitter::Splitter;

use super::figures::counted;
use super::mix::{PIECE, each_packed, each_record, text};
use super::{a_line, medians, worked};

/// Lines.
const MANY: usize = 500_000;
/// How often they are counted, for a time that can be measured.
const COUNTED: u32 = 20;
/// Lines a second of one core that are to be read and filtered.
const WANTED: u32 = 1_000_000;
/// A filter that compares a number, and one that finds a word.
const FILTERS: [&str; 2] = ["status>=500", "salesforce"];

fn look(packed: &Packed) {
    black_box(packed);
}

pub fn figures() {
    let (text, lines) = text(MANY);
    let count = || memchr::memchr_iter(b'\n', text.as_bytes()).count();
    assert_eq!(count(), lines);
    let mut splitter = Splitter::default();
    let [counting, entries, pieces, records] = medians(
        worked,
        [
            &mut || {
                (0..COUNTED).for_each(|_| {
                    black_box(count());
                })
            },
            &mut || {
                for piece in text.as_bytes().chunks(PIECE) {
                    splitter.feed(piece, &mut |text| drop(black_box(line(text))));
                }
            },
            &mut || each_packed(&text, look),
            &mut || each_record(&text, |record| drop(black_box(record))),
        ],
    );
    let mut told = 0;
    each_record(&text, |record| told += record.message.matches('\n').count().min(1) + 1);
    counted("parse: lines that gave no record", lines.saturating_sub(told) as f64, "lines", 0.0);
    a_line("parse: lines to entries", entries, ("their ends counted", counting / COUNTED), lines, 60.0);
    a_line("parse: lines with their traces", pieces, ("lines to entries", entries), lines, 2.2);
    a_line("parse: lines to records", records, ("lines to entries", entries), lines, 3.6);
    for typed in FILTERS {
        let filter = LogFilter::parse_any(typed).unwrap();
        let mut passed = 0;
        let [plain, filtered] = medians(
            worked,
            [&mut || each_packed(&text, look), &mut || {
                each_packed(&text, |packed| passed += usize::from(filter.passes_packed(packed)))
            }],
        );
        assert!(passed > 0, "{typed}");
        let name = format!("parse: lines through {typed:?}, of {WANTED} lines/s wanted");
        a_line(&name, filtered, ("lines with their traces alone", plain), lines, 1.5);
    }
}
