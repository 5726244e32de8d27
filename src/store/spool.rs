//! Where lines wait on disk while the store cannot take them: append-only files, one JSON line each.
//!
//! ```text
//! <data>/spool/00000001.jsonl   sealed, drained first, deleted when all of it is in the store
//! <data>/spool/00000002.jsonl   being written
//! <data>/spool/unreadable.txt   lines that could not be read back, for a person to look at
//! ```
//!
//! A file is drained from its start again if the server dies in between: the store takes nothing twice. A line
//! torn by a crash is set aside. The spool is bounded by [`SPOOL_BYTES_MAX`]; past it, [`Spool::write`] refuses.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Line, StoreError};

/// Most bytes the spool may hold: some 5 million entries, half an hour at 200 calls a second. Past it lines
/// are refused, counted as lost, and an alarm is raised.
pub const SPOOL_BYTES_MAX: u64 = 1 << 30;

/// Bytes after which a new file is begun, so that draining holds little in memory.
const SEGMENT_BYTES: u64 = 4 << 20;

const UNREADABLE: &str = "unreadable.txt";

/// The spool's folder, open for writing. All but [`Spool::bytes`] waits for the disk, however long it takes.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    /// Changed only under the lock of `state`, but read without it: a disk that hangs keeps that lock.
    bytes: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    current: Option<Segment>,
    next: u64,
}

#[derive(Debug)]
struct Segment {
    file: File,
    path: PathBuf,
    bytes: u64,
}

/// What was read back from one file.
#[derive(Debug, Default, PartialEq)]
pub struct Read {
    /// The lines, in order.
    pub lines: Vec<Line>,
    /// What could not be understood.
    pub unreadable: Vec<String>,
}

impl Spool {
    /// Opens the spool in `folder`, with whatever an earlier process left there.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(folder: PathBuf) -> Result<Self, StoreError> {
        std::fs::create_dir_all(&folder).map_err(StoreError::file(&folder))?;
        let (mut state, mut bytes) = (State { current: None, next: 1 }, 0);
        for (number, path) in segments(&folder).map_err(StoreError::file(&folder))? {
            state.next = state.next.max(number + 1);
            bytes += std::fs::metadata(&path).map_err(StoreError::file(&path))?.len();
        }
        Ok(Self { folder, bytes: AtomicU64::new(bytes), state: Mutex::new(state) })
    }

    /// Bytes that wait to be drained. Never waits for the disk.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Appends `lines`; they are durable after [`Spool::sync`].
    ///
    /// # Errors
    /// The spool is full or cannot be written; nothing of `lines` is kept.
    pub fn write(&self, lines: &[Line]) -> io::Result<()> {
        let text = encode(lines)?;
        let mut state = self.state();
        if self.bytes() + text.len() as u64 > SPOOL_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the spool is full"));
        }
        let mut segment = match state.current.take() {
            Some(segment) if segment.bytes < SEGMENT_BYTES => segment,
            Some(full) => {
                full.file.sync_data()?;
                self.begin(&mut state)?
            }
            None => self.begin(&mut state)?,
        };
        if let Err(error) = segment.file.write_all(&text) {
            // Half a line may have gone out: cut it off; the next write begins a new file.
            let _ = segment.file.set_len(segment.bytes);
            return Err(error);
        }
        segment.bytes += text.len() as u64;
        self.bytes.fetch_add(text.len() as u64, Relaxed);
        state.current = Some(segment);
        Ok(())
    }

    /// Makes what was written durable.
    ///
    /// # Errors
    /// The disk refused.
    pub fn sync(&self) -> io::Result<()> {
        let file = match &self.state().current {
            Some(segment) => segment.file.try_clone()?,
            None => return Ok(()),
        };
        file.sync_data()
    }

    /// The oldest file, sealed; `None` when all is drained.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn oldest(&self) -> io::Result<Option<PathBuf>> {
        let mut state = self.state();
        let Some((_, path)) = segments(&self.folder)?.into_iter().next() else {
            state.current = None;
            self.bytes.store(0, Relaxed);
            return Ok(None);
        };
        if state.current.as_ref().is_some_and(|segment| segment.path == path) {
            state.current = None;
        }
        Ok(Some(path))
    }

    /// Reads a sealed file back.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, path: &Path) -> io::Result<Read> {
        let bytes = std::fs::read(path)?;
        let mut read = Read::default();
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(line) => read.lines.push(line),
                Err(_) => read.unreadable.push(String::from_utf8_lossy(line).into_owned()),
            }
        }
        Ok(read)
    }

    /// Sets lines aside that cannot be understood.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn set_aside(&self, unreadable: &[String]) -> io::Result<()> {
        if unreadable.is_empty() {
            return Ok(());
        }
        let mut file = OpenOptions::new().create(true).append(true).open(self.folder.join(UNREADABLE))?;
        file.write_all((unreadable.join("\n") + "\n").as_bytes())?;
        file.sync_data()
    }

    /// Deletes a file all of which is in the store.
    ///
    /// # Errors
    /// It cannot be deleted.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        let bytes = std::fs::metadata(path)?.len();
        std::fs::remove_file(path)?;
        let _state = self.state();
        self.bytes.store(self.bytes().saturating_sub(bytes), Relaxed);
        Ok(())
    }

    /// Begins a new file. Its name is made durable too: a synced file whose name is lost would be lost.
    fn begin(&self, state: &mut State) -> io::Result<Segment> {
        let path = self.folder.join(format!("{:08}.jsonl", state.next));
        let file = OpenOptions::new().create_new(true).append(true).open(&path)?;
        File::open(&self.folder)?.sync_all()?;
        state.next += 1;
        Ok(Segment { file, path, bytes: 0 })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hangs as a disk does in the middle of a write, until what is given is dropped.
    #[cfg(test)]
    pub(super) fn hang(&self) -> impl Sized + '_ {
        self.state()
    }
}

