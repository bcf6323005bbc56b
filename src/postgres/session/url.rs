//! A database's address as libpq reads it: a URL or `key=value` pairs, with libpq's parameters in libpq's meaning. What
//! cannot be had here is refused by name: a parameter that is passed over would be a promise that nobody keeps.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, Host, SslMode, SslNegotiation};

use crate::postgres::session::conninfo::parameters;
use crate::postgres::session::passfile;
use crate::postgres::session::tls::{Mode, Root, Wishes};

/// How long a server that does not answer is tried, unless the address says otherwise.
const CONNECT: Duration = Duration::from_secs(5);

/// One server that an address names.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::postgres) struct ServerAddress {
    /// By name, or by the directory of its socket.
    pub(in crate::postgres) host: Host,
    /// Where the name need not be looked up.
    pub(in crate::postgres) address: Option<IpAddr>,
    /// Its port.
    pub(in crate::postgres) port: u16,
}

impl ServerAddress {
    /// The name that its certificate must have.
    pub(in crate::postgres) fn name(&self) -> String {
        match (&self.host, self.address) {
            (Host::Tcp(name), _) if !name.is_empty() => name.clone(),
            (_, Some(address)) => address.to_string(),
            _ => "localhost".to_owned(),
        }
    }

    pub(in crate::postgres) fn is_here(&self) -> bool {
        match &self.host {
            Host::Unix(_) => true,
            Host::Tcp(name) if name.is_empty() => self.address.is_some_and(|address| address.is_loopback()),
            Host::Tcp(name) => ["localhost", "127.0.0.1", "::1"].contains(&name.as_str()),
        }
    }
}

/// What a session must be able to do (`target_session_attrs`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::postgres) enum SessionKind {
    #[default]
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    /// A standby if there is one.
    PreferStandby,
}

/// What is asked of TCP (`keepalives...`, `tcp_user_timeout`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::postgres) struct Keeping {
    pub(in crate::postgres) off: bool,
    pub(in crate::postgres) idle: Option<Duration>,
    pub(in crate::postgres) interval: Option<Duration>,
    pub(in crate::postgres) count: Option<u32>,
    pub(in crate::postgres) user_timeout: Option<Duration>,
}

/// An address, understood.
#[derive(Clone, Debug)]
pub(in crate::postgres) struct Address {
    /// For the driver.
    pub(in crate::postgres) config: Config,
    pub(in crate::postgres) targets: Vec<ServerAddress>,
    pub(in crate::postgres) wanted: SessionKind,
    pub(in crate::postgres) keeping: Keeping,
    /// Whether the servers are tried in any order.
    pub(in crate::postgres) shuffled: bool,
    pub(in crate::postgres) tls: Wishes,
}

/// A sentence with what is wrong and, behind a line end, what to do.
type Refused = String;

impl Address {
    /// Reads an address.
    pub(in crate::postgres) fn read(text: &str, application: &str) -> Result<Address, Refused> {
        let mut given = Parameters(parameters(text).map_err(|why| {
            format!(
                "the database URL is not one PostgreSQL understands: {why}\n\
                 it looks like postgresql://user@host:5432/database?sslmode=verify-full"
            )
        })?);
        let mut config = Config::new();
        let targets = targets(&mut given, &mut config)?;
        let tls = wishes(&mut given, &targets, &mut config)?;
        session(&mut given, application, &mut config)?;
        let address = Address {
            wanted: wanted(&mut given)?,
            keeping: keeping(&mut given)?,
            shuffled: given.one_of("load_balance_hosts", &["disable", "random"])?.as_deref()
                == Some("random"),
            config,
            targets,
            tls,
        };
        passed_over(&mut given)?;
        Ok(address.with_kept_password(given.take("passfile")))
    }

    /// With the password that is kept in a file, where the address has none.
    fn with_kept_password(mut self, file: Option<String>) -> Address {
        if self.config.get_password().is_none()
            && let Some(password) = passfile::password(file.map(PathBuf::from), &self.config, &self.targets)
        {
            self.config.password(password);
        }
        self
    }
}

/// What an address gives, by libpq's names; what is taken is not left over.
struct Parameters(BTreeMap<String, String>);

impl Parameters {
    fn take(&mut self, key: &str) -> Option<String> {
        self.0.remove(key).filter(|value| !value.is_empty())
    }

    fn number(&mut self, key: &str) -> Result<Option<i64>, Refused> {
        let Some(text) = self.take(key) else { return Ok(None) };
        let number = text
            .trim()
            .parse()
            .map_err(|_| format!("{key}={text} in the database URL is no whole number"))?;
        Ok(Some(number))
    }

