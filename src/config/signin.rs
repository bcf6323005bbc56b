//! How the app signs in, as it is written.

use secrecy::SecretString;

use super::written::{Check, SalesforceKeys};
use super::{Auth, ConfigError};

impl Check<'_> {
    /// How the app signs in. A key that belongs to another way is refused, for it would do nothing.
    pub(super) fn auth(&self, keys: &mut SalesforceKeys) -> Result<Auth, ConfigError> {
        let way = keys.auth.as_ref().map_or("client_credentials", |way| way.get_ref().as_str());
        let foreign = [
            ("username", keys.username.as_ref().map(|key| key.span().start), "jwt"),
            ("private_key_file", keys.private_key_file.as_ref().map(|key| key.span().start), "jwt"),
            (
                "refresh_token_file",
                keys.refresh_token_file.as_ref().map(|key| key.span().start),
                "refresh_token",
            ),
        ];
        if let Some((key, Some(at), of)) = foreign.into_iter().find(|(_, at, of)| at.is_some() && *of != way)
        {
            let remedy = format!("set auth = {of:?}, or leave it out");
            let problem = format!("is not used with auth = {way:?}");
            return Err(self.refuse_at(at, &format!("salesforce.{key}"), &problem, &remedy));
        }
        let lacks = |key: &str, remedy: &str| {
            let at = keys.auth.as_ref().map_or(0, |way| way.span().start);
            self.refuse_at(at, &format!("salesforce.{key}"), &format!("is needed for auth = {way:?}"), remedy)
        };
        let given = keys.client_secret.is_some()
            || keys.client_secret_env.is_some()
            || keys.client_secret_file.is_some();
        match way {
            "client_credentials" => Ok(Auth::ClientCredentials { secret: self.client_secret(keys)? }),
            "jwt" => {
                let username = keys.username.as_ref();
                let username =
                    username.ok_or_else(|| lacks("username", "name the user that the app signs in as"))?;
                let file = keys.private_key_file.clone();
                let file = file
                    .ok_or_else(|| lacks("private_key_file", "name the file with the app's private key"))?;
                let username = username.get_ref().clone();
                let key = self.secret("salesforce.private_key", None, None, Some(file), true)?;
                Ok(Auth::Jwt { username, key, audience: keys.audience.clone() })
            }
            "refresh_token" => {
                let file = keys.refresh_token_file.as_ref();
                let file =
                    file.ok_or_else(|| lacks("refresh_token_file", "name the file that holds the token"))?;
                self.private(file.get_ref(), "salesforce.refresh_token_file", file.span().start)?;
                let file = file.get_ref().clone();
                let secret = if given { Some(self.client_secret(keys)?) } else { None };
                Ok(Auth::RefreshToken { secret, file })
            }
            _ => Err(lacks("auth", "use \"client_credentials\", \"jwt\" or \"refresh_token\"")),
        }
    }

    fn client_secret(&self, keys: &mut SalesforceKeys) -> Result<SecretString, ConfigError> {
        self.secret(
            "salesforce.client_secret",
            keys.client_secret.take(),
            keys.client_secret_env.take(),
            keys.client_secret_file.take(),
            true,
        )
    }
}
