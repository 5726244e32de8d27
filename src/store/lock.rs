//! One server per data folder: two would end each other's calls at their start.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use super::StoreError;

const FILE: &str = "cityline.lock";

/// Holds a data folder; given back when dropped, and by the kernel when the process is killed.
#[derive(Debug)]
pub(super) struct DataLock(#[allow(dead_code, reason = "held, not read")] File);

impl DataLock {
    /// Takes the folder `data`.
    pub(super) fn take(data: &Path) -> Result<Self, StoreError> {
        let path = data.join(FILE);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(StoreError::file(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse(data.display().to_string())),
            Err(TryLockError::Error(error)) => Err(StoreError::file(&path)(error)),
        }
    }
}
