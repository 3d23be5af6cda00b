//! A JSON tokenizer over a stream, with limits, that also hashes what PostgreSQL's manifest checksum covers.

use crate::{Error, Result};
use memchr::memrchr;
use ring::digest::{Context, SHA256};
use std::io::Read;

/// Longest string or scalar: a path of 4096 bytes, escaped.
const MAX_TEXT: usize = 32 * 1024;
const BUFFER: usize = 64 * 1024;

/// What a token is; strings and scalars leave their text in [`Tokens::text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    BeginObject,
    EndObject,
    BeginArray,
    EndArray,
    Colon,
    Comma,
    String,
    /// A number or a literal, as written.
    Scalar,
    End,
}

/// SHA-256 of everything up to the last newline but one, found without knowing the length beforehand.
struct TailHash {
    all: Context,
    before_last_line: Option<Context>,
    at_last_newline: Option<Context>,
    ends_in_newline: bool,
}

impl TailHash {
    fn update(&mut self, bytes: &[u8]) {
        let Some(last) = memrchr(b'\n', bytes) else {
            self.all.update(bytes);
            self.ends_in_newline = self.ends_in_newline && bytes.is_empty();
            return;
        };
        let mut from = 0;
        if let Some(previous) = memrchr(b'\n', &bytes[..last]) {
            self.all.update(&bytes[..=previous]);
            self.at_last_newline = Some(self.all.clone());
            from = previous + 1;
        }
        self.all.update(&bytes[from..=last]);
        self.before_last_line = self.at_last_newline.replace(self.all.clone());
        self.all.update(&bytes[last + 1..]);
        self.ends_in_newline = last + 1 == bytes.len();
    }
}

/// The tokens of a stream.
pub struct Tokens<R> {
    reader: R,
    buffer: Box<[u8]>,
    position: usize,
    filled: usize,
    line: u64,
    text: Vec<u8>,
    hash: TailHash,
}

impl<R: Read> Tokens<R> {
    pub fn new(reader: R) -> Self {
        let hash = TailHash {
            all: Context::new(&SHA256),
            before_last_line: None,
            at_last_newline: None,
            ends_in_newline: false,
        };
        Self {
            reader,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            position: 0,
            filled: 0,
            line: 1,
            text: Vec::new(),
            hash,
        }
    }

    /// Text of the last string (unescaped) or scalar.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// An error at the current line.
    pub fn bad(&self, why: &str) -> Error {
        Error::corrupt(format!("line {}: {why}", self.line))
    }

    /// SHA-256 of what the manifest checksum covers. Call it after [`Token::End`].
    pub fn covered_digest(&self) -> Option<Vec<u8>> {
        if !self.hash.ends_in_newline {
            return None;
        }
        let context = self.hash.before_last_line.clone()?;
        Some(context.finish().as_ref().to_vec())
    }

