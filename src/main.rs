//! Parses the arguments, installs the panic hook and hands over.

fn main() {}
