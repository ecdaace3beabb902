//! What the metadata log says, as state: the image, and what changed between two images.
//!
//! Pure: records in, image out. Images are immutable once published; a change copies only the parts
//! it touches.

mod image;
mod partition;

pub use image::{
    ApplyError, BrokerRegistration, ConfigResource, MetadataDelta, MetadataImage, TopicImage,
    is_internal_topic,
};
pub use partition::{LEADER_UNKNOWN, PartitionImage};
