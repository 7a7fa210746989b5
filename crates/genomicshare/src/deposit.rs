//! deposit: a file becomes shares, one for each jurisdiction of its consent.
//!
//! The [`Authorization`] is used up here. It and the placement are checked before the first random
//! byte is drawn, and the consent again with every piece that is read and at the end. The file is
//! looked at while it streams through: when the consent ends, or the file turns out to be damaged,
//! nothing of it becomes visible.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use genomic_formats::{Depth, Inspector, Report};
use tokio::io::{AsyncRead, ReadBuf};
use xstore::progress::Observer;
use xstore::store::OnCommit;
use xstore::{Happy, Mode, PutOptions, Receipt, Resumption, Store};

use crate::authorize::{Authorization, Use};
use crate::error::Error;
use crate::jurisdiction::LawTable;
use crate::plan::plan;
use crate::retrieve::Now;
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
    /// How many shares must be stored.
    pub happy: Happy,
    /// How the file is protected; perfect by default.
    pub mode: Mode,
    /// Length of the file in bytes where it is known, for progress only.
    pub len_hint: Option<u64>,
    /// What becomes of this deposit when it stops, and of one with the same note that stopped before.
    /// A deposit that is resumed records the consent that it was authorised by, not the earlier one.
    pub resumption: Resumption,
    /// What recovery tells the next run; see [`PutOptions::note`].
    pub note: Option<String>,
    /// Listens to progress.
    pub observer: Option<Arc<dyn Observer>>,
}

/// Where the shares go, and the law that applies there.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    /// One jurisdiction for each share.
    pub sites: &'a Sites,
    /// Zones, regulations and transfer rules.
    pub law: &'a LawTable,
}

/// A file that is shared.
#[derive(Debug)]
pub struct Deposited {
    /// The committed put.
    pub receipt: Receipt,
    /// What the file was found to be.
    pub report: Report,
}

/// Splits `source` over `store`, whose backends are labelled with the jurisdictions of `sites`.
///
/// # Errors
/// [`Error::Refused`] when the placement is one that [`plan()`](crate::plan()) refuses, or the
/// authorisation no longer holds, also while the source is read; [`Error::Format`] when the file is
/// damaged; [`Error::Store`] when the authorisation is for another use or other jurisdictions, and
/// otherwise as [`Store::put`]. Nothing of the file is visible after any of them.
pub async fn deposit(
    store: &Store,
    authorization: Authorization,
    Destination { sites, law }: Destination<'_>,
    source: &mut (dyn AsyncRead + Unpin + Send),
    now: Now,
    options: DepositOptions,
    on_commit: OnCommit<'_>,
) -> Result<Deposited, Error> {
    authorization.still_valid(now())?;
    let consent = authorization.consent().clone();
    plan(sites, Some(&consent), law, options.len_hint, now()).verdict()?;
    let Use::Deposit { jurisdictions } = authorization.usage() else {
        return Err(Error::wrong_use("this authorisation is not for a deposit"));
    };
    let labels: Vec<&str> = store.labels().collect();
    let codes: Vec<&str> = jurisdictions.iter().map(|code| code.as_str()).collect();
    if codes != labels || *jurisdictions != sites.codes() {
        return Err(Error::wrong_use(
            "this authorisation is for other jurisdictions",
        ));
    }
    let shared = SharedFile {
        consent,
        placed: placed(sites, law),
    };
    let inspected = Inspected::new(authorization, now, options.damaged);
    let mut source = InspectedSource {
        source,
        inspected: inspected.clone(),
    };
    let mut put = PutOptions::default();
    put.extension = Some(shared.to_extension());
    put.happy = options.happy;
    put.mode = options.mode;
    put.len_hint = options.len_hint;
    put.resumption = options.resumption;
    put.note = options.note;
    put.observer = options.observer;
    let result = store.put(&mut source, put, on_commit).await;
    match (inspected.refusal(), result, inspected.report()) {
        (Some(refusal), Err(_), _) => Err(refusal),
        (_, Err(error), _) => Err(error.into()),
        (_, Ok(receipt), Some(report)) => Ok(Deposited { receipt, report }),
        (_, Ok(_), None) => Err(Error::wrong_use("the source was not read to its end")),
    }
}

/// The jurisdictions of `sites` as the manifest records them.
fn placed(sites: &Sites, law: &LawTable) -> Vec<Placed> {
    let each = sites.iter().map(|site| Placed {
        code: site.code.to_string(),
        zone: law.zone_of(site.code).to_string(),
        regulation: site
            .regulation
            .clone()
            .or_else(|| law.law_of(site.code).map(|law| law.regulation.clone())),
    });
    each.collect()
}

/// What is learnt of a source while it is read, and what speaks against going on.
#[derive(Clone)]
struct Inspected(Arc<Mutex<Inspection>>);

struct Inspection {
    authorization: Authorization,
    now: Now,
    inspector: Option<Inspector>,
    report: Option<Report>,
    damaged: Damaged,
    refusal: Option<Error>,
}

impl Inspected {
    fn new(authorization: Authorization, now: Now, damaged: Damaged) -> Self {
        Self(Arc::new(Mutex::new(Inspection {
            authorization,
            now,
            inspector: Some(Inspector::new(Depth::Structure)),
            report: None,
            damaged,
            refusal: None,
        })))
    }

    fn with<T>(&self, look: impl FnOnce(&mut Inspection) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn refusal(&self) -> Option<Error> {
        self.with(|inspection| inspection.refusal.take())
    }

    fn report(&self) -> Option<Report> {
        self.with(|inspection| inspection.report.take())
    }
}

impl Inspection {
    /// Bytes were read: the consent must still hold.
    fn push(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let permitted = self.authorization.renew((self.now)());
        if let Some(inspector) = &mut self.inspector {
            inspector.push(bytes);
        }
        self.refuse(permitted)
    }

    /// The source ended: the consent must still hold, and the file must be whole.
    fn end(&mut self) -> std::io::Result<()> {
        let permitted = self.authorization.renew((self.now)());
        self.refuse(permitted)?;
        if let Some(inspector) = self.inspector.take() {
            self.report = Some(inspector.finish());
        }
        let valid = self.report.as_ref().map_or(Ok(()), Report::require_valid);
        match (valid, self.damaged) {
            (Err(invalid), Damaged::Refuse) => self.refuse(Err(invalid.into())),
            _ => Ok(()),
        }
    }

    fn refuse(&mut self, verdict: Result<(), Error>) -> std::io::Result<()> {
        verdict.map_err(|refusal| {
            self.refusal = Some(refusal);
            std::io::ErrorKind::InvalidData.into()
        })
    }
}

/// A source that is looked at while it is read, and that fails when it must not be shared.
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
            let ended = read.is_empty() && buffer.remaining() > 0;
            return Poll::Ready(self.inspected.with(|inspection| match ended {
                true => inspection.end(),
                false => inspection.push(read),
            }));
        }
        poll
    }
}