/// How many bytes wait in the spool folder of `data`; 0 where there is none. For those who only look.
pub fn waiting_bytes(data: &Path) -> u64 {
    let found = segments(&folder(data)).unwrap_or_default();
    found.iter().filter_map(|(_, path)| std::fs::metadata(path).ok()).map(|metadata| metadata.len()).sum()
}

/// The spool's folder in the data folder.
pub fn folder(data: &Path) -> PathBuf {
    data.join("spool")
}

fn encode(lines: &[Line]) -> io::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(lines.len() * 200);
    for line in lines {
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
    }
    Ok(text)
}

/// The spool's files by number, oldest first.
fn segments(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        let number = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".jsonl"));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            found.push((number, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::examples::pothole;
    use super::*;

    fn lines() -> Vec<Line> {
        pothole().into_iter().map(Line::Entry).collect()
    }

    #[test]
    fn what_is_written_comes_back_in_order_and_is_gone_when_drained() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path().join("spool")).unwrap();
        let lines = lines();
        spool.write(&lines[..3]).unwrap();
        spool.sync().unwrap();
        let first = spool.oldest().unwrap().unwrap();
        spool.write(&lines[3..]).unwrap();
        assert_eq!(spool.read(&first).unwrap().lines, lines[..3]);
        spool.remove(&first).unwrap();
        let second = spool.oldest().unwrap().unwrap();
        assert_eq!(spool.read(&second).unwrap().lines, lines[3..]);
        spool.remove(&second).unwrap();
        assert_eq!((spool.oldest().unwrap(), spool.bytes()), (None, 0));
    }

    #[test]
    fn a_torn_last_line_is_set_aside_and_the_rest_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path().to_owned()).unwrap();
        spool.write(&lines()).unwrap();
        let path = spool.oldest().unwrap().unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        let spool = Spool::open(folder.path().to_owned()).unwrap();
        let read = spool.read(&path).unwrap();
        assert_eq!(read.lines, lines()[..lines().len() - 1]);
        assert_eq!(read.unreadable.len(), 1);
        spool.set_aside(&read.unreadable).unwrap();
        assert!(folder.path().join(UNREADABLE).exists());
        assert!(spool.oldest().unwrap().is_some_and(|oldest| oldest == path), "set aside lines are not drained");
    }

    #[test]
    fn an_earlier_process_left_files_and_new_ones_come_after_them() {
        let folder = tempfile::tempdir().unwrap();
        Spool::open(folder.path().to_owned()).unwrap().write(&lines()[..1]).unwrap();
        let spool = Spool::open(folder.path().to_owned()).unwrap();
        assert_ne!(spool.bytes(), 0);
        spool.write(&lines()[1..2]).unwrap();
        let oldest = spool.oldest().unwrap().unwrap();
        assert_eq!(spool.read(&oldest).unwrap().lines, lines()[..1]);
        assert_eq!(waiting_bytes(folder.path()), 0, "that is another folder");
    }
}
