//! Tables whose rows know each other by position, so that no name is looked up during a call.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

/// Rows that know each other by position, and people by id.
#[derive(Debug)]
pub struct Table<T> {
    rows: Vec<T>,
    by_id: HashMap<Arc<str>, Ix<T>>,
}

/// The position of a row in its [`Table`].
pub struct Ix<T>(u32, PhantomData<fn() -> T>);

impl<T> Clone for Ix<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Ix<T> {}
impl<T> PartialEq for Ix<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<T> Eq for Ix<T> {}
impl<T> std::fmt::Debug for Ix<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl<T> Table<T> {
    /// Positions for `ids`, before the rows themselves exist; `None` for a row that repeats an id.
    pub(super) fn plan(ids: impl Iterator<Item = Arc<str>>) -> HashMap<Arc<str>, Ix<T>> {
        let mut by_id = HashMap::new();
        for (position, id) in ids.enumerate() {
            by_id.entry(id).or_insert(Ix(u32::try_from(position).unwrap_or(u32::MAX), PhantomData));
        }
        by_id
    }

    /// A table of `rows`, which stand where [`Table::plan`] said.
    pub(super) fn new(rows: Vec<T>, by_id: HashMap<Arc<str>, Ix<T>>) -> Self {
        Self { rows, by_id }
    }

    /// The row called `id`.
    pub fn find(&self, id: &str) -> Option<Ix<T>> {
        self.by_id.get(id).copied()
    }

    /// Every row, as written.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.rows.iter()
    }

    #[cfg(test)]
    pub(super) fn into_rows(self) -> Vec<T> {
        self.rows
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl<T> std::ops::Index<Ix<T>> for Table<T> {
    type Output = T;

    fn index(&self, ix: Ix<T>) -> &T {
        &self.rows[ix.0 as usize]
    }
}
