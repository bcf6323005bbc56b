//! Addresses of a Salesforce org: where a secret or a token may be sent, and where not.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// The domains that Salesforce's orgs and logins live under.
const SALESFORCE: [&str; 6] =
    ["salesforce.com", "force.com", "salesforce.mil", "cloudforce.com", "sfcrmproducts.cn", "sfcrmapps.cn"];
/// The domain that Heroku Connect's regions live under.
const HEROKU: [&str; 1] = ["heroku.com"];

/// An address that a secret may be sent to: https, or plain http on this machine alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgAddress(Url);

impl OrgAddress {
    /// Reads the address that an operator wrote.
    ///
    /// # Errors
    /// What is wrong with it, as it goes on behind its name.
    pub fn parse(text: &str) -> Result<OrgAddress, String> {
        let url = secure(text)?;
        if url.host().is_none() {
            return Err("names no host".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("has more than a host and a path".to_owned());
        }
        Ok(OrgAddress(url))
    }

    /// Reads the address that the answer to this login names for the org itself: under Salesforce's own domains, or where
    /// the login is. A token that went anywhere else would be a stranger's.
    ///
    /// # Errors
    /// Why a token must not go there.
    pub fn of_answer(&self, text: &str) -> Result<OrgAddress, String> {
        self.told(text, &SALESFORCE, "is neither under Salesforce's domains nor where the login is")
    }

    /// Reads the address that Heroku Connect's API, which is asked here, names for a region: under Heroku's own domain, or
    /// where it is asked.
    ///
    /// # Errors
    /// Why an API key must not go there.
    pub fn of_region(&self, text: &str) -> Result<OrgAddress, String> {
        self.told(text, &HEROKU, "is neither under heroku.com nor where its API is asked")
    }

    /// An address that an answer names: below one of these domains, or where it was asked.
    fn told(&self, text: &str, domains: &[&str], elsewhere: &str) -> Result<OrgAddress, String> {
        let told = OrgAddress::parse(text)?;
        if self.0.scheme() == "https" && told.0.scheme() != "https" {
            return Err("is no https URL".to_owned());
        }
        if !["", "/"].contains(&told.0.path()) {
            return Err("has more than a host".to_owned());
        }
        if told.host() == self.host() || told.is_below(domains) {
            return Ok(told);
        }
        Err(elsewhere.to_owned())
    }

    /// Host and port, for messages.
    pub fn host(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Whether it is below one of these domains, at the usual port.
    fn is_below(&self, domains: &[&str]) -> bool {
        let Some(Host::Domain(host)) = self.0.host() else { return false };
        let below = |domain: &&str| host.strip_suffix(*domain).is_some_and(|rest| rest.ends_with('.'));
        self.0.scheme() == "https" && self.0.port().is_none() && domains.iter().any(below)
    }
}

/// Without a slash at its end.
impl fmt::Display for OrgAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// What is asked over https, or over plain http on this machine alone, with nothing before its host that hides it.
fn secure(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is no https URL ({error})"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("names a user before an @, which hides the host that is really asked".to_owned());
    }
    match (url.scheme(), is_loopback(&url)) {
        ("https", _) | ("http", true) => Ok(url),
        ("http", false) => Err("is no https URL; plain http is for this machine (127.0.0.1) only".to_owned()),
        _ => Err("is no https URL".to_owned()),
    }
}

/// An address that what alerts tell may be sent to: https, or plain http on this machine alone, and never one that only
/// this machine's surroundings answer at, such as a cloud's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it, as it goes on behind its name; never a part of it, which may be a secret.
    pub fn parse(text: &str) -> Result<Endpoint, String> {
        let url = secure(text)?;
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) => None,
            None => return Err("names no host".to_owned()),
        };
        match address {
            Some(address) if is_of_surroundings(address) => Err(SURROUNDINGS.to_owned()),
            _ => Ok(Endpoint(url)),
        }
    }

    /// The address.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Host and port, for messages: the rest may be a secret.
    pub fn host(&self) -> String {
        OrgAddress(self.0.clone()).host()
    }
}

/// Why nothing is sent there.
pub const SURROUNDINGS: &str = "is an address of this machine's surroundings (link-local or metadata)";

/// Whether nothing may be sent to an address, whatever name led there: link-local ones, where clouds keep what machines
/// may know of themselves, and those that are nobody's.
pub fn is_of_surroundings(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_link_local()
                || address.is_unspecified()
                || address.is_broadcast()
                || address.is_multicast()
                // Alibaba's metadata lies among the addresses of carriers, Oracle's older one in 192.0.0.0/24.
                || address == Ipv4Addr::new(100, 100, 100, 200)
                || address.octets()[..3] == [192, 0, 0]
        }
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => is_of_surroundings(IpAddr::V4(mapped)),
            None => {
                address.is_unspecified()
                    || address.is_multicast()
                    || address.segments()[0] & 0xffc0 == 0xfe80
                    // Amazon's metadata by IPv6.
                    || address.segments()[..3] == [0xfd00, 0x0ec2, 0]
                    // An address of IPv4 in one of a translator.
                    || (address.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0]
                        && is_of_surroundings(IpAddr::V4(last_four(address))))
            }
        },
    }
}

fn last_four(address: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = address.octets();
    Ipv4Addr::new(a, b, c, d)
}

