//! Names are looked up here, so that none leads to an address of this machine's surroundings, whoever answers for it.

use std::error::Error;
use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

pub(super) use crate::domain::values::address::SURROUNDINGS as REFUSED;
use crate::domain::values::address::is_of_surroundings;

/// Looks names up for HTTP.
pub(super) struct AddressGuard;

impl Resolve for AddressGuard {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = lookup(name.as_str(), 0).await?;
            let found: Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}

/// The addresses of a name.
///
/// # Errors
/// When there are none, or one of them is refused: a name that leads to good and bad ones by turns is a trap.
pub(super) async fn lookup(name: &str, port: u16) -> Result<Vec<SocketAddr>, Box<dyn Error + Send + Sync>> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host((name, port)).await?.collect();
    checked(found)
}

fn checked(found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Box<dyn Error + Send + Sync>> {
    if found.iter().any(|address| is_of_surroundings(address.ip())) {
        return Err(REFUSED.into());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_address_spoils_a_name() {
        let of = |texts: &[&str]| checked(texts.iter().map(|text| text.parse().unwrap()).collect()).is_ok();
        assert!(of(&["203.0.113.7:0", "[2001:db8::1]:0"]) && of(&["127.0.0.1:0"]));
        assert!(!of(&["203.0.113.7:0", "169.254.169.254:0"]) && !of(&["[fe80::1]:0"]));
    }
}
