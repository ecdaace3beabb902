//! The metadata image that the whole node answers from.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::metadata::MetadataImage;

/// The newest image whose logs every shard has, seen by all shards from the same moment on: what a
/// client hears on one connection holds on each of its others. Were it not so, a producer's first
/// batches could be refused and its next ones taken, which a producer that does not know the state
/// yet cannot mend (KIP-360: any first sequence number is taken).
#[derive(Default)]
pub struct PublishedImage {
    version: AtomicU64,
    image: Mutex<Arc<MetadataImage>>,
}

impl PublishedImage {
    /// Shows an image to all shards.
    pub fn publish(&self, image: Arc<MetadataImage>) {
        // Nothing that can panic runs under the lock.
        *self.image.lock().unwrap_or_else(PoisonError::into_inner) = image;
        self.version.fetch_add(1, Ordering::Release);
    }

    /// The image, and its number, if it is another than that of this number.
    pub fn newer_than(&self, version: u64) -> Option<(u64, Arc<MetadataImage>)> {
        let newest = self.version.load(Ordering::Acquire);
        // One published meanwhile has a higher number, and is fetched again.
        (newest != version).then(|| {
            let image = self.image.lock().unwrap_or_else(PoisonError::into_inner);
            (newest, Arc::clone(&image))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_handed_out_once_for_each_number() {
        let published = PublishedImage::default();
        assert!(published.newer_than(0).is_none());
        let mut image = MetadataImage::default();
        image.end_offset = 7;
        published.publish(Arc::new(image));
        let (version, seen) = published.newer_than(0).expect("a newer one");
        assert_eq!(seen.end_offset, 7);
        assert!(published.newer_than(version).is_none());
    }
}
