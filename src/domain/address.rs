//! Addresses of a Salesforce org: where a secret or a token may be sent, and where not.

use std::fmt;

use url::{Host, Url};

/// The domains that Salesforce's orgs and logins live under.
const SALESFORCE: [&str; 6] =
    ["salesforce.com", "force.com", "salesforce.mil", "cloudforce.com", "sfcrmproducts.cn", "sfcrmapps.cn"];

/// An address that a secret may be sent to: https, or plain http on this machine alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgAddress(Url);

impl OrgAddress {
    /// Reads the address that an operator wrote.
    ///
    /// # Errors
    /// What is wrong with it, as it goes on behind its name.
    pub fn parse(text: &str) -> Result<OrgAddress, String> {
        let url = Url::parse(text).map_err(|error| format!("is no https URL ({error})"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("names a user before an @, which hides the host that is really asked".to_owned());
        }
        match (url.scheme(), is_loopback(&url)) {
            ("https", _) | ("http", true) => {}
            ("http", false) => {
                return Err("is no https URL; plain http is for this machine (127.0.0.1) only".to_owned());
            }
            _ => return Err("is no https URL".to_owned()),
        }
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
        let told = OrgAddress::parse(text)?;
        if self.0.scheme() == "https" && told.0.scheme() != "https" {
            return Err("is no https URL".to_owned());
        }
        if !["", "/"].contains(&told.0.path()) {
            return Err("has more than a host".to_owned());
        }
        if told.host() == self.host() || told.is_salesforce() {
            return Ok(told);
        }
        Err("is neither under Salesforce's domains nor where the login is".to_owned())
    }

    /// Host and port, for messages.
    pub fn host(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Whether it is one of Salesforce's own, at the usual port.
    fn is_salesforce(&self) -> bool {
        let Some(Host::Domain(host)) = self.0.host() else { return false };
        let below = |domain: &&str| host.strip_suffix(*domain).is_some_and(|rest| rest.ends_with('.'));
        self.0.scheme() == "https" && self.0.port().is_none() && SALESFORCE.iter().any(below)
    }
}

/// Without a slash at its end.
impl fmt::Display for OrgAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
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
}
