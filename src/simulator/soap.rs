//! SOAP: a login by password, as long as there is one. All other doors are there and closed: no Apex runs in this org, and
//! nothing is deployed to it. Command lines find out what they may not, in the form in which an org says it.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};

use super::call::Call;
use super::oauth;
use super::org::Org;
use super::users::User;
use super::xml::{element, escaped, unescaped};

/// The first version of the API in which nobody logs in by SOAP any more.
const WITHOUT_LOGIN: f64 = 65.0;

/// Answers everything below `/services/Soap`.
pub(super) fn answer_soap(org: &Org, call: &Call, version: &str) -> Response<Body> {
    let text = String::from_utf8_lossy(&call.body);
    if element(&text, "login").is_some() {
        return login(org, call, version, &text);
    }
    let session = element(&text, "sessionId").unwrap_or_default();
    if !org.lock().tokens.iter().any(|token| token == session) {
        return fault(
            "INVALID_SESSION_ID",
            "Invalid Session ID found in SessionHeader: Illegal Session. Session not found, missing session hash",
        );
    }
    fault("INSUFFICIENT_ACCESS", "insufficient access rights on object id")
}

/// A login by password, as simple-salesforce and jsforce do it where nothing else is asked for.
fn login(org: &Org, call: &Call, version: &str, text: &str) -> Response<Body> {
    if !version.parse::<f64>().is_ok_and(|version| version < WITHOUT_LOGIN) {
        return fault("UNSUPPORTED_API_VERSION", "SOAP API login() is not available in this version.");
    }
    let value = |name| unescaped(element(text, name).unwrap_or_default());
    let mut state = org.lock();
    if !state.options.is_password(&value("username"), &value("password")) {
        return fault("INVALID_LOGIN", "Invalid username, password, security token; or user locked out.");
    }
    let token = oauth::begin(&mut state);
    let (organisation, user) = (&state.options.organisation, User::Integration.id());
    let host = escaped(&call.host);
    let url = |kind: &str| format!("http://{host}/services/Soap/{kind}/{version}/{organisation}");
    let username = escaped(&state.options.username);
    let result = format!(
        "<loginResponse><result><metadataServerUrl>{}</metadataServerUrl><passwordExpired>false</passwordExpired>\
         <sandbox>false</sandbox><serverUrl>{}</serverUrl><sessionId>{token}</sessionId><userId>{user}</userId><userInfo>\
         <organizationId>{organisation}</organizationId><userId>{user}</userId><userName>{username}</userName>\
         <userLanguage>en_US</userLanguage><userLocale>en_US</userLocale><userTimeZone>GMT</userTimeZone>\
         <userType>Standard</userType></userInfo></result></loginResponse>",
        url("m"),
        url("u")
    );
    envelope(StatusCode::OK, "urn:partner.soap.sforce.com", &result)
}

fn fault(code: &str, message: &str) -> Response<Body> {
    let content = format!(
        "<soapenv:Fault><faultcode>sf:{code}</faultcode><faultstring>{code}: {message}</faultstring></soapenv:Fault>"
    );
    envelope(StatusCode::INTERNAL_SERVER_ERROR, "urn:fault.partner.soap.sforce.com", &content)
}

fn envelope(status: StatusCode, namespace: &str, content: &str) -> Response<Body> {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns=\"{namespace}\" xmlns:sf=\"urn:fault.partner.soap.sforce.com\"><soapenv:Body>{content}</soapenv:Body></soapenv:Envelope>"
    );
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/xml;charset=UTF-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
