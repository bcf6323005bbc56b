//! Pictures out of block characters: a line of small bars, and a bar of a length.

/// Heights of a bar in one cell, the lowest first.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The newest values in exactly `width` cells, each as high as it is beside the highest of `top`; nothing is a blank.
/// Where there are more values than cells, neighbours are added up.
pub fn sparkline(values: &[i64], width: usize, top: i64) -> String {
    let joined = fold(values, width);
    let bars = joined.iter().map(|value| match (*value, top) {
        (..=0, _) | (_, ..=0) => ' ',
        (value, top) => {
            let height = (value.min(top) * HEIGHTS.len() as i64 + top - 1) / top - 1;
            HEIGHTS[usize::try_from(height).unwrap_or(0).min(HEIGHTS.len() - 1)]
        }
    });
    let bars: String = bars.collect();
    format!("{bars:>width$}")
}

/// The values as [`sparkline`] shows them: as many as there are cells.
pub fn fold(values: &[i64], width: usize) -> Vec<i64> {
    let each = values.len().div_ceil(width.max(1)).max(1);
    // The newest cell is whole; the oldest may stand for fewer values.
    values.rchunks(each).map(|part| part.iter().sum()).rev().collect()
}

/// A thin bar as long as `value` is of `top`, in at most `width` cells; whatever there is shows.
pub fn thin_bar(value: i64, top: i64, width: usize) -> String {
    bar(value, top, width).replace('█', "━")
}

/// A bar as long as `value` is of `top`, in at most `width` cells; whatever there is shows.
pub fn bar(value: i64, top: i64, width: usize) -> String {
    let width = width as i64;
    let cells =
        if top > 0 && width > 0 { (value * width / top).clamp(i64::from(value > 0), width) } else { 0 };
    "█".repeat(usize::try_from(cells).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_fills_its_cell_and_little_is_seen_too() {
        assert_eq!(sparkline(&[0, 1, 50, 100], 4, 100), " ▁▄█");
        assert_eq!(sparkline(&[5], 3, 5), "  █");
        assert_eq!(sparkline(&[], 2, 0), "  ");
        assert_eq!(fold(&[1, 1, 1, 1, 1], 3), [1, 2, 2]);
        assert_eq!([bar(1, 1_000, 10), bar(0, 10, 10), bar(10, 10, 3), bar(10, 10, 0)], ["█", "", "███", ""]);
    }
}
