//! What XML is needed for: two APIs still speak it. Elements without their attributes, and texts in them.

/// What stands in the first element of a name, in whatever namespace, up to the next tag.
pub(super) fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split('<').find_map(|piece| {
        let (tag, content) = piece.split_once('>')?;
        let tag = tag.split_whitespace().next()?;
        (tag.rsplit(':').next() == Some(name) && !tag.starts_with('/')).then_some(content)
    })
}

/// A text as it stands in a document.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The text that stands in a document.
pub(super) fn unescaped(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    text.replace("&amp;", "&")
}
