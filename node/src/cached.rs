//! `ringlog cached`: how much of each segment is in the page cache, as vmtouch shows it.

use std::io::Write;
use std::path::{Path, PathBuf};

use ringlog_engine::io::OpenOptions;
use ringlog_engine::shard::{File, Shard};

const PAGE_BYTES: u64 = 4096;

/// Prints a line for every segment below the folders, and one for all of them.
///
/// # Errors
/// If a folder cannot be read, or the kernel cannot tell (before 6.5).
pub async fn print(shard: &Shard, dirs: &[PathBuf], out: &mut impl Write) -> Result<(), String> {
    let (mut cached, mut size, mut count) = (0, 0, 0);
    for dir in dirs {
        for path in segments(shard, dir).await? {
            // A segment that retention has taken away meanwhile.
            let Some(found) = share_of(shard, &path).await? else { continue };
            write_line(out, &path.display().to_string(), found)?;
            cached += found.0;
            size += found.1;
            count += 1;
        }
    }
    write_line(out, &format!("{count} segments"), (cached, size))
}

/// Bytes that are in memory, and bytes that there are.
async fn share_of(shard: &Shard, path: &Path) -> Result<Option<(u64, u64)>, String> {
    let Some(stat) = shard.stat(path).await.map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    let Ok(file) = File::open(shard, path, OpenOptions::default()).await else { return Ok(None) };
    let cached = file.cached_bytes(0, stat.len.next_multiple_of(PAGE_BYTES)).await;
    let cached = cached.map_err(|error| error.to_string())?;
    Ok(Some((cached.min(stat.len), stat.len)))
}

fn write_line(out: &mut impl Write, what: &str, (cached, size): (u64, u64)) -> Result<(), String> {
    let pages = |bytes: u64| bytes.div_ceil(PAGE_BYTES);
    let percent = if size == 0 { 0.0 } else { cached as f64 * 100.0 / size as f64 };
    writeln!(
        out,
        "{what}: {}/{} pages, {cached}/{size} bytes, {percent:.1}%",
        pages(cached),
        pages(size)
    )
    .map_err(|error| error.to_string())
}

/// The segments in a folder and in those below it, in order: a partition, or a log directory.
async fn segments(shard: &Shard, dir: &Path) -> Result<Vec<PathBuf>, String> {
    let list = |dir: PathBuf| async move {
        let names = shard.list_dir(&dir).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(names.into_iter().map(|name| dir.join(name)).collect::<Vec<_>>())
    };
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|suffix| suffix == "log");
    let mut found = Vec::new();
    for path in list(dir.to_owned()).await? {
        let is_dir = shard.stat(&path).await.ok().flatten().is_some_and(|stat| stat.is_dir);
        match is_dir {
            true => found.extend(list(path).await?.into_iter().filter(is_segment)),
            false => found.extend(Some(path).filter(is_segment)),
        }
    }
    found.sort();
    Ok(found)
}
