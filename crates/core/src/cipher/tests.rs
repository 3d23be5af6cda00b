//! Published vectors, real counterparts, and damage of every kind.

use std::io::{Cursor, Read, Write};
use std::process::{Command, Stdio};

use proptest::prelude::*;

use crate::digest::{DigestKind, from_hex, to_hex};

use super::blob::seal_with;
use super::{CipherMode, LegacyMode, MasterSecret, Sealer, identify, legacy_open, legacy_opener, opener};
use super::{open_blob, seal_blob};

const MASTER: &str = "804c4fb0e49ffe15a375a8462a08f4b5b05bb9803dc0f98fd5611d79b8959611\
                      b1fd0f12ba621ecbe6ca73bb63e280718fc77d83adba9c559769ebbdba923b28";

fn secret() -> MasterSecret {
    MasterSecret::from_slice(&from_hex(MASTER.as_bytes()).unwrap()).unwrap()
}

fn fixed(mode: CipherMode) -> Sealer {
    let salt = std::array::from_fn(|index| 0x10 + index as u8);
    let iv = std::array::from_fn(|index| 0x20 + index as u8);
    Sealer::with_nonces(mode, &secret(), salt, iv).unwrap()
}

fn open_with(hint: Option<CipherMode>, sealed: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    opener(hint, &secret(), Box::new(Cursor::new(sealed.to_vec()))).read_to_end(&mut plain)?;
    Ok(plain)
}

const HEADER: &str = "101112131415161718191a1b1c1d1e1f202122232425262728292a2b";

/// Mode, ciphertext and tag of `hello pgmoneta`, tag of nothing.
const VECTORS: [(CipherMode, &str, &str, &str); 3] = [
    (
        CipherMode::Aes256Gcm,
        "418c441ba8640255e611b504d2dd",
        "f17b4f5e56bb23b508c5a20e3de7f131",
        "d6451e3fc8e31a78333651ff3ad6c3e7",
    ),
    (
        CipherMode::Aes192Gcm,
        "d9e0288f7945925aed7a872d4493",
        "92a09807fcbbb8d0767f0ba0690b85e7",
        "4043506151d68c6fc51fed62efbc7c29",
    ),
    (
        CipherMode::Aes128Gcm,
        "ff71402fb8a98a6b702aba97c97d",
        "4cb8333aa59f145949a286fb5b76fade",
        "dfe345786978fe0c2949a714c07b18c0",
    ),
];

#[test]
fn the_master_secret_is_pbkdf2() {
    let salt: [u8; 16] = std::array::from_fn(|index| index as u8);
    let derived = MasterSecret::derive(b"secretpassword", &salt);
    assert_eq!(to_hex(derived.as_bytes()), MASTER);
    assert_eq!(format!("{derived:?}"), "MasterSecret(hidden)");
}

#[test]
fn gcm_is_that_of_pgmoneta() {
    for (mode, ciphertext, tag, empty_tag) in VECTORS {
        let sealed = seal_with(fixed(mode), b"hello pgmoneta").unwrap();
        assert_eq!(to_hex(&sealed), format!("{HEADER}{ciphertext}{tag}"), "{mode:?}");
        assert_eq!(open_with(Some(mode), &sealed).unwrap(), b"hello pgmoneta");
        let empty = seal_with(fixed(mode), b"").unwrap();
        assert_eq!(to_hex(&empty), format!("{HEADER}{empty_tag}"));
        assert_eq!(empty.len(), 44);
        assert_eq!(open_with(Some(mode), &empty).unwrap(), b"");
    }
}

#[test]
fn a_file_of_more_than_a_mebibyte_is_one_message() {
    let plain = vec![b'a'; 1_048_581];
    for step in [1_048_581, 1_048_576, 65_537, 13] {
        let mut sealer = fixed(CipherMode::Aes256Gcm);
        let mut sealed = sealer.header();
        for piece in plain.chunks(step) {
            let mut piece = piece.to_vec();
            sealer.update(&mut piece).unwrap();
            sealed.extend(piece);
        }
        sealed.extend(sealer.finish().unwrap());
        assert_eq!(sealed.len(), 1_048_625);
        assert_eq!(to_hex(&sealed[1_048_609..]), "1b9e58ddf76e9431bd250656c96ca755");
        assert_eq!(
            DigestKind::Sha256.of(&sealed).to_hex(),
            "43e6affa99b8df6c92edc2f203844c132a102d551c99091ea47cb0105c6ccf2b"
        );
        assert!(open_with(Some(CipherMode::Aes256Gcm), &sealed).unwrap() == plain);
    }
}

