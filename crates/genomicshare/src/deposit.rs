//! deposit: a file becomes shares, one for each jurisdiction of its consent.
//!
//! The [`Authorization`] is used up here and checked again before the first random byte is drawn.
//! The file is looked at while it streams through: when its end shows that it was damaged, nothing
//! of it becomes visible.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use genomic_formats::{Depth, Inspector, Report};
use jiff::Timestamp;
use tokio::io::{AsyncRead, ReadBuf};
use xstore::progress::Observer;
use xstore::store::OnCommit;
use xstore::{PutOptions, Receipt, Store};

use crate::authorize::{Authorization, Use};
use crate::error::Error;
use crate::jurisdiction::LawTable;
use crate::shared::{Placed, SharedFile};
use crate::sites::Sites;

/// What is done with a file that is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Damaged {
    /// It is refused.
    #[default]
    Refuse,
    /// It is shared as it is, byte for byte.
    Accept,
}

/// How a file is deposited.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct DepositOptions {
    /// What is done with a damaged file.
    pub damaged: Damaged,
    /// Length of the file in bytes where it is known, for progress only.
    pub len_hint: Option<u64>,
    /// What recovery tells the next run; see [`PutOptions::note`].
    pub note: Option<String>,
    /// Listens to progress.
    pub observer: Option<Arc<dyn Observer>>,
}

/// A file that is shared.
#[derive(Debug)]
pub struct Deposited {
    /// The committed put.
    pub receipt: Receipt,
    /// What the file was found to be.
    pub report: Report,
}

/// The jurisdictions of `sites` as a manifest records them.
#[must_use]
pub fn placed(sites: &Sites, law: &LawTable) -> Vec<Placed> {
    let each = sites.iter().map(|site| {
        let known = law.law_of(site.code).map(|law| law.regulation.clone());
        Placed {
            code: site.code.to_string(),
            zone: law.zone_of(site.code).to_string(),
            regulation: site.regulation.clone().or(known),
        }
    });
    each.collect()
}

/// Splits `source` over `store`, whose backends are labelled with the authorised jurisdictions.
///
/// `placed` is what the manifest records of the jurisdictions; see [`placed()`].
///
/// # Errors
/// [`Error::Refused`] when the authorisation is for another use or other jurisdictions, or no longer
/// holds; [`Error::Format`] when the file is damaged; otherwise as [`Store::put`]. Nothing of the
/// file is visible after any of them.
pub async fn deposit(
    store: &Store,
    authorization: Authorization,
    placed: Vec<Placed>,
    source: &mut (dyn AsyncRead + Unpin + Send),
    now: Timestamp,
    options: DepositOptions,
    on_commit: OnCommit<'_>,
) -> Result<Deposited, Error> {
    authorization.still_valid(now)?;
    let Use::Deposit { jurisdictions } = authorization.usage() else {
        return Err(Error::wrong_use("this authorisation is not for a deposit"));
    };
    let codes: Vec<&str> = jurisdictions.iter().map(|code| code.as_str()).collect();
    let labels: Vec<&str> = store.labels().collect();
    if codes != labels {
        return Err(Error::wrong_use(
            "this authorisation is for other jurisdictions",
        ));
    }
    let shared = SharedFile {
        consent: authorization.consent().clone(),
        placed,
    };
    let inspected = Inspected::new(options.damaged);
    let mut source = InspectedSource {
        source,
        inspected: inspected.clone(),
    };
    let mut put = PutOptions::default();
    put.extension = Some(shared.to_extension());
    put.len_hint = options.len_hint;
    put.note = options.note;
    put.observer = options.observer;
    let result = store.put(&mut source, put, on_commit).await;
    let report = inspected.report();
    match (result, report) {
        (Ok(receipt), Some(report)) => Ok(Deposited { receipt, report }),
        (Err(_), Some(report)) if inspected.refused() => {
            Err(report.require_valid().err().map_or_else(
                || Error::wrong_use("the file was refused without a reason"),
                Error::Format,
            ))
        }
        (Err(error), _) => Err(error.into()),
        (Ok(_), None) => Err(Error::wrong_use("the source was not read to its end")),
    }
}

/// What is learnt of a source while it is read.
#[derive(Clone)]
struct Inspected(Arc<Mutex<Inspection>>);

struct Inspection {
    inspector: Option<Inspector>,
    report: Option<Report>,
    damaged: Damaged,
    refused: bool,
}

impl Inspected {
    fn new(damaged: Damaged) -> Self {
        let inspector = Some(Inspector::new(Depth::Structure));
        Self(Arc::new(Mutex::new(Inspection {
            inspector,
            report: None,
            damaged,
            refused: false,
        })))
    }

    fn with<T>(&self, look: impl FnOnce(&mut Inspection) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, bytes: &[u8]) {
        self.with(|inspection| {
            if let Some(inspector) = &mut inspection.inspector {
                inspector.push(bytes);
            }
        });
    }

    /// The verdict at the end of the source.
    fn end(&self) -> std::io::Result<()> {
        self.with(|inspection| {
            if let Some(inspector) = inspection.inspector.take() {
                inspection.report = Some(inspector.finish());
            }
            let valid = inspection
                .report
                .as_ref()
                .is_none_or(|r| r.require_valid().is_ok());
            inspection.refused = !valid && inspection.damaged == Damaged::Refuse;
            if inspection.refused {
                Err(std::io::ErrorKind::InvalidData.into())
            } else {
                Ok(())
            }
        })
    }

    fn refused(&self) -> bool {
        self.with(|inspection| inspection.refused)
    }

    fn report(&self) -> Option<Report> {
        self.with(|inspection| inspection.report.take())
    }
}

/// A source that is inspected while it is read, and that fails at its end when it is damaged.
struct InspectedSource<'a> {
    source: &'a mut (dyn AsyncRead + Unpin + Send),
    inspected: Inspected,
}

impl AsyncRead for InspectedSource<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut *self.source).poll_read(cx, buffer);
        if let Poll::Ready(Ok(())) = poll {
            let read = &buffer.filled()[before..];
            if read.is_empty() && buffer.remaining() > 0 {
                return Poll::Ready(self.inspected.end());
            }
            self.inspected.push(read);
        }
        poll
    }
}
