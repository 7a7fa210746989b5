//! A share's number, and a share that owns its bytes.

use crate::access::AccessStructure;
use crate::error::Error;

/// The number of a share, from 0 to n - 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ShareIndex(u8);

impl ShareIndex {
    /// The index `index` of a share dealt under `access`.
    ///
    /// # Errors
    /// [`Error::ShareIndex`] if `index` is not below the share count.
    pub const fn try_new(index: u8, access: AccessStructure) -> Result<Self, Error> {
        if index < access.share_count() {
            Ok(Self(index))
        } else {
            Err(Error::ShareIndex {
                index,
                share_count: access.share_count(),
            })
        }
    }

    /// For callers that count up to a share count themselves.
    pub(crate) const fn from_checked(index: u8) -> Self {
        Self(index)
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

#[cfg(feature = "alloc")]
pub use owned::Share;

#[cfg(feature = "alloc")]
mod owned {
    use super::ShareIndex;
    use alloc::vec::Vec;
    use core::fmt;
    use zeroize::Zeroizing;

    /// A share that owns its bytes and wipes them when dropped.
    pub struct Share {
        index: ShareIndex,
        bytes: Zeroizing<Vec<u8>>,
    }

    impl Share {
        /// Takes over the bytes of share `index`.
        #[must_use]
        pub const fn new(index: ShareIndex, bytes: Zeroizing<Vec<u8>>) -> Self {
            Self { index, bytes }
        }

        /// Which share this is.
        #[must_use]
        pub const fn index(&self) -> ShareIndex {
            self.index
        }

        /// The bytes of the share.
        #[must_use]
        pub fn bytes(&self) -> &[u8] {
            &self.bytes
        }
    }

    impl fmt::Debug for Share {
        /// Prints index and length, never the bytes.
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Share")
                .field("index", &self.index.get())
                .field("len_bytes", &self.bytes.len())
                .finish()
        }
    }
}
