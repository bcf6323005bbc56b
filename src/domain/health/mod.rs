//! How well the sync goes, hour by hour: what became of changes, what errors came and how they ended, and how long things
//! took. All of it is sums of what `syncdeck.health` and its neighbours hold.

pub mod figures;
pub mod histogram;
pub mod history;
pub mod review;
