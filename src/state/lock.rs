//! One process per directory: an advisory lock on `STATE_DIR/.lock`, which dies with its holder.

use crate::disk::OpenedDirectory;
use crate::error::{Error, ErrorKind, Result};
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};

const NAME: &str = ".lock";

/// Held as long as it lives.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the lock without waiting and writes this process's id into it.
    ///
    /// # Errors
    /// `ERR_STATE_LOCKED`, naming the holder; `ERR_STATE_IO`.
    pub fn acquire(directory: &OpenedDirectory) -> Result<Self> {
        let mut file = directory.open_lock(NAME)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Only for the message: a holder that has not yet written its id is simply not named.
                let _ = Read::by_ref(&mut file).take(32).read_to_string(&mut holder);
                let pid =
                    holder.trim().parse::<u32>().map_or_else(|_| "another process".to_owned(), |pid| format!("process {pid}"));
                let path = directory.path().display();
                return Err(Error::new(ErrorKind::StateLocked, format!("{path} is in use by {pid}; one process per directory")));
            }
            Err(TryLockError::Error(e)) => return Err(Error::io(format_args!("lock {}/{NAME}", directory.path().display()), e)),
        }
        let write =
            file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).and_then(|_| writeln!(file, "{}", std::process::id()));
        write.map_err(|e| Error::io(format_args!("write {}/{NAME}", directory.path().display()), e))?;
        Ok(Self { _file: file })
    }
}
