//! A client's own folder: root key, pins, device, catalogue and journal.
//!
//! Nothing in it is needed to read data from manifest and shares, but the root key alone can prove
//! that manifests are the owner's own.

use std::path::{Path, PathBuf};

use crate::catalogue::FileCatalogue;
use crate::entropy::{Entropy, draw};
use crate::error::Error;
use crate::ids::DeviceId;
use crate::journal::Journal;
use crate::keys::{OwnerKeys, file, trust::TrustedMakers};

/// Paths below one folder.
#[derive(Debug, Clone)]
pub struct Home {
    folder: PathBuf,
}

impl Home {
    /// Takes `folder` as home; nothing is made until something is written.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the root key lies.
    #[must_use]
    pub fn root_key_path(&self) -> PathBuf {
        self.folder.join("root.key")
    }

    /// Where the pins lie.
    #[must_use]
    pub fn trust_path(&self) -> PathBuf {
        self.folder.join("trust")
    }

    /// The owner's keys, where there is a root key.
    ///
    /// # Errors
    /// As [`file::read_root_key`].
    pub fn keys(&self) -> Result<Option<OwnerKeys>, Error> {
        Ok(file::read_root_key(&self.root_key_path())?.map(|root| OwnerKeys::derive(&root)))
    }

    /// The owner's keys, made on first use; whether they are new.
    ///
    /// # Errors
    /// As [`file::read_or_create_root_key`].
    pub fn keys_or_new(&self, entropy: &dyn Entropy) -> Result<(OwnerKeys, bool), Error> {
        let (root, new) = file::read_or_create_root_key(&self.root_key_path(), entropy)?;
        Ok((OwnerKeys::derive(&root), new))
    }

    /// The owner's keys under a new root key; the old one is kept behind it.
    ///
    /// # Errors
    /// As [`file::replace_root_key`].
    pub fn rekey(&self, entropy: &dyn Entropy) -> Result<OwnerKeys, Error> {
        let root = file::replace_root_key(&self.root_key_path(), entropy)?;
        Ok(OwnerKeys::derive(&root))
    }

    /// Pinned makers.
    ///
    /// # Errors
    /// As [`TrustedMakers::load`].
    pub fn trusted(&self) -> Result<TrustedMakers, Error> {
        TrustedMakers::load(&self.trust_path())
    }

    /// This installation's id, drawn on first use.
    ///
    /// # Errors
    /// [`Error::KeyMismatch`] when the file is damaged, [`Error::Output`] or [`Error::Random`] when a
    /// new id cannot be made.
    pub fn device(&self, entropy: &dyn Entropy) -> Result<DeviceId, Error> {
        let path = self.folder.join("device");
        if let Some(text) = file::read_private(&path)? {
            return DeviceId::from_hex(text.trim())
                .ok_or_else(|| Error::KeyMismatch(format!("{} is damaged", path.display())));
        }
        let device = DeviceId(draw(entropy)?);
        file::write_private(&path, &format!("{device}\n"))?;
        Ok(device)
    }

    /// The catalogue.
    #[must_use]
    pub fn catalogue(&self) -> FileCatalogue {
        FileCatalogue::new(&self.folder.join("catalogue"))
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> Journal {
        Journal::new(&self.folder.join("journal"))
    }
}
