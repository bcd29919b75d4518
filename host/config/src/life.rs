//! How long the instances of a plugin live.

use crate::text::Table;

/// How long the instances of a plugin live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Life {
    /// Whom an instance serves.
    pub isolation: Isolation,
}

/// Whom an instance of a plugin serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// One instance on each worker serves every exchange: fast, and what it keeps of one is there in the next.
    #[default]
    Shared,
    /// Every exchange has an instance of its own, the same one through all its phases: nothing of one exchange is ever in
    /// the memory that another one sees.
    Request,
}

impl Life {
    /// Reads the keys of a plugin's table that are about this.
    pub(crate) fn read(table: &mut Table<'_>) -> Self {
        let default = Self::default();
        Self { isolation: table.or("isolation", default.isolation, |value| value.choice("an isolation", &ISOLATIONS)) }
    }
}

const ISOLATIONS: [(&str, Isolation); 2] = [("shared", Isolation::Shared), ("request", Isolation::Request)];