    fn seconds(&mut self, key: &str) -> Result<Option<Duration>, Refused> {
        let number = self.number(key)?.and_then(|number| u64::try_from(number).ok());
        Ok(number.filter(|number| *number > 0).map(Duration::from_secs))
    }

    fn one_of(&mut self, key: &str, known: &[&str]) -> Result<Option<String>, Refused> {
        let value = self.take(key);
        match &value {
            Some(value) if !known.contains(&value.as_str()) => {
                Err(format!("{key}={value} in the database URL is unknown; use {}", listed(known)))
            }
            _ => Ok(value),
        }
    }
}

/// `a, b or c`.
fn listed(words: &[&str]) -> String {
    match words {
        [all @ .., last] if !all.is_empty() => format!("{} or {last}", all.join(", ")),
        _ => words.join(""),
    }
}

/// The servers, each with its own port.
fn targets(given: &mut Parameters, config: &mut Config) -> Result<Vec<ServerAddress>, Refused> {
    let list = |text: Option<String>| -> Vec<String> {
        text.map(|text| text.split(',').map(|one| one.trim().to_owned()).collect()).unwrap_or_default()
    };
    let (hosts, addresses, ports) =
        (list(given.take("host")), list(given.take("hostaddr")), list(given.take("port")));
    let count = hosts.len().max(addresses.len()).max(1);
    let uneven = |name: &str, found: usize| {
        format!(
            "the database URL names {count} servers and {found} values of {name}\ngive each server its own"
        )
    };
    for (name, found) in [("host", hosts.len()), ("hostaddr", addresses.len())] {
        if found != 0 && found != count {
            return Err(uneven(name, found));
        }
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(uneven("port", ports.len()));
    }
    let mut targets = Vec::new();
    for at in 0..count {
        let port = match ports.get(at).or(ports.first()).map(String::as_str) {
            None | Some("") => 5432,
            Some(port) => port.parse().map_err(|_| format!("port={port} in the database URL is no port"))?,
        };
        let address: Option<IpAddr> = match addresses.get(at).map(String::as_str) {
            None | Some("") => None,
            Some(address) => Some(address.parse().map_err(|_| {
                format!("hostaddr={address} in the database URL is no numeric address\nname a host by host=")
            })?),
        };
        let host = match hosts.get(at).map(String::as_str) {
            Some(path) if path.starts_with('/') => Host::Unix(path.into()),
            Some(name) if !name.is_empty() => Host::Tcp(name.to_owned()),
            _ if address.is_some() => Host::Tcp(String::new()),
            _ => usual_place(port),
        };
        match (&host, address) {
            (Host::Unix(path), _) => config.host_path(path),
            (Host::Tcp(_), Some(address)) if hosts.is_empty() => config.host(address.to_string()),
            (Host::Tcp(name), _) => config.host(name),
        };
        config.port(port);
        targets.push(ServerAddress { host, address, port });
    }
    Ok(targets)
}

/// Where a server is that nobody names: behind its socket, else on this machine.
fn usual_place(port: u16) -> Host {
    let places = ["/var/run/postgresql", "/tmp"].map(PathBuf::from);
    let socket = places.into_iter().find(|place| place.join(format!(".s.PGSQL.{port}")).exists());
    socket.map_or_else(|| Host::Tcp("localhost".to_owned()), Host::Unix)
}

/// User, database and what the server is told.
fn session(given: &mut Parameters, application: &str, config: &mut Config) -> Result<(), Refused> {
    if let Some(user) = given.take("user") {
        config.user(user);
    }
    if let Some(password) = given.take("password") {
        config.password(password);
    }
    if let Some(database) = given.take("dbname") {
        config.dbname(database);
    }
    if let Some(options) = given.take("options") {
        config.options(options);
    }
    // What our sessions are called says more than a name for want of a better one.
    given.take("fallback_application_name");
    config.application_name(given.take("application_name").unwrap_or_else(|| application.to_owned()));
    let limit = match given.number("connect_timeout")? {
        None => Some(CONNECT),
        Some(seconds) => u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs),
    };
    if let Some(limit) = limit {
        config.connect_timeout(limit);
    }
    match given.one_of("channel_binding", &["disable", "prefer", "require"])?.as_deref() {
        Some("disable") => config.channel_binding(ChannelBinding::Disable),
        Some("require") => config.channel_binding(ChannelBinding::Require),
        _ => config.channel_binding(ChannelBinding::Prefer),
    };
    match given.take("client_encoding") {
        Some(encoding)
            if !["auto", "utf8", "utf-8", "unicode"].contains(&encoding.to_lowercase().as_str()) =>
        {
            Err(format!(
                "client_encoding={encoding} in the database URL cannot be had\nleave it out: texts are UTF-8"
            ))
        }
        _ => Ok(()),
    }
}

