//! Alerts: what people are told about, and when. A [`rule::Rule`] says what is looked for; [`look::observe`] finds it in
//! how things stand; [`life::step`] makes of each find something that waits, fires and is over; [`message`] is what is
//! said about it. Functions of values and of a time that is given: no clock, no database and no channel in here.

pub mod life;
pub mod look;
pub mod message;
pub mod rule;
