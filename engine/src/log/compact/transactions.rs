//! What of transactions may go (Kafka's `CleanedTransactionMetadata`): the records of aborted ones,
//! and markers that have no record left.

use std::collections::{BTreeMap, BTreeSet};

use crate::batch::{BatchHeader, ControlType};
use crate::log::txn_index::AbortedTxn;
use crate::types::{Offset, ProducerId};

/// The transactions that are open at a point of the log, as the cleaner goes through it.
#[derive(Default)]
pub(super) struct CleanedTxns {
    /// Aborted transactions that begin further on, by their first offset.
    ahead: BTreeMap<(Offset, ProducerId), AbortedTxn>,
    /// Open ones that will be aborted, and whether any of their batches is still there.
    aborted: BTreeMap<ProducerId, (AbortedTxn, bool)>,
    /// Producers with batches of a transaction that will be committed.
    committed: BTreeSet<ProducerId>,
}

/// What becomes of a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MarkerFate {
    /// None of its transaction's batches is left.
    OfEmptyTxn,
    /// It ends what is there; of an aborted transaction, that stays in the index.
    Needed(Option<AbortedTxn>),
}

impl CleanedTxns {
    /// Aborted transactions that the index of the next stretch of the log names.
    pub(super) fn add(&mut self, txns: impl IntoIterator<Item = AbortedTxn>) {
        for txn in txns {
            self.ahead.insert((txn.first_offset, txn.producer_id), txn);
        }
    }

    fn advance(&mut self, offset: Offset) {
        while let Some(entry) = self.ahead.first_entry() {
            if entry.key().0 > offset {
                return;
            }
            let txn = entry.remove();
            self.aborted.entry(txn.producer_id).or_insert((txn, false));
        }
    }

    /// A batch of records; true if its transaction was aborted.
    pub(super) fn on_batch(&mut self, header: &BatchHeader) -> bool {
        self.advance(header.last_offset());
        if !header.is_transactional() {
            return false;
        }
        match self.aborted.get_mut(&header.producer_id) {
            Some((_, seen)) => {
                *seen = true;
                true
            }
            None => {
                self.committed.insert(header.producer_id);
                false
            }
        }
    }

    /// A control batch and what its record says; `None` if it has none.
    pub(super) fn on_marker(
        &mut self,
        header: &BatchHeader,
        control: Option<ControlType>,
    ) -> MarkerFate {
        self.advance(header.last_offset());
        match control {
            Some(ControlType::Abort) => match self.aborted.remove(&header.producer_id) {
                Some((txn, true)) => MarkerFate::Needed(Some(txn)),
                _ => MarkerFate::OfEmptyTxn,
            },
            Some(ControlType::Commit) => match self.committed.remove(&header.producer_id) {
                true => MarkerFate::Needed(None),
                false => MarkerFate::OfEmptyTxn,
            },
            Some(_) => MarkerFate::Needed(None),
            // It was emptied before.
            None => MarkerFate::OfEmptyTxn,
        }
    }
}