#[test]
fn a_blob_of_the_c_program_opens() {
    let sealed = from_hex(
        b"d385b7de2718c715623fd9fa42e8209ea94a4a6adfa0d54ffd722894e56cc3f8\
          687e49a41b20440a85b9362118fc3a7484c1d287c705",
    );
    let sealed = sealed.unwrap();
    assert_eq!(
        &*open_blob(CipherMode::Aes256Gcm, &secret(), &sealed).unwrap(),
        b"round trip"
    );
    assert_eq!(open_with(None, &sealed).unwrap(), b"round trip");
}

#[test]
fn a_vault_entry_opens() {
    // Base64 of the users-file line of user `repl`, password `secret`.
    let sealed = from_hex(
        b"101112131415161718191a1b1c1d1e1f202122232425262728292a2b\
          5a8c4b05a230874419b47690a500050faf8c65671a54",
    );
    assert_eq!(
        &*open_blob(CipherMode::Aes256Gcm, &secret(), &sealed.unwrap()).unwrap(),
        b"secret"
    );
}

#[test]
fn every_mode_opens_what_it_sealed() {
    for mode in CipherMode::ALL {
        for size in [0, 1, 15, 16, 17, 31, 32, 65_535, 65_536, 65_600, 300_001] {
            let plain: Vec<u8> = (0..size).map(|value| (value * 7 % 251) as u8).collect();
            let sealed = seal_blob(mode, &secret(), &plain).unwrap();
            assert_eq!(
                sealed.len() as u64,
                mode.sealed_size(size as u64),
                "{mode:?} {size}"
            );
            assert!(
                open_with(Some(mode), &sealed).unwrap() == plain,
                "{mode:?} {size}"
            );
            assert_eq!(identify(&secret(), &mut &sealed[..]).unwrap(), mode);
            if mode == CipherMode::Aes256Gcm || !mode.is_gcm() {
                assert!(open_with(None, &sealed).unwrap() == plain);
            }
        }
    }
}

#[test]
fn pieces_of_any_size_seal_to_the_same() {
    let plain: Vec<u8> = (0..5_000u32).map(|value| (value % 253) as u8).collect();
    for mode in CipherMode::ALL {
        let whole = seal_with(fixed(mode), &plain).unwrap();
        for step in [1, 7, 16, 33, 4_999] {
            let mut sealer = fixed(mode);
            let mut sealed = sealer.header();
            for piece in plain.chunks(step) {
                sealer.update_into(piece, &mut sealed).unwrap();
            }
            sealed.extend(sealer.finish().unwrap());
            assert!(sealed == whole, "{mode:?} {step}");
        }
        assert_eq!(fixed(mode).in_place(), fixed(mode).update(&mut [0; 4]).is_ok());
    }
}

#[test]
fn the_envelope_is_as_documented() {
    use ring::hmac;
    let sealed = seal_with(fixed(CipherMode::Aes192Ctr), b"hello pgmoneta").unwrap();
    assert_eq!(&sealed[..8], b"PGMA\x01\x22\0\0");
    assert_eq!(
        to_hex(&sealed[8..40]),
        "101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f"
    );
    // HKDF (RFC 5869) by hand: extract, then 32 + 24 bytes in two blocks.
    let hmac = |key: &[u8], data: &[u8]| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data)
            .as_ref()
            .to_vec()
    };
    let extracted = hmac(&sealed[8..24], secret().as_bytes());
    let info = b"pgmoneta file v1\x22";
    let first = hmac(&extracted, &[&info[..], &[1]].concat());
    let mac = hmac(&first, &sealed[..sealed.len() - 32]);
    assert_eq!(mac, sealed[sealed.len() - 32..]);
    assert_eq!(sealed.len(), 40 + 14 + 32);
}

#[test]
fn wrong_secrets_and_modes_are_refused() {
    let other = MasterSecret::from_slice(&[7; 64]).unwrap();
    for mode in CipherMode::ALL {
        let sealed = seal_blob(mode, &other, b"hello pgmoneta").unwrap();
        assert!(open_with(Some(mode), &sealed).is_err(), "{mode:?}");
        if mode.is_gcm() {
            assert!(identify(&secret(), &mut &sealed[..]).is_err());
        }
    }
    let sealed = seal_blob(CipherMode::Aes192Gcm, &secret(), b"hello").unwrap();
    assert!(open_with(Some(CipherMode::Aes256Gcm), &sealed).is_err());
    assert!(open_with(Some(CipherMode::Aes256Cbc), &sealed).is_err());
    let mut newer = seal_blob(CipherMode::Aes256Cbc, &secret(), b"hello").unwrap();
    newer[4] = 2;
    let error = open_with(None, &newer).unwrap_err();
    assert!(error.to_string().contains("version 2"), "{error}");
    assert!(MasterSecret::from_slice(&[0; 63]).is_err());
}

