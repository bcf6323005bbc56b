//! Lists that are asked for when they are looked at.

/// Something beside the record that is asked for when it is looked at.
#[derive(Debug, Default)]
pub enum Lazy<T> {
    /// Not asked for yet.
    #[default]
    Unknown,
    /// Asked for.
    Loading,
    /// There.
    Known(Vec<T>),
    /// Not to be had, and why.
    Refused(String),
}

impl<T> Lazy<T> {
    pub(super) fn len(&self) -> usize {
        if let Lazy::Known(items) = self { items.len() } else { 0 }
    }

    /// Takes an answer in.
    pub fn take(&mut self, result: Result<Vec<T>, String>) {
        *self = match result {
            Ok(items) => Lazy::Known(items),
            Err(why) => Lazy::Refused(why),
        };
    }
}
