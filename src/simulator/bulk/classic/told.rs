//! What a request says, and what is answered: JSON, or XML as the API's schema has it.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use super::job::Form;
use crate::simulator::call::Call;
use crate::simulator::records::instant;
use crate::simulator::response::answer;
use crate::simulator::xml::{escaped, unescaped};

/// The namespace of all that is said in XML.
const NAMESPACE: &str = "http://www.force.com/2009/06/asyncapi/dataload";

/// The form of a request.
pub(super) fn form_asked(call: &Call) -> Form {
    let named = call.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match named.is_some_and(|named| named.contains("json")) {
        true => Form::Json,
        false => Form::Csv,
    }
}

/// The values of a body, one level deep.
pub(super) fn read_body(body: &[u8], form: Form) -> Option<Value> {
    match form {
        Form::Json => serde_json::from_slice(body).ok().filter(Value::is_object),
        Form::Csv => from_xml(std::str::from_utf8(body).ok()?),
    }
}

/// `<a><b>c</b></a>` to `{"b": "c"}`: all that requests in XML say here.
fn from_xml(text: &str) -> Option<Value> {
    let mut values = Map::new();
    for piece in text.split('<').skip(1) {
        let (tag, value) = piece.split_once('>')?;
        let name = tag.split_whitespace().next()?.trim_end_matches('/');
        if !name.starts_with(['/', '?', '!']) {
            let name = name.rsplit(':').next()?;
            values.insert(name.to_owned(), Value::from(unescaped(value.trim())));
        }
    }
    (!values.is_empty()).then_some(Value::Object(values))
}

/// A document.
pub(super) fn document(status: u16, root: &str, content: &str) -> Response<Body> {
    let text =
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><{root} xmlns=\"{NAMESPACE}\">{content}</{root}>");
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

/// Values as elements; what is null has none.
pub(super) fn elements(values: &Value) -> String {
    let element = |(name, value): (&String, &Value)| match instant(value) {
        Value::Null => String::new(),
        Value::String(text) => format!("<{name}>{}</{name}>", escaped(&text)),
        other => format!("<{name}>{other}</{name}>"),
    };
    values.as_object().into_iter().flatten().map(element).collect()
}

/// One thing, by the name that it has in XML.
pub(super) fn told(status: u16, form: Form, root: &str, values: &Value) -> Response<Body> {
    match form {
        Form::Json => json_of(status, values),
        Form::Csv => document(status, root, &elements(values)),
    }
}

/// JSON; clients compare the type with a text without a character set.
pub(super) fn json_of(status: u16, body: &Value) -> Response<Body> {
    let mut response = answer(status, body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A refusal.
pub(super) fn error(form: Form, code: &str, message: &str) -> Response<Body> {
    told(400, form, "error", &json!({"exceptionCode": code, "exceptionMessage": message}))
}

/// There is no such job.
pub(super) fn no_job(asked: Form, id: &str) -> Response<Body> {
    error(asked, "InvalidJob", &format!("Unable to find a job with id: {id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_in_xml_is_read() {
        let text = "<?xml version=\"1.0\"?>\n<jobInfo xmlns=\"urn:x\">\n <operation>insert</operation>\n\
            <d:object>A&amp;B</d:object><!-- no --><empty/></jobInfo>";
        let read = read_body(text.as_bytes(), Form::Csv).unwrap();
        assert_eq!((&read["operation"], &read["object"]), (&json!("insert"), &json!("A&B")));
        assert_eq!(read_body(b"no xml", Form::Csv), None);
        assert_eq!(read_body(b"[1]", Form::Json), None);
    }
}
