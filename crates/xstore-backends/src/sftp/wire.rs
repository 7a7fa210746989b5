//! Packets of SFTP version 3 (draft-ietf-secsh-filexfer-02), and the three extensions of OpenSSH's
//! `PROTOCOL` that are used: as many of them as a store of objects needs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::tree::ItemKind;

/// The longest packet that is read. Servers answer a read with what was asked for, and a listing with
/// a hundred names or so.
pub(super) const PACKET_LEN_BYTES_MAX: usize = 256 << 10;

pub(super) const VERSION: u32 = 3;

/// Flags of an open.
pub(super) const READ: u32 = 1;
/// Writes a file that must not be there yet.
pub(super) const WRITE_NEW: u32 = 0x2 | 0x8 | 0x20;

const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_FOLDER: u32 = 0o700;

/// Attributes that a packet holds.
const HAS_SIZE: u32 = 1;
const HAS_OWNER: u32 = 2;
const HAS_PERMISSIONS: u32 = 4;
const HAS_TIMES: u32 = 8;

#[derive(Debug, Clone)]
pub(super) enum Request<'a> {
    Open {
        path: &'a str,
        flags: u32,
    },
    Close {
        handle: &'a Bytes,
    },
    Read {
        handle: &'a Bytes,
        offset: u64,
        len_bytes: u32,
    },
    Write {
        handle: &'a Bytes,
        offset: u64,
        bytes: Bytes,
    },
    /// What stands at a path, without following a link.
    Stat {
        path: &'a str,
    },
    StatOpen {
        handle: &'a Bytes,
    },
    OpenFolder {
        path: &'a str,
    },
    ReadFolder {
        handle: &'a Bytes,
    },
    Remove {
        path: &'a str,
    },
    MakeFolder {
        path: &'a str,
    },
    RemoveFolder {
        path: &'a str,
    },
    HardLink {
        from: &'a str,
        to: &'a str,
    },
    Sync {
        handle: &'a Bytes,
    },
    FileSystem {
        path: &'a str,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    Status(u32),
    Handle(Bytes),
    Data(Bytes),
    Names(Vec<(String, Attributes)>),
    Attributes(Attributes),
    Extended(Bytes),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) kind: ItemKind,
    pub(super) len_bytes: u64,
    pub(super) modified: Option<SystemTime>,
}

/// The peer does not speak SFTP as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

impl From<bytes::TryGetError> for Malformed {
    fn from(_: bytes::TryGetError) -> Self {
        Self
    }
}

/// The first packet of all.
pub(super) fn hello() -> Bytes {
    let mut body = BytesMut::new();
    body.put_u8(1);
    body.put_u32(VERSION);
    framed(&body, 0)
}

/// Version and names of the extensions in the first packet of the server.
pub(super) fn read_hello(mut packet: Bytes) -> Result<(u32, Vec<Bytes>), Malformed> {
    if packet.try_get_u8()? != 2 {
        return Err(Malformed);
    }
    let version = packet.try_get_u32()?;
    let mut extensions = Vec::new();
    while packet.has_remaining() {
        extensions.push(text(&mut packet)?);
        text(&mut packet)?;
    }
    Ok((version, extensions))
}