fn wanted(given: &mut Parameters) -> Result<SessionKind, Refused> {
    let known = ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"];
    Ok(match given.one_of("target_session_attrs", &known)?.as_deref() {
        Some("read-write") => SessionKind::ReadWrite,
        Some("read-only") => SessionKind::ReadOnly,
        Some("primary") => SessionKind::Primary,
        Some("standby") => SessionKind::Standby,
        Some("prefer-standby") => SessionKind::PreferStandby,
        _ => SessionKind::Any,
    })
}

fn keeping(given: &mut Parameters) -> Result<Keeping, Refused> {
    let millis = given.number("tcp_user_timeout")?.and_then(|millis| u64::try_from(millis).ok());
    // The driver's name for what libpq calls keepalives_count.
    let count = given.number("keepalives_count")?.or(given.number("keepalives_retries")?);
    Ok(Keeping {
        off: given.number("keepalives")? == Some(0),
        idle: given.seconds("keepalives_idle")?,
        interval: given.seconds("keepalives_interval")?,
        count: count.and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0),
        user_timeout: millis.filter(|millis| *millis > 0).map(Duration::from_millis),
    })
}

/// Everything about TLS: `verify-full` unless all servers are on this machine, or the address says otherwise.
fn wishes(given: &mut Parameters, targets: &[ServerAddress], config: &mut Config) -> Result<Wishes, Refused> {
    let old = given
        .take("requiressl")
        .filter(|value| value == "1")
        .or(given.take("ssl").filter(|value| value == "true"));
    let known = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
    let said = given.one_of("sslmode", &known)?.or(old.map(|_| "require".to_owned()));
    let root = match given.take("sslrootcert") {
        Some(system) if system == "system" => Some(Root::System),
        Some(file) => Some(Root::File(file.into())),
        None => None,
    };
    let here = targets.iter().all(ServerAddress::is_here);
    let mode = match (said.as_deref(), &root) {
        (None, Some(Root::System)) => "verify-full",
        (Some(weak), Some(Root::System)) if weak != "verify-full" => {
            return Err(format!(
                "sslmode={weak} in the database URL is too weak for sslrootcert=system, where anybody may have a certificate\n\
                 use sslmode=verify-full"
            ));
        }
        (Some(mode), _) => mode,
        (None, _) if here => "prefer",
        (None, _) => "verify-full",
    };
    let (ssl, mode) = match mode {
        "disable" => (SslMode::Disable, Mode::AnyCertificate),
        "allow" | "prefer" => (SslMode::Prefer, Mode::AnyCertificate),
        // As libpq has it, for the sake of old addresses: who names an authority means it.
        "require" if root.is_some() => (SslMode::Require, Mode::Authority),
        "require" => (SslMode::Require, Mode::AnyCertificate),
        "verify-ca" => (SslMode::Require, Mode::Authority),
        _ => (SslMode::Require, Mode::AuthorityAndName),
    };
    config.ssl_mode(ssl);
    let direct = given.one_of("sslnegotiation", &["postgres", "direct"])?.as_deref() == Some("direct");
    if direct && ssl != SslMode::Require {
        return Err("sslnegotiation=direct in the database URL needs sslmode=require or more".to_owned());
    }
    config.ssl_negotiation(if direct { SslNegotiation::Direct } else { SslNegotiation::Postgres });
    let certificate = match (given.take("sslcert"), given.take("sslkey")) {
        (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
        (None, None) => None,
        _ => {
            return Err(
                "sslcert and sslkey in the database URL belong together\ngive both, or none".to_owned()
            );
        }
    };
    let no_certificate = given.one_of("sslcertmode", &["disable", "allow"])?.as_deref() == Some("disable");
    let versions = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];
    let oldest = given.one_of("ssl_min_protocol_version", &versions)?;
    let newest = given.one_of("ssl_max_protocol_version", &versions)?;
    if newest.as_deref().is_some_and(|newest| newest < "TLSv1.2") {
        return Err(
            "ssl_max_protocol_version in the database URL is older than TLSv1.2, which is the oldest here"
                .to_owned(),
        );
    }
    Ok(Wishes {
        mode,
        root,
        certificate: certificate.filter(|_| !no_certificate),
        hides_name: given.take("sslsni").is_some_and(|sni| sni == "0"),
        only_tls13: oldest.as_deref() == Some("TLSv1.3"),
        only_tls12: newest.as_deref() == Some("TLSv1.2"),
        direct,
    })
}

