//! TLS towards PostgreSQL: whose certificates are taken, as libpq's modes say.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion,
};
use rustls_platform_verifier::Verifier;
use tokio_postgres_rustls::MakeRustlsConnect;

/// TLS connector; clones share the configuration.
pub(in crate::postgres) type Tls = MakeRustlsConnect;

/// Whose certificate is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::postgres) enum Mode {
    /// Anybody's: encrypted, whoever answers (`require` and less).
    AnyCertificate,
    /// One that a trusted authority signed, for whichever name (`verify-ca`).
    Authority,
    /// One that a trusted authority signed for this name (`verify-full`).
    AuthorityAndName,
}

/// Which authorities are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::postgres) enum Root {
    /// Those of this machine.
    System,
    /// Those of a file.
    File(PathBuf),
}

/// What an address says about TLS.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::postgres) struct Wishes {
    pub(in crate::postgres) mode: Mode,
    pub(in crate::postgres) root: Option<Root>,
    /// Our own certificate and its key.
    pub(in crate::postgres) certificate: Option<(PathBuf, PathBuf)>,
    /// Whether the server is not told its name.
    pub(in crate::postgres) hides_name: bool,
    pub(in crate::postgres) only_tls13: bool,
    pub(in crate::postgres) only_tls12: bool,
    /// Without PostgreSQL's own question before.
    pub(in crate::postgres) direct: bool,
}

/// Makes the connector.
///
/// # Errors
/// Which file cannot be used, and why.
pub(in crate::postgres) fn connector(wishes: &Wishes) -> Result<Tls, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let failed = |error: rustls::Error| format!("TLS cannot be set up: {error}");
    let versions: &[&SupportedProtocolVersion] = match wishes {
        Wishes { only_tls13: true, .. } => &[&rustls::version::TLS13],
        Wishes { only_tls12: true, .. } => &[&rustls::version::TLS12],
        _ => rustls::DEFAULT_VERSIONS,
    };
    let builder = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(failed)?
        .dangerous()
        .with_custom_certificate_verifier(verifier(wishes, provider)?);
    let mut config = match &wishes.certificate {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates("sslcert", certificate)?;
            builder.with_client_auth_cert(chain, private_key(key)?).map_err(|error| {
                format!(
                    "sslcert={} does not go with sslkey={}: {error}",
                    certificate.display(),
                    key.display()
                )
            })?
        }
    };
    config.enable_sni = !wishes.hides_name;
    if wishes.direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(MakeRustlsConnect::new(config))
}

fn verifier(wishes: &Wishes, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, String> {
    if wishes.mode == Mode::AnyCertificate {
        return Ok(Arc::new(AnyCertificate(provider)));
    }
    let (authorities, own): (Arc<dyn ServerCertVerifier>, Vec<CertificateDer<'static>>) = match &wishes.root {
        None | Some(Root::System) => {
            let verifier = Verifier::new(provider);
            (Arc::new(verifier.map_err(|error| format!("TLS cannot be set up: {error}"))?), Vec::new())
        }
        Some(Root::File(path)) => {
            let trusted = certificates("sslrootcert", path)?;
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(trusted.iter().cloned());
            let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
            let verifier = built.map_err(|error| format!("sslrootcert={}: {error}", path.display()))?;
            (verifier, trusted)
        }
    };
    Ok(Arc::new(Trusted { authorities, own, any_name: wishes.mode == Mode::Authority }))
}

/// The certificates of a PEM file.
fn certificates(parameter: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let refuse = |why: &dyn std::fmt::Display| {
        format!(
            "{parameter}={} of the database URL cannot be used: {why}\nname a file of certificates in PEM form",
            path.display()
        )
    };
    let file = CertificateDer::pem_file_iter(path).map_err(|error| refuse(&error))?;
    let found: Vec<_> = file.collect::<Result<_, _>>().map_err(|error| refuse(&error))?;
    if found.is_empty() { Err(refuse(&"it has no certificate")) } else { Ok(found) }
}

/// The key of a PEM file that nobody else may read.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    use std::os::unix::fs::PermissionsExt;
    let refuse = |why: &dyn std::fmt::Display, instead: &str| {
        format!("sslkey={} of the database URL cannot be used: {why}\n{instead}", path.display())
    };
    let form = "name a file with a private key in PEM form, without a password";
    let about = std::fs::metadata(path).map_err(|error| refuse(&error, form))?;
    if about.permissions().mode() & 0o037 != 0 {
        return Err(refuse(&"others may read it", "take that away: chmod 600"));
    }
    PrivateKeyDer::from_pem_file(path).map_err(|error| refuse(&error, form))
}

/// Who is trusted as libpq has it: an authority's certificates, and a server's own that was given by hand.
#[derive(Debug)]
struct Trusted {
    authorities: Arc<dyn ServerCertVerifier>,
    /// The file's certificates: a server that signed its own has it there.
    own: Vec<CertificateDer<'static>>,
    any_name: bool,
}

impl ServerCertVerifier for Trusted {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.own.iter().any(|own| own == certificate) {
            return if self.any_name {
                Ok(ServerCertVerified::assertion())
            } else {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)
                    .map(|()| ServerCertVerified::assertion())
            };
        }
        // The name is looked at when the chain is known to be right.
        match self.authorities.verify_server_cert(certificate, between, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.any_name => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// What a refused certificate needs, where that can be said.
pub(in crate::postgres) fn advice(error: &str) -> Option<&'static str> {
    let says = |part: &str| error.contains(part);
    match () {
        () if says("UnknownIssuer") => Some(
            "no authority that is trusted here signed the server's certificate: name its authority's file by sslrootcert=FILE in postgres.url",
        ),
        () if says("NotValidForName") || says("not valid for name") => Some(
            "the server's certificate is for another name: name the server in postgres.url as its certificate does, or use sslmode=verify-ca",
        ),
        () if says("Expired") || says("expired") => Some("the server's certificate has expired: renew it"),
        () if says("CaUsedAsEndEntity") => Some(
            "the server shows an authority's certificate as its own: give it one that its authority signed, or name that very certificate by sslrootcert=FILE",
        ),
        () if says("UnsupportedCertVersion") => Some(
            "the server's certificate is of an old kind (X.509 version 1): make one with a subjectAltName",
        ),
        () if says("server does not support TLS") => {
            Some("the server knows no TLS: switch it on there, or use sslmode=disable where the way is safe")
        }
        () => None,
    }
}

/// `sslmode=require` as libpq means it: encrypted, whoever answers. Managed servers with a private authority need it.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
