//! Starts writing to disk while more is still being computed, so that a sync at the end has little left to do.

use std::fs::File;

/// Bytes after which the disk is given work.
const STRIDE: u64 = 8 << 20;

/// Watches a file that is written from its beginning to its end.
#[derive(Debug, Default)]
pub struct WriteAhead {
    written: u64,
    started: u64,
}

impl WriteAhead {
    /// Tells of bytes that were appended. It is a hint only: what fails shows up at the sync.
    pub fn wrote(&mut self, file: &File, count: usize) {
        self.written += count as u64;
        if self.written - self.started >= STRIDE {
            start_write_back(file, self.started, self.written - self.started);
            self.started = self.written;
        }
    }

    /// Tells that nothing more comes. Files that are smaller than a stride are left to the sync, which takes many
    /// at once.
    pub fn end(&mut self, file: &File) {
        if self.started > 0 && self.written > self.started {
            start_write_back(file, self.started, self.written - self.started);
            self.started = self.written;
        }
    }
}

/// Asks the system to begin with writing these bytes of a file to disk. Only a hint: what fails shows up at the sync.
#[cfg(target_os = "linux")]
pub fn start_write_back(file: &File, offset: u64, length: u64) {
    use std::os::fd::AsRawFd;
    let (Ok(offset), Ok(length)) = (i64::try_from(offset), i64::try_from(length)) else {
        return;
    };
    // SAFETY: the descriptor is open while `file` lives; no memory is handed over. Without one of the flags that wait,
    // the call neither reports nor forgets errors of write-back.
    unsafe {
        libc::sync_file_range(file.as_raw_fd(), offset, length, libc::SYNC_FILE_RANGE_WRITE);
    }
}

/// Elsewhere the system begins when it likes.
#[cfg(not(target_os = "linux"))]
pub fn start_write_back(_: &File, _: u64, _: u64) {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_is_written_stays_what_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        let mut file = File::create(&path).unwrap();
        let mut ahead = WriteAhead::default();
        let piece: Vec<u8> = (0..1_000_003u32).map(|index| index as u8).collect();
        for _ in 0..20 {
            file.write_all(&piece).unwrap();
            ahead.wrote(&file, piece.len());
        }
        assert!(ahead.started >= STRIDE && ahead.started < ahead.written);
        ahead.end(&file);
        assert_eq!(ahead.started, 20 * 1_000_003);
        assert!(std::fs::read(&path).unwrap() == piece.repeat(20));
    }
}
