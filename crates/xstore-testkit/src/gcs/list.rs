//! Listings (`list-type=2`): one page of names and common prefixes, and the token for the next.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::answer::escape;
use super::bucket::{Bucket, Object};

/// What a listing asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) prefix: String,
    /// Names that have it after the prefix are shown as one common prefix, which ends with it.
    pub(super) delimiter: Option<String>,
    pub(super) start: Start,
    /// Entries at most, if the client set a bound.
    pub(super) max_keys: Option<usize>,
}

/// Where a page starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Start {
    #[default]
    Beginning,
    /// Behind this name.
    AfterName(String),
    /// Behind everything that begins with this common prefix.
    AfterPrefix(String),
}

impl Start {
    /// The opaque form in which clients carry it.
    fn token(&self) -> String {
        let (kind, name) = match self {
            Self::Beginning => ("", ""),
            Self::AfterName(name) => ("n", name.as_str()),
            Self::AfterPrefix(prefix) => ("p", prefix.as_str()),
        };
        BASE64_URL_SAFE_NO_PAD.encode(format!("{kind}{name}"))
    }

    pub(super) fn of_token(token: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        if let Some(name) = text.strip_prefix('n') {
            return Some(Self::AfterName(name.to_owned()));
        }
        text.strip_prefix('p')
            .map(|prefix| Self::AfterPrefix(prefix.to_owned()))
    }

    fn is_before(&self, name: &str) -> bool {
        match self {
            Self::Beginning => true,
            Self::AfterName(last) => name > last.as_str(),
            Self::AfterPrefix(last) => name > last.as_str() && !name.starts_with(last.as_str()),
        }
    }
}

#[derive(Debug)]
enum Entry<'a> {
    Object(&'a str, &'a Object),
    Prefix(&'a str),
}

impl Entry<'_> {
    fn behind(&self) -> Start {
        match self {
            Self::Object(name, _) => Start::AfterName((*name).to_owned()),
            Self::Prefix(prefix) => Start::AfterPrefix((*prefix).to_owned()),
        }
    }
}

/// The document of one page with at most `page_len` entries.
pub(super) fn page(bucket_name: &str, bucket: &Bucket, query: &Query, page_len: usize) -> String {
    let bound = query
        .max_keys
        .map_or(page_len, |max_keys| max_keys.min(page_len));
    let mut entries = entries(bucket, query, bound.saturating_add(1));
    let next = (entries.len() > bound).then(|| {
        entries.truncate(bound);
        entries
            .last()
            .map_or(Start::Beginning, Entry::behind)
            .token()
    });
    document(bucket_name, query, &entries, next.as_deref())
}

fn entries<'a>(bucket: &'a Bucket, query: &Query, bound: usize) -> Vec<Entry<'a>> {
    let mut entries: Vec<Entry<'a>> = Vec::new();
    let mut start = query.start.clone();
    for (name, object) in bucket.objects() {
        if entries.len() == bound {
            break;
        }
        if !name.starts_with(&query.prefix) || !start.is_before(name) {
            continue;
        }
        let entry = match common_prefix(name, query) {
            Some(prefix) => Entry::Prefix(prefix),
            None => Entry::Object(name, object),
        };
        start = entry.behind();
        entries.push(entry);
    }
    entries
}

/// The name up to the first delimiter behind the prefix, and with it.
fn common_prefix<'a>(name: &'a str, query: &Query) -> Option<&'a str> {
    let delimiter = query.delimiter.as_deref()?;
    let start = query.prefix.len();
    let found = name[start..].find(delimiter)?;
    Some(&name[..start + found + delimiter.len()])
}

fn document(bucket_name: &str, query: &Query, entries: &[Entry<'_>], next: Option<&str>) -> String {
    let mut body = String::new();
    element(&mut body, "Name", bucket_name);
    element(&mut body, "Prefix", &query.prefix);
    if let Some(delimiter) = &query.delimiter {
        element(&mut body, "Delimiter", delimiter);
    }
    element(&mut body, "KeyCount", &entries.len().to_string());
    element(&mut body, "IsTruncated", &next.is_some().to_string());
    if let Some(next) = next {
        element(&mut body, "NextContinuationToken", next);
    }
    for entry in entries {
        let mut fields = String::new();
        let name = match entry {
            Entry::Prefix(prefix) => {
                element(&mut fields, "Prefix", prefix);
                "CommonPrefixes"
            }
            Entry::Object(name, object) => {
                describe(&mut fields, name, object);
                "Contents"
            }
        };
        write!(body, "<{name}>{fields}</{name}>").ok();
    }
    format!(
        "<ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'>{body}</ListBucketResult>"
    )
}

fn describe(fields: &mut String, name: &str, object: &Object) {
    element(fields, "Key", name);
    element(fields, "Generation", &object.generation.to_string());
    element(fields, "MetaGeneration", "1");
    element(fields, "LastModified", &format!("{:.3}", object.changed));
    element(fields, "ETag", &object.e_tag);
    element(fields, "Size", &object.bytes.len().to_string());
}

fn element(xml: &mut String, name: &str, text: &str) {
    // Writing to a string does not fail.
    write!(xml, "<{name}>{}</{name}>", escape(text)).ok();
}
