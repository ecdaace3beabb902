//! A node makes itself known: what a start writes into the metadata log.

use ringlog_wire::Uuid;
use ringlog_wire::records::metadata::{
    BeginTransactionRecord, BrokerRegistrationChangeRecord, EndTransactionRecord, MetadataRecord,
    PartitionChangeRecord, RegisterBrokerRecord, RegisterControllerRecord, register_broker_record,
    register_controller_record,
};

use crate::features::FEATURES;
use crate::metadata::MetadataImage;

/// Who a node is and where it is found.
#[derive(Clone, Debug)]
pub struct NodeIdentity {
    /// node.id
    pub node_id: i32,
    /// New at every start.
    pub incarnation_id: Uuid,
    /// Name, host, port and protocol number of the listeners for clients and brokers.
    pub endpoints: Vec<(String, String, u16, i16)>,
    /// The same of the controller's listeners.
    pub controller_endpoints: Vec<(String, String, u16, i16)>,
    /// broker.rack
    pub rack: Option<String>,
    /// Ids of its log directories.
    pub directories: Vec<Uuid>,
    /// Id of the one that holds the metadata.
    pub metadata_directory: Uuid,
}

/// The first records of a new cluster, from its bootstrap file, as one transaction.
pub fn bootstrap_records(from_file: Vec<MetadataRecord>) -> Vec<MetadataRecord> {
    let name = "Bootstrap records".to_owned();
    let mut records = vec![BeginTransactionRecord { name: Some(name) }.into()];
    records.extend(from_file);
    records.push(EndTransactionRecord::default().into());
    records
}

/// What a start of the only node writes: it registers as controller and broker, with the offset of
/// its registration, `broker_epoch`, as its epoch, serves at once, and leads its partitions anew.
pub fn registration_records(
    image: &MetadataImage,
    node: &NodeIdentity,
    next_offset: i64,
) -> (i64, Vec<MetadataRecord>) {
    let broker_epoch = next_offset + 1;
    let id = node.node_id;
    let mut records: Vec<MetadataRecord> = vec![
        controller_record(node).into(),
        broker_record(node, broker_epoch).into(),
        BrokerRegistrationChangeRecord {
            broker_id: id,
            broker_epoch,
            fenced: -1,
            ..BrokerRegistrationChangeRecord::default()
        }
        .into(),
    ];
    // FENCE: whoever still acts on the last incarnation's word is told so by the leader epoch.
    for topic in image.topics_by_name() {
        for (&partition_id, partition) in &topic.partitions {
            if partition.replicas.contains(&id) {
                records.push(
                    PartitionChangeRecord {
                        partition_id,
                        topic_id: topic.id,
                        leader: id,
                        isr: (partition.isr != [id]).then(|| vec![id]),
                        ..PartitionChangeRecord::default()
                    }
                    .into(),
                );
            }
        }
    }
    (broker_epoch, records)
}

fn controller_record(node: &NodeIdentity) -> RegisterControllerRecord {
    let end_points = node.controller_endpoints.iter().map(|(name, host, port, protocol)| {
        register_controller_record::ControllerEndpoint {
            name: name.clone(),
            host: host.clone(),
            port: *port,
            security_protocol: *protocol,
        }
    });
    let features =
        FEATURES.iter().map(|(name, min, max)| register_controller_record::ControllerFeature {
            name: (*name).to_owned(),
            min_supported_version: *min,
            max_supported_version: *max,
        });
    RegisterControllerRecord {
        controller_id: node.node_id,
        incarnation_id: node.incarnation_id,
        zk_migration_ready: false,
        end_points: end_points.collect(),
        features: features.collect(),
    }
}

fn broker_record(node: &NodeIdentity, broker_epoch: i64) -> RegisterBrokerRecord {
    let end_points = node.endpoints.iter().map(|(name, host, port, protocol)| {
        register_broker_record::BrokerEndpoint {
            name: name.clone(),
            host: host.clone(),
            port: *port,
            security_protocol: *protocol,
        }
    });
    let features = FEATURES.iter().map(|(name, min, max)| register_broker_record::BrokerFeature {
        name: (*name).to_owned(),
        min_supported_version: *min,
        max_supported_version: *max,
    });
    RegisterBrokerRecord {
        broker_id: node.node_id,
        is_migrating_zk_broker: false,
        incarnation_id: node.incarnation_id,
        broker_epoch,
        end_points: end_points.collect(),
        features: features.collect(),
        rack: node.rack.clone(),
        fenced: true,
        in_controlled_shutdown: false,
        log_dirs: node.directories.clone(),
    }
}
