//! Which ciphers there are, how settings, `backup.info` and the management link name them.

use crate::{Code, Error, Result};

/// AES with a key size, in one of three modes of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CipherMode {
    Aes256Gcm,
    Aes192Gcm,
    Aes128Gcm,
    Aes256Cbc,
    Aes192Cbc,
    Aes128Cbc,
    Aes256Ctr,
    Aes192Ctr,
    Aes128Ctr,
}

/// How AES blocks are chained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Gcm,
    Cbc,
    Ctr,
}

impl CipherMode {
    /// Every mode.
    pub const ALL: [CipherMode; 9] = [
        CipherMode::Aes256Gcm,
        CipherMode::Aes192Gcm,
        CipherMode::Aes128Gcm,
        CipherMode::Aes256Cbc,
        CipherMode::Aes192Cbc,
        CipherMode::Aes128Cbc,
        CipherMode::Aes256Ctr,
        CipherMode::Aes192Ctr,
        CipherMode::Aes128Ctr,
    ];

    /// The modes that files of 0.21 can have; the order in which they are tried.
    pub const GCM: [CipherMode; 3] = [
        CipherMode::Aes256Gcm,
        CipherMode::Aes192Gcm,
        CipherMode::Aes128Gcm,
    ];

    /// The name in settings, for example `aes-256-gcm`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            CipherMode::Aes256Gcm => "aes-256-gcm",
            CipherMode::Aes192Gcm => "aes-192-gcm",
            CipherMode::Aes128Gcm => "aes-128-gcm",
            CipherMode::Aes256Cbc => "aes-256-cbc",
            CipherMode::Aes192Cbc => "aes-192-cbc",
            CipherMode::Aes128Cbc => "aes-128-cbc",
            CipherMode::Aes256Ctr => "aes-256-ctr",
            CipherMode::Aes192Ctr => "aes-192-ctr",
            CipherMode::Aes128Ctr => "aes-128-ctr",
        }
    }

    /// Reads a name; `aes`, `aes-256`, `aes-192` and `aes-128` mean GCM.
    ///
    /// # Errors
    /// [`Code::Usage`] for any other text; `none` is one of them, it is no cipher.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "aes" | "aes-256" => return Ok(CipherMode::Aes256Gcm),
            "aes-192" => return Ok(CipherMode::Aes192Gcm),
            "aes-128" => return Ok(CipherMode::Aes128Gcm),
            _ => {}
        }
        Self::ALL
            .into_iter()
            .find(|mode| mode.name() == name)
            .ok_or_else(|| {
                Error::new(Code::Usage, format!("unknown encryption '{name}'"))
                    .hint("use aes-256-gcm, aes-192-gcm, aes-128-gcm, or the same with -cbc or -ctr")
            })
    }

    /// The `ENCRYPTION` value of `backup.info` (0.21 and later): 1, 2, 3 for GCM; 17, 18, 19 for CBC and 33, 34, 35 for
    /// CTR are ours. The order of each three is 256, 192, 128.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            CipherMode::Aes256Gcm => 1,
            CipherMode::Aes192Gcm => 2,
            CipherMode::Aes128Gcm => 3,
            CipherMode::Aes256Cbc => 17,
            CipherMode::Aes192Cbc => 18,
            CipherMode::Aes128Cbc => 19,
            CipherMode::Aes256Ctr => 33,
            CipherMode::Aes192Ctr => 34,
            CipherMode::Aes128Ctr => 35,
        }
    }

    /// The mode of a value of [`CipherMode::code`]. Codes of 0.20 and before are [`super::LegacyMode`]'s.
    #[must_use]
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| u32::from(mode.code()) == code)
    }

    /// Whether it is one of the three GCM modes.
    #[must_use]
    pub fn is_gcm(self) -> bool {
        self.operation() == Operation::Gcm
    }

    /// How large `plain` bytes are when sealed.
    #[must_use]
    pub fn sealed_size(self, plain: u64) -> u64 {
        match self.operation() {
            Operation::Gcm => plain + 16 + 12 + 16,
            Operation::Cbc => (plain / 16 + 1) * 16 + 40 + 32,
            Operation::Ctr => plain + 40 + 32,
        }
    }

    pub(super) fn operation(self) -> Operation {
        match self.code() >> 4 {
            0 => Operation::Gcm,
            1 => Operation::Cbc,
            _ => Operation::Ctr,
        }
    }

    /// Bytes of the AES key: 32, 24 or 16.
    pub(super) fn key_size(self) -> usize {
        match self.code() & 15 {
            1 => 32,
            2 => 24,
            _ => 16,
        }
    }
}