impl Request<'_> {
    /// The packet, whose end is `bytes` as they are.
    pub(super) fn encode(self, id: u32) -> (Bytes, Bytes) {
        let mut body = BytesMut::new();
        body.put_u8(self.kind());
        body.put_u32(id);
        let bytes = self.put_arguments(&mut body);
        (framed(&body, bytes.len()), bytes)
    }

    const fn kind(&self) -> u8 {
        match self {
            Self::Open { .. } => 3,
            Self::Close { .. } => 4,
            Self::Read { .. } => 5,
            Self::Write { .. } => 6,
            Self::Stat { .. } => 7,
            Self::StatOpen { .. } => 8,
            Self::OpenFolder { .. } => 11,
            Self::ReadFolder { .. } => 12,
            Self::Remove { .. } => 13,
            Self::MakeFolder { .. } => 14,
            Self::RemoveFolder { .. } => 15,
            Self::HardLink { .. } | Self::Sync { .. } | Self::FileSystem { .. } => 200,
        }
    }

    /// All but the bytes of a write, which are returned.
    fn put_arguments(self, body: &mut BytesMut) -> Bytes {
        match self {
            Self::Open { path, flags } => {
                put_text(body, path.as_bytes());
                body.put_u32(flags);
                put_permissions(body, PRIVATE_FILE);
            }
            Self::Read {
                handle,
                offset,
                len_bytes,
            } => {
                put_text(body, handle);
                body.put_u64(offset);
                body.put_u32(len_bytes);
            }
            Self::Write {
                handle,
                offset,
                bytes,
            } => {
                put_text(body, handle);
                body.put_u64(offset);
                body.put_u32(len(bytes.len()));
                return bytes;
            }
            Self::Close { handle } | Self::StatOpen { handle } | Self::ReadFolder { handle } => {
                put_text(body, handle);
            }
            Self::Stat { path }
            | Self::OpenFolder { path }
            | Self::Remove { path }
            | Self::RemoveFolder { path } => put_text(body, path.as_bytes()),
            Self::MakeFolder { path } => {
                put_text(body, path.as_bytes());
                put_permissions(body, PRIVATE_FOLDER);
            }
            Self::HardLink { from, to } => {
                put_text(body, b"hardlink@openssh.com");
                put_text(body, from.as_bytes());
                put_text(body, to.as_bytes());
            }
            Self::Sync { handle } => {
                put_text(body, b"fsync@openssh.com");
                put_text(body, handle);
            }
            Self::FileSystem { path } => {
                put_text(body, b"statvfs@openssh.com");
                put_text(body, path.as_bytes());
            }
        }
        Bytes::new()
    }
}

impl Reply {
    /// The number of the request that is answered, and the answer.
    pub(super) fn decode(mut packet: Bytes) -> Result<(u32, Self), Malformed> {
        let kind = packet.try_get_u8()?;
        let id = packet.try_get_u32()?;
        let reply = match kind {
            // What the server says in words is left out.
            101 => Self::Status(packet.try_get_u32()?),
            102 => Self::Handle(text(&mut packet)?),
            103 => Self::Data(text(&mut packet)?),
            104 => Self::Names(names(&mut packet)?),
            105 => Self::Attributes(attributes(&mut packet)?),
            201 => Self::Extended(packet),
            _ => return Err(Malformed),
        };
        Ok((id, reply))
    }
}

fn framed(body: &[u8], more_bytes: usize) -> Bytes {
    let mut packet = BytesMut::with_capacity(4 + body.len());
    packet.put_u32(len(body.len() + more_bytes));
    packet.put_slice(body);
    packet.freeze()
}

/// Paths, handles and parts of objects are shorter by far.
fn len(len_bytes: usize) -> u32 {
    u32::try_from(len_bytes).unwrap_or(u32::MAX)
}

fn put_text(body: &mut BytesMut, text: &[u8]) {
    body.put_u32(len(text.len()));
    body.put_slice(text);
}

fn put_permissions(body: &mut BytesMut, permissions: u32) {
    body.put_u32(HAS_PERMISSIONS);
    body.put_u32(permissions);
}

fn text(packet: &mut Bytes) -> Result<Bytes, Malformed> {
    let len_bytes = usize::try_from(packet.try_get_u32()?).map_err(|_| Malformed)?;
    if len_bytes > packet.len() {
        return Err(Malformed);
    }
    Ok(packet.split_to(len_bytes))
}

fn names(packet: &mut Bytes) -> Result<Vec<(String, Attributes)>, Malformed> {
    let count = packet.try_get_u32()?;
    let mut names = Vec::new();
    for _ in 0..count {
        // No name of ours is other than UTF-8, so it may be shown in any way.
        let name = String::from_utf8_lossy(&text(packet)?).into_owned();
        // The same for people.
        text(packet)?;
        names.push((name, attributes(packet)?));
    }
    Ok(names)
}

