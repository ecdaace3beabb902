//! Control records: transaction markers and KRaft's own (Kafka's `ControlRecordType`).

/// What a control record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlType {
    /// A transaction was aborted.
    Abort,
    /// A transaction was committed.
    Commit,
    /// A KRaft leader was elected.
    LeaderChange,
    /// First record of a metadata snapshot.
    SnapshotHeader,
    /// Last record of a metadata snapshot.
    SnapshotFooter,
    /// The finalized kraft.version.
    KraftVersion,
    /// The voters of the quorum.
    KraftVoters,
}

impl ControlType {
    const ALL: [ControlType; 7] = [
        ControlType::Abort,
        ControlType::Commit,
        ControlType::LeaderChange,
        ControlType::SnapshotHeader,
        ControlType::SnapshotFooter,
        ControlType::KraftVersion,
        ControlType::KraftVoters,
    ];

    /// Reads a control record's key. Unknown types, which later versions may add, are `None`.
    pub fn from_key(key: &[u8]) -> Option<ControlType> {
        let number = i16::from_be_bytes(key.get(2..4)?.try_into().ok()?);
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// The key of a control record: version 0 and the type.
    pub fn key(self) -> [u8; 4] {
        let mut key = [0; 4];
        key[2..].copy_from_slice(&(self as i16).to_be_bytes());
        key
    }
}

/// The value of a transaction marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTxnMarker {
    /// Epoch of the transaction coordinator that wrote it.
    pub coordinator_epoch: i32,
}

impl EndTxnMarker {
    /// Reads a marker's value.
    pub fn from_value(value: &[u8]) -> Option<EndTxnMarker> {
        let coordinator_epoch = i32::from_be_bytes(value.get(2..6)?.try_into().ok()?);
        Some(EndTxnMarker { coordinator_epoch })
    }

    /// The value: version 0 and the epoch.
    pub fn value(self) -> [u8; 6] {
        let mut value = [0; 6];
        value[2..].copy_from_slice(&self.coordinator_epoch.to_be_bytes());
        value
    }
}
