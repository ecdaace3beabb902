//! Names of the directories inside a log directory.

/// What a name in a log directory stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryName {
    /// `<topic>-<partition>`.
    Partition(String, i32),
    /// `<topic>-<partition>.<id>-delete`: on its way out.
    Deleted,
    /// `<topic>-<partition>.<id>-future`: a replica that is moving here.
    Future,
    /// `<topic>-<partition>.<id>-stray`: set aside because the cluster does not know it.
    Stray,
    /// `remote-log-index-cache`: tiered storage's own.
    RemoteCache,
}

/// Reads a directory's name; `None` if it is none that Kafka makes.
pub fn parse_directory_name(name: &str) -> Option<DirectoryName> {
    if name == "remote-log-index-cache" {
        return Some(DirectoryName::RemoteCache);
    }
    for (suffix, kind) in [
        ("-delete", DirectoryName::Deleted),
        ("-future", DirectoryName::Future),
        ("-stray", DirectoryName::Stray),
    ] {
        if name.ends_with(suffix) && name.contains('.') {
            return Some(kind);
        }
    }
    let (topic, partition) = name.rsplit_once('-')?;
    let partition: i32 = partition.parse().ok().filter(|p| *p >= 0)?;
    (!topic.is_empty()).then(|| DirectoryName::Partition(topic.to_owned(), partition))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_kafka_reads_them() {
        let partition = |topic: &str, p| Some(DirectoryName::Partition(topic.to_owned(), p));
        assert_eq!(parse_directory_name("t-0"), partition("t", 0));
        assert_eq!(parse_directory_name("my-topic.v1-12"), partition("my-topic.v1", 12));
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(parse_directory_name(&format!("t-0.{id}-delete")), Some(DirectoryName::Deleted));
        assert_eq!(parse_directory_name(&format!("t-0.{id}-stray")), Some(DirectoryName::Stray));
        assert_eq!(parse_directory_name("lost+found"), None);
        assert_eq!(parse_directory_name("t-"), None);
        assert_eq!(parse_directory_name("t--1"), partition("t-", 1));
        assert_eq!(parse_directory_name("-1"), None);
    }
}
