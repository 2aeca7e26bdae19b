//! How damage is described: a check and a hub that refuses to start use the same words.

use std::path::Path;

use crate::OpenError;
use crate::sqlite::Tail;

/// What to do about damage to the journal: a hub on what is left might run again what has run.
pub(crate) const MEND_JOURNAL: &str = "put a copy of the whole data directory in its place, or begin with an empty one; do not start a \
                                  hub on what is left, for it may run again what has run";

/// What is said of a WAL with so many whole transactions, if nothing shows that there were no more.
pub(crate) fn unproven(transactions: u64) -> String {
    format!(
        "receipts after transaction {transactions} of the journal's WAL cannot be shown to be all there: it has no index \
         (`-shm`) that knows its end, as after a power cut or in a copy"
    )
}

/// What is wrong with a file, what is lost by it, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) what: String,
    pub(crate) lost: String,
    pub(crate) mend: String,
}

// === impl Damage ===

impl Damage {
    /// Of a database that ends in the middle of a page.
    pub(crate) fn of_a_cut_page(length: u64) -> Self {
        Self {
            what: format!("it ends in the middle of a page, after {length} bytes"),
            lost: "what was there: receipts, starts and ends".to_owned(),
            mend: MEND_JOURNAL.to_owned(),
        }
    }

    /// The error with which a hub refuses to start.
    pub(crate) fn refused(self, file: &Path) -> OpenError {
        OpenError::Damaged {
            path: file.to_owned(),
            what: self.what,
            lost: self.lost,
            mend: self.mend,
        }
    }
}

// === impl Tail ===

impl Tail {
    /// What is wrong with the WAL at `wal`, if anything is.
    pub(crate) fn damage(self, wal: &Path) -> Option<Damage> {
        match self {
            Self::Whole | Self::Torn { .. } => None,
            Self::Damaged { at, transactions } => Some(Damage {
                what: format!("it is damaged after {at} bytes, and goes on after that"),
                lost: format!("the last {transactions} transactions: receipts, starts and ends"),
                mend: MEND_JOURNAL.to_owned(),
            }),
            // The database then has more than the WAL.
            Self::Short {
                whole,
                of,
                checkpointed,
            } if checkpointed == of => Some(Damage {
                what: format!("{whole} of its {of} pages are whole, and `journal.db` has them all"),
                lost: "nothing, if this file is removed; with it, all that came after those pages"
                    .to_owned(),
                mend: format!("with the hub stopped, `rm {}`", wal.display()),
            }),
            Self::Short {
                whole,
                of,
                checkpointed,
            } => {
                let gone = of - whole.max(checkpointed);
                let transactions = match gone {
                    1 => "the last transaction".to_owned(),
                    most => format!("the last transactions, {most} at most"),
                };
                Some(Damage {
                    what: format!(
                        "{whole} of its {of} pages are whole: it was longer, or it is another one"
                    ),
                    lost: format!("{transactions}: receipts, starts and ends"),
                    mend: MEND_JOURNAL.to_owned(),
                })
            }
        }
    }
}
