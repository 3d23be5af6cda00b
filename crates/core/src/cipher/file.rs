//! Encrypting and decrypting a file in place, as `pgmoneta-cli encrypt` and `decrypt` do.

use std::ffi::OsStr;
use std::path::Path;

use crate::codec::Replaced;
use crate::codec::replace::{copy_hashing, hash, in_pieces, open_source, replace, with_suffix};
use crate::{Code, Error, Result};

use super::{CipherMode, MasterSecret, Sealer, identify, opener};

const PIECE: usize = 256 * 1024;
const SUFFIX: &str = ".aes";

/// Replaces `source` by `source.aes`: mode 0600, verified and durable before `source` is removed.
///
/// # Errors
/// [`Code::Usage`] when `source` is no regular file, `source.aes` exists, or GCM cannot seal so much; [`Code::Io`],
/// [`Code::NoSpace`], [`Code::Corrupt`] (the result did not read back). `source` is kept then.
pub fn encrypt_file(source: &Path, mode: CipherMode, secret: &MasterSecret) -> Result<Replaced> {
    let target = with_suffix(source, SUFFIX);
    replace(
        source,
        &target,
        |mut file, output| {
            let mut sealer = Sealer::new(mode, secret)?;
            let mut hasher = blake3::Hasher::new();
            let mut sealed = Vec::with_capacity(PIECE + 16);
            output.write(&sealer.header())?;
            in_pieces(&mut file, source, PIECE, |piece| {
                hasher.update(piece);
                sealed.clear();
                sealer.update_into(piece, &mut sealed)?;
                output.write(&sealed)
            })?;
            output.write(&sealer.finish()?)?;
            Ok(*hasher.finalize().as_bytes())
        },
        |written| hash(&mut *opener(Some(mode), secret, Box::new(written)), &target),
    )
}

/// Replaces `source`, whose name ends in `.aes`, by itself decrypted. Without a `mode` it is found out by trial, which
/// reads the file once more.
///
/// # Errors
/// [`Code::Usage`] when the name does not end in `.aes`, `source` is no regular file, or the destination exists;
/// [`Code::Corrupt`] when the content is not authentic; [`Code::Io`], [`Code::NoSpace`]. `source` is kept then.
pub fn decrypt_file(source: &Path, secret: &MasterSecret, mode: Option<CipherMode>) -> Result<Replaced> {
    if source.extension() != Some(OsStr::new("aes")) {
        let message = format!("the name of {} does not end in {SUFFIX}", source.display());
        return Err(Error::new(Code::Usage, message).hint("name an encrypted file"));
    }
    let mode = match mode {
        Some(mode) => mode,
        None => identify(secret, &mut open_source(source)?).map_err(|error| error.at(source))?,
    };
    let target = source.with_extension("");
    replace(
        source,
        &target,
        |file, output| copy_hashing(&mut *opener(Some(mode), secret, Box::new(file)), source, output),
        |mut written| hash(&mut written, &target),
    )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn secret() -> MasterSecret {
        MasterSecret::from_slice(&[9; 64]).unwrap()
    }

    #[test]
    fn there_and_back() {
        for mode in CipherMode::ALL {
            for (size, hint) in [(0usize, None), (300_000, None), (300_000, Some(mode))] {
                let directory = tempfile::tempdir().unwrap();
                let plain = directory.path().join("1259.zstd");
                fs::write(&plain, vec![5; size]).unwrap();
                let sealed = encrypt_file(&plain, mode, &secret()).unwrap();
                assert_eq!(sealed.destination, directory.path().join("1259.zstd.aes"));
                assert_eq!(sealed.destination_size, mode.sealed_size(size as u64));
                let metadata = fs::metadata(&sealed.destination).unwrap();
                assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
                assert!(!plain.exists());
                let opened = decrypt_file(&sealed.destination, &secret(), hint).unwrap();
                assert_eq!(opened.destination, plain);
                assert_eq!(fs::read(&plain).unwrap(), vec![5; size]);
                assert!(!sealed.destination.exists());
            }
        }
    }

    #[test]
    fn refusals_keep_the_source() {
        let directory = tempfile::tempdir().unwrap();
        let plain = directory.path().join("a");
        fs::write(&plain, b"content").unwrap();
        assert_eq!(
            decrypt_file(&plain, &secret(), None).unwrap_err().code,
            Code::Usage
        );
        let sealed = encrypt_file(&plain, CipherMode::Aes128Gcm, &secret())
            .unwrap()
            .destination;
        let other = MasterSecret::from_slice(&[8; 64]).unwrap();
        for mode in [None, Some(CipherMode::Aes128Gcm)] {
            let error = decrypt_file(&sealed, &other, mode).unwrap_err();
            assert_eq!(error.code, Code::Corrupt);
            assert_eq!(error.path.as_deref(), Some(sealed.as_path()));
            assert!(error.hint.unwrap().contains("master.key"));
        }
        fs::write(&plain, b"in the way").unwrap();
        assert!(
            decrypt_file(&sealed, &secret(), None)
                .unwrap_err()
                .message
                .contains("exists already")
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }
}
