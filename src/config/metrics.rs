//! `[metrics]`: where Prometheus and whoever supervises an engine ask how it is.

use std::net::{Ipv4Addr, SocketAddr};

use serde::Deserialize;
use toml::Spanned;

use super::ConfigError;
use super::connections::WrittenConnection;
use super::written::Check;

/// Where an engine answers that is told nothing else.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9645);

/// Where an engine answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Address and port.
    pub listen: SocketAddr,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MetricsKeys {
    #[serde(default)]
    listen: Option<Spanned<String>>,
    #[serde(default)]
    network: bool,
}

impl Check<'_> {
    /// What `[metrics]` says; without the table nothing listens.
    pub(super) fn metrics(&self, keys: Option<&MetricsKeys>) -> Result<Option<Metrics>, ConfigError> {
        let Some(keys) = keys else { return Ok(None) };
        let Some(written) = &keys.listen else { return Ok(Some(Metrics { listen: LISTEN })) };
        // A port alone is one of this machine's.
        let port = written.get_ref().parse().map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let listen = port.or_else(|_| written.get_ref().parse()).map_err(|_| {
            let remedy = format!("write \"{LISTEN}\" or \"{}\"", LISTEN.port());
            self.refuse(written, "metrics.listen", "is no address with a port", &remedy)
        })?;
        if !listen.ip().is_loopback() && !keys.network {
            let problem = "is open to other machines, and whoever reaches it reads how the sync goes";
            let remedy = "listen on 127.0.0.1, or set network = true where a firewall keeps others out";
            return Err(self.refuse(written, "metrics.listen", problem, remedy));
        }
        Ok(Some(Metrics { listen }))
    }

    /// Engines of several connections may run in one program, and each needs an address of its own.
    pub(super) fn refuse_shared_addresses(
        &self,
        connections: &[WrittenConnection],
    ) -> Result<(), ConfigError> {
        let mut taken: Vec<(SocketAddr, &str)> = Vec::new();
        for connection in connections {
            let check = self.below(&connection.place);
            let Some(Metrics { listen }) = check.metrics(connection.metrics.as_ref())? else { continue };
            let name = connection.name.get_ref();
            if let Some((_, other)) = taken.iter().find(|(at, _)| *at == listen && listen.port() != 0) {
                let problem = format!("is the address of connection {other} already");
                let written = connection.metrics.as_ref().and_then(|keys| keys.listen.as_ref());
                let at = written.map_or(connection.name.span().start, |written| written.span().start);
                return Err(check.refuse_at(
                    at,
                    "metrics.listen",
                    &problem,
                    "give each connection a port of its own",
                ));
            }
            taken.push((listen, name));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;

    const ONE: &str = "[connection]\nname = \"acme\"\n[postgres]\nurl = \"postgresql:///app\"\n[salesforce]\n\
        login_url = \"https://acme.my.salesforce.com\"\nclient_id = \"id\"\nclient_secret = \"hush\"\n\
        [[mapping]]\nobject = \"Contact\"\nfields = [\"LastName\"]\n";

    fn listens(more: &str) -> Result<Option<String>, String> {
        let config = Config::parse(Path::new("/nowhere/x.toml"), &format!("{ONE}{more}"));
        config.map(|config| config.metrics.map(|at| at.listen.to_string())).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_listens_unless_it_is_asked_for_and_then_on_this_machine() {
        assert_eq!(listens(""), Ok(None));
        for (more, at) in [
            ("[metrics]\n", "127.0.0.1:9645"),
            ("[metrics]\nlisten = \"9100\"\n", "127.0.0.1:9100"),
            ("[metrics]\nlisten = \"[::1]:9100\"\n", "[::1]:9100"),
            ("[metrics]\nlisten = \"0.0.0.0:9100\"\nnetwork = true\n", "0.0.0.0:9100"),
        ] {
            assert_eq!(listens(more), Ok(Some(at.to_owned())), "{more}");
        }
    }

    #[test]
    fn what_is_wrong_is_refused_by_line_and_remedy() {
        for (more, wanted) in [
            (
                "listen = \"here\"",
                "x.toml:13: metrics.listen: is no address with a port\nwrite \"127.0.0.1:9645\" or",
            ),
            ("listen = \"0.0.0.0:9645\"", "x.toml:13: metrics.listen: is open to other machines"),
            ("port = 1", "x.toml:13: unknown field `port`"),
        ] {
            let refused = listens(&format!("[metrics]\n{more}\n")).unwrap_err();
            assert!(refused.contains(wanted), "{refused}");
        }
    }

    #[test]
    fn two_connections_do_not_share_an_address() {
        let of = |name: &str, metrics: &str| {
            let part = ONE.split_once("[postgres]").unwrap().1.replace("///app", &format!("///{name}"));
            let part =
                format!("[postgres]{part}").replace("[postgres]", &format!("[connections.{name}.postgres]"));
            let part = part.replace("[salesforce]", &format!("[connections.{name}.salesforce]"));
            let part = part.replace("[[mapping]]", &format!("[[connections.{name}.mapping]]"));
            format!("[connections.{name}]\n{part}[connections.{name}.metrics]\n{metrics}\n")
        };
        let parsed = |other: &str| {
            let text = format!("{}{}", of("acme", "listen = \"9100\""), of("other", other));
            Config::parse(Path::new("/nowhere/x.toml"), &text).map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(parsed("listen = \"9101\""), Ok(()));
        let refused = parsed("listen = \"127.0.0.1:9100\"").unwrap_err();
        assert!(
            refused.contains("connections.other.metrics.listen: is the address of connection acme"),
            "{refused}"
        );
    }
}
