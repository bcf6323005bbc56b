//! How benches tell what they measured: one JSON line a figure, with its limit.

use serde_json::json;

/// Prints a count, which must be at most `limit`.
pub fn counted(name: &str, value: f64, unit: &str, limit: f64) {
    let value = rounded(value);
    println!(
        "{}",
        json!({"figure": name, "value": value, "unit": unit, "limit": limit, "ok": value <= limit})
    );
}

/// What a figure is measured by: what it is, and its own figure.
pub type Peer<'a> = (&'a str, f64);

/// Prints a figure and its peer's, of which it must be at most `limit` times as much.
pub fn figure(name: &str, value: f64, unit: &str, (peer, beside): Peer<'_>, limit: f64) {
    let ratio = rounded(value / beside);
    let (value, beside) = (rounded(value), rounded(beside));
    println!(
        "{}",
        json!({"figure": name, "value": value, "unit": unit, "peer": peer, "beside": beside, "ratio": ratio,
            "limit": limit, "ok": ratio <= limit})
    );
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
