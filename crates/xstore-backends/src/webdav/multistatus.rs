//! Reads the answer to PROPFIND (RFC 4918, section 14.16): what there is, and what is known of it.

use std::borrow::Cow;
use std::time::SystemTime;

use quick_xml::events::{BytesRef, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;

use crate::tree::ItemKind;
use crate::url::percent_decode;

const DAV: ResolveResult<'_> = ResolveResult::Bound(Namespace(b"DAV:"));

/// One resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Its path, from the server's root on, decoded.
    pub(super) names: Vec<String>,
    /// `Other` where the server did not tell.
    pub(super) kind: ItemKind,
    pub(super) len_bytes: u64,
    pub(super) modified: Option<SystemTime>,
}

/// The answer is not what the RFC says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the listing is malformed")]
pub(super) struct Malformed;

pub(super) fn parse(document: &[u8]) -> Result<Vec<Found>, Malformed> {
    let mut reader = NsReader::from_reader(document);
    reader.config_mut().expand_empty_elements = true;
    let mut listing = Listing::default();
    loop {
        match reader.read_resolved_event().map_err(|_| Malformed)? {
            (DAV, Event::Start(element)) => listing.start(element.local_name().as_ref()),
            (DAV, Event::End(element)) => listing.end(element.local_name().as_ref())?,
            (_, Event::Text(text)) => listing.add(&text.decode().map_err(|_| Malformed)?),
            (_, Event::CData(text)) => listing.add(&text.decode().map_err(|_| Malformed)?),
            (_, Event::GeneralRef(name)) => listing.add(&referred(&name)?),
            (_, Event::Eof) => return listing.finish(),
            _ => {}
        }
    }
}

/// What was read so far.
#[derive(Debug, Default)]
struct Listing {
    found: Vec<Found>,
    /// The resource that is being read.
    open: Option<Found>,
    /// Text since the last start of an element.
    text: String,
    is_complete: bool,
}

impl Listing {
    fn start(&mut self, element: &[u8]) {
        self.text.clear();
        match (element, &mut self.open) {
            (b"response", open) => *open = Some(Found::nameless()),
            (b"collection", Some(found)) => found.kind = ItemKind::Folder,
            _ => {}
        }
    }

    fn end(&mut self, element: &[u8]) -> Result<(), Malformed> {
        let text = std::mem::take(&mut self.text);
        let text = text.trim();
        match (element, &mut self.open) {
            (b"multistatus", _) => self.is_complete = true,
            (b"response", open) => self.found.extend(open.take()),
            (b"href", Some(found)) => found.names = names(text)?,
            (b"resourcetype", Some(found)) if found.kind == ItemKind::Other => {
                found.kind = ItemKind::File;
            }
            (b"getcontentlength", Some(found)) if !text.is_empty() => {
                found.len_bytes = text.parse().map_err(|_| Malformed)?;
            }
            (b"getlastmodified", Some(found)) => {
                found.modified = httpdate::parse_http_date(text).ok();
            }
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// A listing that breaks off would look like a short one.
    fn finish(self) -> Result<Vec<Found>, Malformed> {
        self.is_complete.then_some(self.found).ok_or(Malformed)
    }
}

impl Found {
    const fn nameless() -> Self {
        Self {
            names: Vec::new(),
            kind: ItemKind::Other,
            len_bytes: 0,
            modified: None,
        }
    }
}

/// The names in a URL or an absolute path.
fn names(href: &str) -> Result<Vec<String>, Malformed> {
    let path = match href.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => href.strip_prefix('/').ok_or(Malformed)?,
    };
    let names = path.split('/').filter(|name| !name.is_empty());
    let decoded = names.map(|name| {
        let bytes = percent_decode(name).map_err(|_| Malformed)?;
        // No name of ours is other than UTF-8, so it may be shown in any way.
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    });
    decoded.collect()
}

/// What stands for one character, `&amp;` for example.
fn referred(name: &BytesRef<'_>) -> Result<Cow<'static, str>, Malformed> {
    if let Some(character) = name.resolve_char_ref().map_err(|_| Malformed)? {
        return Ok(character.to_string().into());
    }
    let name = name.decode().map_err(|_| Malformed)?;
    let text = quick_xml::escape::resolve_predefined_entity(&name);
    text.map(Cow::Borrowed).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn found(names: &[&str], kind: ItemKind, len_bytes: u64, seconds: Option<u64>) -> Found {
        Found {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            kind,
            len_bytes,
            modified: seconds.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds)),
        }
    }

    #[test]
    fn resources_are_read_whatever_their_prefix() {
        let document = br#"<?xml version="1.0"?>
            <D:multistatus xmlns:D="DAV:" xmlns:x="urn:x">
            <D:response><D:href>/shares/a%20b/</D:href><D:propstat><D:prop>
              <D:resourcetype><D:collection/></D:resourcetype>
              <D:getlastmodified x:dt="date">Thu, 01 Jan 1970 00:00:07 GMT</D:getlastmodified>
            </D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>
            <response xmlns="DAV:"><href>https://h:1/shares/a%20b/c+&amp;&#100;.obj</href>
              <propstat><prop><resourcetype/><getcontentlength>5</getcontentlength>
              <x:collection/></prop></propstat></response>
            <D:response><D:href>/e</D:href><D:status>HTTP/1.1 403 No</D:status></D:response>
            </D:multistatus>"#;
        assert_eq!(
            parse(document).unwrap(),
            [
                found(&["shares", "a b"], ItemKind::Folder, 0, Some(7)),
                found(&["shares", "a b", "c+&d.obj"], ItemKind::File, 5, None),
                found(&["e"], ItemKind::Other, 0, None),
            ]
        );
    }

    #[test]
    fn what_is_malformed_is_no_listing() {
        for document in [
            "",
            "<html><body>hello</body></html>",
            "<multistatus xmlns=\"DAV:\"><response><href>/a</href></response>",
            "<multistatus xmlns=\"DAV:\"><response></multistatus>",
            "<multistatus xmlns=\"DAV:\"><response><href>a</href></response></multistatus>",
            "<multistatus xmlns=\"DAV:\"><response><href>/%zz</href></response></multistatus>",
            "<multistatus xmlns=\"DAV:\"><response><href>/&x;</href></response></multistatus>",
            "<multistatus xmlns=\"DAV:\"><response><getcontentlength>x</getcontentlength>\
             </response></multistatus>",
            "<multistatus/>",
        ] {
            assert_eq!(parse(document.as_bytes()), Err(Malformed), "{document}");
        }
    }
}
