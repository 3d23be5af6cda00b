//! Whole backups from made-up images, judged by decoding everything that was stored.

mod damage;
mod image;
mod links;
mod whole;
