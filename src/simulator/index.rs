//! Which records have a value. A record is its number here, and a value that only one has takes no set: there is an entry
//! for every record of a million, and for each of its keys.

use std::collections::{BTreeSet, HashMap};

/// The records of one object by the values of one key.
#[derive(Debug, Default)]
pub(super) struct Index(HashMap<Box<str>, Numbers>);

#[derive(Debug)]
#[allow(
    clippy::box_collection,
    reason = "a set in its place would make the entry of every single value larger"
)]
enum Numbers {
    One(u32),
    Several(Box<BTreeSet<u32>>),
}

impl Index {
    pub(super) fn add(&mut self, value: &str, number: u32) {
        let Some(numbers) = self.0.get_mut(value) else {
            self.0.insert(Box::from(value), Numbers::One(number));
            return;
        };
        match numbers {
            Numbers::One(one) if *one == number => {}
            Numbers::One(one) => *numbers = Numbers::Several(Box::new(BTreeSet::from([*one, number]))),
            Numbers::Several(several) => drop(several.insert(number)),
        }
    }

    pub(super) fn remove(&mut self, value: &str, number: u32) {
        let is_empty = match self.0.get_mut(value) {
            Some(Numbers::One(one)) => *one == number,
            Some(Numbers::Several(several)) => {
                several.remove(&number);
                several.is_empty()
            }
            None => false,
        };
        if is_empty {
            self.0.remove(value);
        }
    }

    /// The numbers of the records that have a value, the lowest first.
    pub(super) fn get(&self, value: &str) -> Vec<u32> {
        match self.0.get(value) {
            Some(Numbers::One(one)) => vec![*one],
            Some(Numbers::Several(several)) => several.iter().copied().collect(),
            None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_nobody_has_any_more_is_forgotten() {
        let mut index = Index::default();
        for number in [3, 1, 3] {
            index.add("a", number);
        }
        assert_eq!((index.get("a"), index.get("b")), (vec![1, 3], vec![]));
        index.remove("a", 1);
        index.remove("a", 7);
        assert_eq!(index.get("a"), [3]);
        index.remove("a", 3);
        assert!(index.get("a").is_empty() && index.0.is_empty());
    }
}