#[test]
fn cuts_and_flips_are_noticed_everywhere() {
    let plain: Vec<u8> = (0..100u8).collect();
    for mode in CipherMode::ALL {
        let sealed = seal_with(fixed(mode), &plain).unwrap();
        for end in 0..sealed.len() {
            assert!(
                open_with(Some(mode), &sealed[..end]).is_err(),
                "{mode:?} cut to {end}"
            );
        }
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 0x40;
            assert!(open_with(Some(mode), &damaged).is_err(), "{mode:?} byte {at}");
        }
        let mut longer = sealed.clone();
        longer.push(0);
        assert!(open_with(Some(mode), &longer).is_err());
    }
}

#[test]
fn an_error_stays_an_error() {
    let mut sealed = seal_blob(CipherMode::Aes256Gcm, &secret(), &[1; 200_000]).unwrap();
    sealed[100_000] ^= 1;
    let mut reader = opener(
        Some(CipherMode::Aes256Gcm),
        &secret(),
        Box::new(Cursor::new(sealed)),
    );
    assert!(reader.read_to_end(&mut Vec::new()).is_err());
    assert!(reader.read(&mut [0; 16]).is_err());
}

#[test]
fn files_of_020_are_read() {
    let plain: Vec<u8> = (0..200_000u32).map(|value| (value % 241) as u8).collect();
    let modes = [
        "aes-256-cbc",
        "aes-192-cbc",
        "aes-128-cbc",
        "aes-256-ctr",
        "aes-192-ctr",
        "aes-128-ctr",
    ];
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("openssl is not installed: files of 0.20 are not checked against it");
        return;
    }
    for (index, name) in modes.iter().enumerate() {
        let mode = LegacyMode::from_code(index as u32 + 1).unwrap();
        for size in [0, 1, 16, 65_536, 200_000] {
            let sealed = openssl(name, &plain[..size]);
            let mut read = Vec::new();
            legacy_opener(mode, b"secretpassword", Box::new(Cursor::new(sealed)))
                .unwrap()
                .read_to_end(&mut read)
                .unwrap();
            assert!(read == plain[..size], "{name} {size}");
        }
    }
    let entry = openssl("aes-256-cbc", b"a vault entry");
    assert_eq!(
        &*legacy_open(b"secretpassword", &entry).unwrap(),
        b"a vault entry"
    );
    assert!(legacy_open(b"secretpassword", &entry[..15]).is_err());
    assert!(legacy_open(b"secretpassword", b"").is_err());
    assert_eq!(LegacyMode::from_code(7), None);
}

/// Encrypts as 0.20 did: key and IV from SHA-1 of the password, no salt.
fn openssl(cipher: &str, plain: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args([
            "enc",
            &format!("-{cipher}"),
            "-nosalt",
            "-md",
            "sha1",
            "-pass",
            "pass:secretpassword",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = plain.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[test]
fn names_and_codes() {
    for mode in CipherMode::ALL {
        assert_eq!(CipherMode::from_name(mode.name()).unwrap(), mode);
        assert_eq!(CipherMode::from_code(u32::from(mode.code())), Some(mode));
    }
    assert_eq!(CipherMode::from_name("aes").unwrap(), CipherMode::Aes256Gcm);
    assert_eq!(CipherMode::from_name("aes-128").unwrap(), CipherMode::Aes128Gcm);
    assert!(CipherMode::from_name("none").is_err());
    assert_eq!(CipherMode::from_code(4), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_come_back(plain in proptest::collection::vec(any::<u8>(), 0..100_000), pick in 0..9usize) {
        let mode = CipherMode::ALL[pick];
        let sealed = seal_blob(mode, &secret(), &plain).unwrap();
        prop_assert!(*open_blob(mode, &secret(), &sealed).unwrap() == plain);
    }

    #[test]
    fn garbage_is_never_opened(bytes in proptest::collection::vec(any::<u8>(), 0..1_000), envelope in any::<bool>()) {
        let mut bytes = bytes;
        if envelope && bytes.len() > 8 {
            bytes[..8].copy_from_slice(b"PGMA\x01\x11\0\0");
        }
        prop_assert!(open_with(None, &bytes).is_err());
        prop_assert!(open_with(Some(CipherMode::Aes128Gcm), &bytes).is_err());
    }
}