fn attributes(packet: &mut Bytes) -> Result<Attributes, Malformed> {
    let has = packet.try_get_u32()?;
    let mut attributes = Attributes {
        kind: ItemKind::Other,
        len_bytes: 0,
        modified: None,
    };
    if has & HAS_SIZE != 0 {
        attributes.len_bytes = packet.try_get_u64()?;
    }
    if has & HAS_OWNER != 0 {
        packet.try_get_u64()?;
    }
    if has & HAS_PERMISSIONS != 0 {
        attributes.kind = match packet.try_get_u32()? & 0o170_000 {
            0o100_000 => ItemKind::File,
            0o040_000 => ItemKind::Folder,
            _ => ItemKind::Other,
        };
    }
    if has & HAS_TIMES != 0 {
        packet.try_get_u32()?;
        let modified = Duration::from_secs(packet.try_get_u32()?.into());
        attributes.modified = UNIX_EPOCH.checked_add(modified);
    }
    if has & 0x8000_0000 != 0 {
        for _ in 0..packet.try_get_u32()? {
            text(packet)?;
            text(packet)?;
        }
    }
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(parts: &[&[u8]]) -> Bytes {
        parts.concat().into()
    }

    #[test]
    fn requests_are_as_the_draft_says() {
        let handle = Bytes::from_static(b"h");
        let (head, bytes) = Request::Write {
            handle: &handle,
            offset: 1 << 40,
            bytes: Bytes::from_static(b"abc"),
        }
        .encode(7);
        let expected = packet(&[
            &[0, 0, 0, 25, 6, 0, 0, 0, 7, 0, 0, 0, 1],
            b"h",
            &[0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 3],
        ]);
        assert_eq!((head, &*bytes), (expected, &b"abc"[..]));
        let (head, bytes) = Request::Open {
            path: "/a",
            flags: WRITE_NEW,
        }
        .encode(1);
        let expected = packet(&[
            &[0, 0, 0, 23, 3, 0, 0, 0, 1, 0, 0, 0, 2],
            b"/a",
            &[0, 0, 0, 0x2a, 0, 0, 0, 4, 0, 0, 1, 0x80],
        ]);
        assert_eq!((head, bytes), (expected, Bytes::new()));
    }

    #[test]
    fn replies_are_read_and_words_are_left_out() {
        let status = packet(&[
            &[101, 0, 0, 0, 9, 0, 0, 0, 4],
            &[0, 0, 0, 2],
            b"no",
            &[0; 4],
        ]);
        assert_eq!(Reply::decode(status), Ok((9, Reply::Status(4))));
        let names = packet(&[
            &[104, 0, 0, 0, 1, 0, 0, 0, 1],
            &[0, 0, 0, 1],
            b"a",
            &[0, 0, 0, 3],
            b"-rw",
            &[0, 0, 0, 0xd],
            &[0, 0, 0, 0, 0, 0, 0, 5],
            &[0, 0, 0x81, 0x80],
            &[0, 0, 0, 1, 0, 0, 0, 2],
        ]);
        let attributes = Attributes {
            kind: ItemKind::File,
            len_bytes: 5,
            modified: Some(UNIX_EPOCH + Duration::from_secs(2)),
        };
        let expected = Reply::Names(vec![("a".to_owned(), attributes)]);
        assert_eq!(Reply::decode(names.clone()), Ok((1, expected)));
        for cut in 0..names.len() {
            assert_eq!(Reply::decode(names.slice(..cut)), Err(Malformed), "{cut}");
        }
        assert_eq!(Reply::decode(packet(&[&[99, 0, 0, 0, 1]])), Err(Malformed));
    }

    #[test]
    fn a_length_beyond_the_packet_is_malformed() {
        let data = packet(&[&[103, 0, 0, 0, 1], &[0xff; 4], b"abc"]);
        assert_eq!(Reply::decode(data), Err(Malformed));
        let names = packet(&[&[104, 0, 0, 0, 1], &[0xff; 4]]);
        assert_eq!(Reply::decode(names), Err(Malformed));
    }

    #[test]
    fn the_first_packet_names_extensions() {
        let hello = packet(&[&[2, 0, 0, 0, 3], &[0, 0, 0, 1], b"x", &[0, 0, 0, 1], b"1"]);
        let read = read_hello(hello.clone()).unwrap();
        assert_eq!(read, (3, vec![Bytes::from_static(b"x")]));
        for cut in [0, 1, 4, 6, 9, 10, 14] {
            assert!(read_hello(hello.slice(..cut)).is_err(), "{cut}");
        }
    }
}