/// What may be left out because it changes nothing here, and what may not.
fn passed_over(given: &mut Parameters) -> Result<(), Refused> {
    if given.take("gssencmode").is_some_and(|mode| mode == "require") {
        return Err(
            "gssencmode=require in the database URL cannot be had\nencrypt by TLS: sslmode=verify-full"
                .to_owned(),
        );
    }
    // Of a login by Kerberos, of which there is none here, and of what newer servers no longer do.
    for key in ["krbsrvname", "gsslib", "gssdelegation", "sslcompression"] {
        given.take(key);
    }
    if given.take("replication").is_some_and(|value| !["false", "off", "no", "0"].contains(&value.as_str())) {
        return Err("replication in the database URL cannot be had\nleave it out".to_owned());
    }
    let Some(key) =
        given.0.iter().find(|(key, value)| *key != "passfile" && !value.is_empty()).map(|(key, _)| key)
    else {
        return Ok(());
    };
    let instead = match key.as_str() {
        "service" | "servicefile" => {
            "write out in the URL what the service's section of pg_service.conf says"
        }
        "sslpassword" => "take the password off the key: openssl pkey -in client.key -out client-plain.key",
        "sslcrl" | "sslcrldir" => {
            "leave it out, and take the authority of a revoked certificate out of sslrootcert"
        }
        "require_auth" => "leave it out; sslmode=verify-full makes sure whom the password is told",
        "sslcertmode" => "use disable or allow",
        key if key.starts_with("oauth") || key.starts_with("scram") => {
            "use a password, or a certificate by sslcert and sslkey"
        }
        _ => "leave it out, or correct its name",
    };
    Err(format!("the parameter {key} in the database URL is not supported\n{instead}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Address {
        Address::read(text, "ours").unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    #[test]
    fn an_address_is_read_in_both_forms() {
        let url = read("postgresql://ann:p%40ss@h:5433/acme?options=-c%20geqo%3Doff");
        let pairs = read("host=h port = 5433 user=ann password='p@ss' dbname=acme options='-c geqo=off'");
        for address in [&url, &pairs] {
            assert_eq!(address.config.get_user(), Some("ann"));
            assert_eq!(address.config.get_password(), Some(b"p@ss".as_slice()));
            assert_eq!(address.config.get_options(), Some("-c geqo=off"));
            assert_eq!(
                address.targets,
                [ServerAddress { host: Host::Tcp("h".to_owned()), address: None, port: 5433 }]
            );
        }
        // What nobody encoded.
        assert_eq!(read("postgres://ann:a/b@c@h/acme").config.get_password(), Some(b"a/b@c".as_slice()));
        assert_eq!(read("postgres://h/acme?user=a@b").config.get_user(), Some("a@b"));
    }

    #[test]
    fn servers_are_named_in_every_way_that_libpq_knows() {
        let named = |text: &str| -> Vec<String> {
            let one = |target: &ServerAddress| match &target.host {
                Host::Unix(path) => format!("{}:{}", path.display(), target.port),
                Host::Tcp(name) => match target.address {
                    Some(address) => format!("{name}@{address}:{}", target.port),
                    None => format!("{name}:{}", target.port),
                },
            };
            read(text).targets.iter().map(one).collect()
        };
        for (text, wanted) in [
            ("postgresql://h/d", vec!["h:5432"]),
            ("postgresql://a:1,b,c:3/d", vec!["a:1", "b:5432", "c:3"]),
            ("postgresql://[::1]:6/d", vec!["::1:6"]),
            ("postgresql://%2Fvar%2Frun:6/d", vec!["/var/run:6"]),
            ("postgresql:///d?host=/tmp/one&port=6", vec!["/tmp/one:6"]),
            ("postgresql://h/d?hostaddr=10.0.0.1", vec!["h@10.0.0.1:5432"]),
            ("hostaddr=10.0.0.1,10.0.0.2 port=7", vec!["@10.0.0.1:7", "@10.0.0.2:7"]),
            ("postgresql://h/d?host=other", vec!["other:5432"]),
        ] {
            assert_eq!(named(text), wanted, "{text}");
        }
    }

    #[test]
    fn modes_mean_what_they_mean_in_libpq() {
        let file = || Some(Root::File("/ca.crt".into()));
        for (query, ssl, mode, root) in [
            ("", SslMode::Require, Mode::AuthorityAndName, None),
            ("sslmode=disable", SslMode::Disable, Mode::AnyCertificate, None),
            ("sslmode=allow", SslMode::Prefer, Mode::AnyCertificate, None),
            ("sslmode=prefer&sslrootcert=/ca.crt", SslMode::Prefer, Mode::AnyCertificate, file()),
            ("sslmode=require", SslMode::Require, Mode::AnyCertificate, None),
            ("ssl=true", SslMode::Require, Mode::AnyCertificate, None),
            ("sslmode=require&sslrootcert=/ca.crt", SslMode::Require, Mode::Authority, file()),
            ("sslmode=verify-ca&sslrootcert=/ca.crt", SslMode::Require, Mode::Authority, file()),
            ("sslmode=verify-full&sslrootcert=%2Fca.crt", SslMode::Require, Mode::AuthorityAndName, file()),
            ("sslrootcert=system", SslMode::Require, Mode::AuthorityAndName, Some(Root::System)),
        ] {
            let address = read(&format!("postgresql://h/d?{query}"));
            assert_eq!(
                (address.config.get_ssl_mode(), address.tls.mode, address.tls.root),
                (ssl, mode, root),
                "{query}"
            );
        }
        assert_eq!(read("postgresql://localhost/d").config.get_ssl_mode(), SslMode::Prefer);
    }

    #[test]
    fn what_cannot_be_had_is_named_with_what_to_do() {
        for (query, part) in [
            ("sslmode=strict", "use disable, allow, prefer, require, verify-ca or verify-full"),
            ("sslmode=require&sslrootcert=system", "too weak for sslrootcert=system"),
            ("sslcert=/c", "belong together"),
            ("sslpassword=x", "openssl pkey"),
            ("sslcrl=/c", "the parameter sslcrl in the database URL is not supported"),
            ("service=acme", "pg_service.conf"),
            ("gssencmode=require", "sslmode=verify-full"),
            ("client_encoding=LATIN1", "UTF-8"),
            ("target_session_attrs=fast", "use any, read-write"),
            ("connect_timeout=soon", "is no whole number"),
            ("hostaddr=acme", "is no numeric address"),
            ("port=many", "is no port"),
            ("replication=database", "leave it out"),
            ("require_auth=scram-sha-256", "not supported"),
            ("sslrotcert=/c", "the parameter sslrotcert in the database URL is not supported"),
            ("ssl_max_protocol_version=TLSv1.1", "older than TLSv1.2"),
            ("sslnegotiation=direct&sslmode=prefer", "needs sslmode=require"),
            ("dbname=%zz", "begins no character"),
        ] {
            let why = Address::read(&format!("postgresql://ann:hush@h/d?{query}"), "ours").unwrap_err();
            assert!(why.contains(part) && !why.contains("hush"), "{query}: {why}");
        }
        for text in ["nowhere", "mysql://h/d", "host='x", "host"] {
            assert!(
                Address::read(text, "ours").unwrap_err().contains("it looks like postgresql://"),
                "{text}"
            );
        }
        assert!(
            Address::read("host=a,b port=1,2,3", "ours").unwrap_err().contains("give each server its own")
        );
    }

    #[test]
    fn everything_else_is_taken_or_changes_nothing() {
        let address = read(
            "postgresql://a,b/d?target_session_attrs=primary&load_balance_hosts=random&connect_timeout=0\
             &keepalives_idle=30&keepalives_interval=5&keepalives_count=3&tcp_user_timeout=1500&sslsni=0\
             &channel_binding=require&application_name=acme&fallback_application_name=x&client_encoding=UTF8\
             &gssencmode=prefer&krbsrvname=postgres&sslcompression=0&ssl_min_protocol_version=TLSv1.3&replication=false",
        );
        assert_eq!(
            (address.wanted, address.shuffled, address.tls.hides_name),
            (SessionKind::Primary, true, true)
        );
        assert_eq!(address.config.get_connect_timeout(), None);
        assert_eq!(address.config.get_application_name(), Some("acme"));
        assert_eq!(address.config.get_channel_binding(), ChannelBinding::Require);
        let keeping = Keeping {
            off: false,
            idle: Some(Duration::from_secs(30)),
            interval: Some(Duration::from_secs(5)),
            count: Some(3),
            user_timeout: Some(Duration::from_millis(1_500)),
        };
        assert_eq!(address.keeping, keeping);
        assert!(address.tls.only_tls13 && !address.tls.only_tls12);
        let plain = read("postgresql://h/d");
        assert_eq!(plain.config.get_connect_timeout(), Some(&CONNECT));
        assert_eq!(plain.config.get_application_name(), Some("ours"));
    }
}
