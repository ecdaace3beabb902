//! What to do with a batch after an answer, or after none.

use ringlog_engine::io::Mono;

use super::accumulator::Accumulator;
use super::queued::Batch;
use crate::client::{error_name, is_retriable};

const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
const DUPLICATE_SEQUENCE_NUMBER: i16 = 46;
const INVALID_PRODUCER_EPOCH: i16 = 47;
const UNKNOWN_PRODUCER_ID: i16 = 59;

/// What became of a batch on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The broker's error code, 0 if there is none.
    Answered(i16),
    /// The connection ended before an answer.
    Disconnected(String),
}

/// What follows from an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The records are delivered.
    Delivered,
    /// They are sent again.
    Retry,
    /// They are sent again, by a new producer identity.
    RetryRenewed,
    /// They are lost, and why.
    Lost(String),
}

/// Java's rules (`Sender.completeBatch`, `TransactionManager.canRetry`).
pub fn judge(
    accumulator: &Accumulator,
    retries: u32,
    batch: &Batch,
    outcome: &Outcome,
    now: Mono,
) -> Verdict {
    let (verdict, why) = match outcome {
        Outcome::Answered(0 | DUPLICATE_SEQUENCE_NUMBER) => return Verdict::Delivered,
        Outcome::Answered(OUT_OF_ORDER_SEQUENCE_NUMBER) if batch.sequence.is_some() => {
            // Those before it failed and will be sent again: so will this. If it is the next,
            // broker and producer disagree, and begin anew.
            let next = accumulator.is_next(batch);
            let verdict = if next { Verdict::RetryRenewed } else { Verdict::Retry };
            (verdict, error_name(OUT_OF_ORDER_SEQUENCE_NUMBER))
        }
        Outcome::Answered(code @ (UNKNOWN_PRODUCER_ID | INVALID_PRODUCER_EPOCH))
            if batch.sequence.is_some() =>
        {
            (Verdict::RetryRenewed, error_name(*code))
        }
        Outcome::Answered(code) if is_retriable(*code) => (Verdict::Retry, error_name(*code)),
        Outcome::Answered(code) => return Verdict::Lost(error_name(*code)),
        Outcome::Disconnected(why) => (Verdict::Retry, why.clone()),
    };
    if batch.attempts >= retries {
        return Verdict::Lost(format!("{why}, after {} retries", batch.attempts));
    }
    if accumulator.is_overdue(batch, now) {
        return Verdict::Lost(format!("{why}, and delivery.timeout.ms has passed"));
    }
    verdict
}
