//! What the host promises whoever puts it in front of something that matters: those promises that no other suite keeps.

mod crossing;
mod hostile;
mod inspected;
mod truncation;
