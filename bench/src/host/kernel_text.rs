//! The two forms in which the kernel says things of itself: files of one line, and files of lines
//! that begin with a key.

use std::fs;

/// What is in a file of one line; `None` also of an empty one.
pub fn line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// The number in a file of one line.
pub fn number(path: &str) -> Option<u64> {
    line(path)?.parse().ok()
}

/// The number behind a key at the beginning of a line.
pub fn number_after(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// The same of a size that is given in kB, as in /proc/meminfo: in bytes.
pub fn bytes_after(text: &str, key: &str) -> Option<u64> {
    Some(number_after(text, key)? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_by_its_key() {
        let meminfo = "MemTotal:   24 kB\nMemFree: 3 kB\nHugePages_Total: 5\nBroken: x\n";
        assert_eq!(bytes_after(meminfo, "MemFree:"), Some(3 * 1024));
        assert_eq!(number_after(meminfo, "HugePages_Total:"), Some(5));
        assert_eq!(number_after(meminfo, "Broken:"), None);
        assert_eq!(number_after(meminfo, "Free:"), None, "a key is at the beginning of its line");
        assert_eq!(line("/proc/sys/kernel/ostype").as_deref(), Some("Linux"));
        assert_eq!(number("/proc/sys/kernel/ostype"), None);
    }
}