/// Whether a host's name or address is this machine.
pub fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether the host is this machine, as a parser of URLs reads it.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_by_https_or_stays_on_this_machine() {
        for good in [
            "https://acme.my.salesforce.com",
            "https://acme.my.salesforce.com/",
            "https://login.salesforce.com",
            "https://acme.my.site.com/partners",
            "http://127.0.0.1:8080",
            "http://127.9.9.9",
            "http://localhost:1",
            "http://[::1]:8080",
        ] {
            assert!(OrgAddress::parse(good).is_ok(), "{good}");
        }
        for (bad, part) in [
            ("http://acme.my.salesforce.com", "plain http"),
            ("http://localhost.evil.example.com", "plain http"),
            ("http://127.0.0.1.evil.example.com", "plain http"),
            ("http://127.0.0.1@evil.example.com", "before an @"),
            ("http://127.0.0.1:80@evil.example.com", "before an @"),
            ("https://acme.my.salesforce.com@evil.example.com", "before an @"),
            ("http://0.0.0.0", "plain http"),
            ("http://169.254.169.254", "plain http"),
            ("ftp://127.0.0.1", "no https"),
            ("file:///etc/passwd", "no https"),
            ("acme.my.salesforce.com", "no https"),
            ("https://", "no https"),
            ("https://acme.my.salesforce.com?next=evil", "more than a host"),
        ] {
            let why = OrgAddress::parse(bad).expect_err(bad);
            assert!(why.contains(part), "{bad}: {why}");
        }
    }

    #[test]
    fn a_token_goes_to_salesforce_or_where_the_login_is() {
        let of = |login: &str, told: &str| {
            OrgAddress::parse(login).unwrap().of_answer(told).map(|address| address.to_string())
        };
        let real = "https://acme.my.salesforce.com";
        for told in [real, "https://acme--dev.sandbox.my.salesforce.com", "https://na1.salesforce.com/"] {
            assert_eq!(of(real, told), Ok(told.trim_end_matches('/').to_owned()));
        }
        assert!(of("http://127.0.0.1:8080", "http://127.0.0.1:8080").is_ok());
        assert!(of("https://org.inside.example", "https://org.inside.example").is_ok());
        for (login, told) in [
            (real, "https://evil.example.com"),
            (real, "https://evilsalesforce.com"),
            (real, "https://acme.my.salesforce.com.evil.example.com"),
            (real, "https://acme.my.salesforce.com@evil.example.com"),
            (real, "https://acme.my.salesforce.com:8443"),
            (real, "http://acme.my.salesforce.com"),
            (real, "http://127.0.0.1"),
            (real, "https://acme.my.salesforce.com/services/evil"),
            (real, "https://169.254.169.254"),
            (real, ""),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8081"),
            ("http://127.0.0.1:8080", "http://localhost:8080"),
            ("http://127.0.0.1:8080", "http://169.254.169.254"),
            ("https://org.inside.example", "https://org.inside.example:8443"),
        ] {
            assert!(of(login, told).is_err(), "{login} {told}");
        }
    }

    #[test]
    fn an_api_key_goes_to_heroku_or_where_its_api_is() {
        let of = |hub: &str, told: &str| OrgAddress::parse(hub).unwrap().of_region(told).is_ok();
        let hub = "https://hc-central.heroku.com";
        assert!(of(hub, "https://connect-3-virginia.heroku.com/") && of(hub, hub));
        assert!(of("http://127.0.0.1:8080", "http://127.0.0.1:8080"));
        for told in [
            "https://evil.example.com",
            "https://connect-virginia.heroku.com.evil.example.com",
            "https://evilheroku.com",
            "https://acme.herokuapp.com",
            "http://connect-virginia.heroku.com",
            "http://127.0.0.1",
            "https://connect-virginia.heroku.com/path",
            "https://login.salesforce.com",
            "",
        ] {
            assert!(!of(hub, told), "{told}");
        }
    }

    #[test]
    fn nothing_is_told_to_a_machines_surroundings() {
        for good in [
            "https://hooks.slack.com/services/a/b/c?d=e",
            "http://127.0.0.1:8080/hook",
            "http://[::1]/hook",
            "https://10.1.2.3/hook",
        ] {
            assert!(Endpoint::parse(good).is_ok(), "{good}");
        }
        for (bad, part) in [
            ("http://hooks.acme.com/secret", "plain http"),
            ("https://user:secret@hooks.acme.com", "before an @"),
            ("https://169.254.169.254/latest", "surroundings"),
            ("https://0xA9FEA9FE/latest", "surroundings"),
            ("https://[::ffff:169.254.169.254]/", "surroundings"),
            ("https://[fe80::1]/", "surroundings"),
            ("https://[fd00:ec2::254]/", "surroundings"),
            ("https://[64:ff9b::a9fe:a9fe]/", "surroundings"),
            ("https://100.100.100.200/", "surroundings"),
            ("https://0.0.0.0/", "surroundings"),
            ("file:///etc/passwd", "no https"),
            ("secret", "no https"),
        ] {
            let why = Endpoint::parse(bad).expect_err(bad);
            assert!(why.contains(part) && !why.contains("secret"), "{bad}: {why}");
        }
        assert!(is_local("localhost") && is_local("127.0.0.1") && !is_local("localhost.evil.example.com"));
    }
}