    /// The next token.
    pub fn next(&mut self) -> Result<Token> {
        loop {
            let Some(byte) = self.peek()? else {
                return Ok(Token::End);
            };
            let token = match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {
                    self.take();
                    continue;
                }
                b'{' => Token::BeginObject,
                b'}' => Token::EndObject,
                b'[' => Token::BeginArray,
                b']' => Token::EndArray,
                b':' => Token::Colon,
                b',' => Token::Comma,
                b'"' => {
                    self.take();
                    self.string()?;
                    return Ok(Token::String);
                }
                b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                    self.scalar()?;
                    return Ok(Token::Scalar);
                }
                _ => return Err(self.bad(&format!("unexpected character '{}'", byte.escape_ascii()))),
            };
            self.take();
            return Ok(token);
        }
    }

    fn peek(&mut self) -> Result<Option<u8>> {
        while self.position == self.filled {
            match self.reader.read(&mut self.buffer) {
                Ok(0) => return Ok(None),
                Ok(count) => {
                    self.position = 0;
                    self.filled = count;
                    self.hash.update(&self.buffer[..count]);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::new(crate::Code::Io, format!("cannot read: {error}"))),
            }
        }
        Ok(Some(self.buffer[self.position]))
    }

    fn take(&mut self) {
        if self.buffer[self.position] == b'\n' {
            self.line += 1;
        }
        self.position += 1;
    }

    fn byte(&mut self) -> Result<u8> {
        match self.peek()? {
            Some(byte) => {
                self.take();
                Ok(byte)
            }
            None => Err(self.bad("the file ends within a string")),
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<()> {
        if self.text.len() + bytes.len() > MAX_TEXT {
            return Err(self.bad("a string is too long"));
        }
        self.text.extend_from_slice(bytes);
        Ok(())
    }

    fn scalar(&mut self) -> Result<()> {
        self.text.clear();
        while let Some(byte @ (b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z')) = self.peek()? {
            self.take();
            self.push(&[byte])?;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<()> {
        self.text.clear();
        loop {
            // the run up to the next quote, escape or control character goes in one piece
            if self.peek()?.is_none() {
                return Err(self.bad("the file ends within a string"));
            }
            let rest = &self.buffer[self.position..self.filled];
            let run = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
                .unwrap_or(rest.len());
            if self.text.len() + run > MAX_TEXT {
                return Err(self.bad("a string is too long"));
            }
            self.text.extend_from_slice(&rest[..run]);
            self.position += run;
            if self.position == self.filled {
                continue;
            }
            match self.byte()? {
                b'"' => return Ok(()),
                b'\\' => self.escape()?,
                byte => {
                    let why = format!("a string holds the control character '{}'", byte.escape_ascii());
                    return Err(self.bad(&why));
                }
            }
        }
    }

    fn escape(&mut self) -> Result<()> {
        let plain = match self.byte()? {
            byte @ (b'"' | b'\\' | b'/') => byte,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let character = self.unicode()?;
                let mut utf8 = [0; 4];
                let encoded = character.encode_utf8(&mut utf8).as_bytes().to_vec();
                return self.push(&encoded);
            }
            byte => return Err(self.bad(&format!("unknown escape \"\\{}\"", byte.escape_ascii()))),
        };
        self.push(&[plain])
    }

    fn unicode(&mut self) -> Result<char> {
        let mut code = self.four_digits()?;
        if (0xd800..0xdc00).contains(&code) {
            let mark = [self.byte()?, self.byte()?];
            let low = if &mark == b"\\u" { self.four_digits()? } else { 0 };
            if !(0xdc00..0xe000).contains(&low) {
                return Err(self.bad("half of a surrogate pair is missing"));
            }
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
        match char::from_u32(code) {
            Some('\0') | None => Err(self.bad("an escape stands for no usable character")),
            Some(character) => Ok(character),
        }
    }

    fn four_digits(&mut self) -> Result<u32> {
        let mut code = 0;
        for _ in 0..4 {
            let byte = self.byte()?;
            let digit = (byte as char).to_digit(16);
            code = code * 16 + digit.ok_or_else(|| self.bad("an escape lacks hexadecimal digits"))?;
        }
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(input: &str) -> Result<Vec<(Token, String)>> {
        let mut tokens = Tokens::new(input.as_bytes());
        let mut all = Vec::new();
        loop {
            let token = tokens.next()?;
            if token == Token::End {
                return Ok(all);
            }
            let text = match token {
                Token::String | Token::Scalar => String::from_utf8_lossy(tokens.text()).into_owned(),
                _ => String::new(),
            };
            all.push((token, text));
        }
    }

    #[test]
    fn strings_are_unescaped() {
        let found = texts(r#""a\"\\\/\b\f\n\r\t\u00e4\uD83D\uDE00" "#).unwrap();
        assert_eq!(found, [(Token::String, "a\"\\/\u{8}\u{c}\n\r\tä😀".to_owned())]);
    }

    #[test]
    fn bad_strings_are_refused() {
        for bad in [
            "\"",
            "\"\\",
            "\"\\x\"",
            "\"\\u00\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\udc00\"",
            "\"a\nb\"",
        ] {
            assert!(texts(bad).is_err(), "{bad:?}");
        }
        assert!(texts("\"\\u0000\"").is_err());
        assert!(texts(&format!("\"{}\"", "x".repeat(MAX_TEXT + 1))).is_err());
    }

    /// Gives out one byte a read, so that every border between chunks occurs.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let count = self.0.len().min(1);
            out[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[test]
    fn the_digest_covers_all_but_the_last_line() {
        for (input, covered) in [
            ("1\n2\n3\n", Some("1\n2\n")),
            ("1\n2\n", Some("1\n")),
            ("1\n", None),
            ("1\n2", None),
        ] {
            let expected =
                covered.map(|text| ring::digest::digest(&SHA256, text.as_bytes()).as_ref().to_vec());
            let mut whole = Tokens::new(input.as_bytes());
            while whole.next().unwrap() != Token::End {}
            assert_eq!(whole.covered_digest(), expected, "{input:?}");
            let mut dripped = Tokens::new(Drip(input.as_bytes()));
            while dripped.next().unwrap() != Token::End {}
            assert_eq!(dripped.covered_digest(), expected, "{input:?} byte by byte");
        }
    }
}
