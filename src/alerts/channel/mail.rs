//! Mail by SMTP: with TLS from the beginning or after the greeting, and a login where there is one.

use lettre::message::Mailbox;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::transport::smtp::AsyncSmtpTransport;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncTransport, Tokio1Executor};
use secrecy::ExposeSecret;

use super::{DeliveryFailure, Out, Reason, TIMEOUT, guard, secret};
use crate::alerts::text::Text;
use crate::config::channel::{Mail, MailTls};
use crate::domain::alert::message::MessageChange;

pub(super) async fn send(mail: &Mail, values: bool, out: &Out<'_>) -> Result<(), DeliveryFailure> {
    // That somebody has it in hand is no reason for a mail.
    if out.message.items.iter().all(|item| item.change == MessageChange::Acknowledged) {
        return Ok(());
    }
    let letter = letter(mail, values, out)?;
    let found = guard::lookup(&mail.host, mail.port).await;
    let found = found.map_err(|error| {
        if error.to_string() == guard::REFUSED {
            DeliveryFailure::new(
                Reason::Unset,
                format!("{} leads to an address that {}", mail.host, guard::REFUSED),
            )
        } else {
            DeliveryFailure::new(Reason::Unreachable, format!("{}: {error}", mail.host))
        }
    })?;
    let mut last = DeliveryFailure::new(Reason::Unreachable, format!("{} has no address", mail.host));
    for address in found {
        match send_to(mail, &address.ip().to_string(), &letter).await {
            Err(failure) if failure.reason == Reason::Unreachable => last = failure,
            done => return done,
        }
    }
    Err(last)
}

/// Sends it to the server at an address that was looked at; its certificate must be that of its name.
async fn send_to(mail: &Mail, address: &str, letter: &lettre::Message) -> Result<(), DeliveryFailure> {
    let tls = match mail.tls {
        MailTls::None => Tls::None,
        MailTls::Tls => Tls::Wrapper(parameters(mail)?),
        MailTls::StartTls => Tls::Required(parameters(mail)?),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address)
        .port(mail.port)
        .tls(tls)
        .timeout(Some(TIMEOUT / 2))
        .hello_name(hello());
    if let Some((user, password)) = &mail.login {
        let password = secret(password)?.expose_secret().to_owned();
        builder = builder.credentials(Credentials::new(user.clone(), password));
    }
    builder.build().send(letter.clone()).await.map(drop).map_err(|error| failure(&error))
}

fn parameters(mail: &Mail) -> Result<TlsParameters, DeliveryFailure> {
    TlsParameters::new(mail.host.clone())
        .map_err(|error| DeliveryFailure::new(Reason::Unset, format!("TLS cannot be set up: {error}")))
}

/// How this machine names itself to the server.
fn hello() -> ClientId {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let is_plain = |name: &String| {
        name.contains('.') && name.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c))
    };
    name.filter(is_plain).map_or_else(ClientId::default, ClientId::Domain)
}

/// What keeps other programs from answering it.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(AutoSubmitted)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

fn letter(mail: &Mail, values: bool, out: &Out<'_>) -> Result<lettre::Message, DeliveryFailure> {
    let mailbox = |text: &str| {
        text.parse::<Mailbox>()
            .map_err(|_| DeliveryFailure::new(Reason::Unset, format!("{text:?} is no mail address")))
    };
    let text = Text::of(out.message, values);
    let host = mail.from.rsplit('@').next().unwrap_or("syncdeck").trim_end_matches('>');
    let mut letter = lettre::Message::builder()
        .from(mailbox(&mail.from)?)
        .subject(text.title.clone())
        // Sent twice, it is one mail; and mails about one thing stand together.
        .message_id(Some(format!("<{}@{host}>", out.id)))
        .references(format!("<{}.{}@{host}>", out.message.rule, out.message.episode))
        .date(out.now.into())
        .header(AutoSubmitted)
        .header(ContentType::TEXT_PLAIN);
    for to in &mail.to {
        letter = letter.to(mailbox(to)?);
    }
    letter.body(format!("{}\n\n{}\n", text.title, text.plain())).map_err(|error| {
        DeliveryFailure::new(Reason::Refused, format!("the mail cannot be written: {error}"))
    })
}

fn failure(error: &lettre::transport::smtp::Error) -> DeliveryFailure {
    let mut detail = error.to_string();
    let mut inner = std::error::Error::source(error);
    while let Some(source) = inner {
        if !detail.contains(&source.to_string()) {
            detail = format!("{detail}: {source}");
        }
        inner = source.source();
    }
    let detail: String = detail.lines().next().unwrap_or_default().chars().take(300).collect();
    let code = error.status().map(u16::from);
    let reason = match code {
        Some(530 | 534 | 535 | 538) => Reason::Auth,
        Some(421 | 450 | 452) => Reason::Rate,
        Some(500..) => Reason::Refused,
        Some(_) => Reason::Unreachable,
        None if error.is_client() && detail.contains("authentication") => Reason::Auth,
        None => Reason::Unreachable,
    };
    DeliveryFailure::new(reason, detail)
}
