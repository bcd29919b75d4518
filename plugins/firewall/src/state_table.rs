//! An automaton, in; the same one as a table that says whether it comes to a match, out.
//!
//! The search of `regex-automata` tells where matches are, and in what order of preference. Whether there is one takes less: two loads and a
//! comparison for each byte, a fifth of its time inside wasmtime; and one load for a byte that most texts are of, and that begins no match.

use std::collections::{BTreeMap, VecDeque};

use regex_automata::{
    Input,
    dfa::{Automaton as _, dense},
    util::{alphabet::ByteClasses, primitives::StateID},
};

/// Every state of an automaton: for each class of bytes the state that follows, and behind them the one for the end of the text.
#[derive(Debug, Clone)]
pub(crate) struct StateTable {
    /// The class of each byte.
    classes: Box<[u8; 256]>,
    /// States stand for where their row begins. The first two rows are that of no match, whatever follows, and that of a match.
    next: Vec<u32>,
    /// How long a row is.
    row: u32,
    start: u32,
    /// The state that most bytes lead to, and back to, and whether it is left with a byte.
    resting: u32,
    leaves: Box<[bool; 256]>,
}

/// Bytes are looked at in pieces: at the end of every turn of a loop, compiled WebAssembly looks at its deadline.
const PIECE_BYTES: usize = 8;

impl StateTable {
    /// None where the automaton may give up.
    pub(crate) fn new(automaton: &dense::DFA<Vec<u32>>) -> Option<Self> {
        let classes = automaton.byte_classes();
        let mut rows = Rows { row: classes.alphabet_len(), numbers: BTreeMap::new(), waiting: VecDeque::new() };
        let start = rows.place(automaton, automaton.start_state_forward(&Input::new(b"")).ok()?)?;
        let mut next = vec![0; 2 * rows.row];
        while let Some(state) = rows.waiting.pop_front() {
            for unit in classes.representatives(..) {
                let following = match unit.as_u8() {
                    Some(byte) => automaton.next_state(state, byte),
                    None => automaton.next_eoi_state(state),
                };
                next.push(rows.place(automaton, following)?);
            }
        }
        let row = u32::try_from(rows.row).ok()?;
        let (classes, leaves) = (Box::new(table(classes)), Box::new([true; 256]));
        Some(Self { classes, next, row, start, resting: start, leaves }.rested())
    }

    /// Finds where a search rests: behind a byte that begins no match, mostly.
    fn rested(mut self) -> Self {
        let mut followed = BTreeMap::<u32, usize>::new();
        (0..=u8::MAX).for_each(|byte| *followed.entry(self.following(self.start, byte)).or_default() += 1);
        if let Some((state, _)) =
            followed.into_iter().max_by_key(|(_, bytes)| *bytes).filter(|(state, _)| *state > self.row)
        {
            self.resting = state;
        }
        let leaves = std::array::from_fn(|byte| {
            u8::try_from(byte).is_ok_and(|byte| self.following(self.resting, byte) != self.resting)
        });
        self.leaves = Box::new(leaves);
        self
    }

    /// Whether the automaton comes to a match in these bytes.
    pub(crate) fn is_in(&self, bytes: &[u8]) -> bool {
        let mut state = self.start;
        let (pieces, rest) = bytes.as_chunks::<PIECE_BYTES>();
        for piece in pieces {
            if state == self.resting && !piece.iter().fold(false, |leaves, byte| leaves | self.leaves(*byte)) {
                continue;
            }
            for byte in piece {
                state = self.following(state, *byte);
                if state <= self.row {
                    return state == self.row;
                }
            }
        }
        for byte in rest {
            if state == self.resting && !self.leaves(*byte) {
                continue;
            }
            state = self.following(state, *byte);
            if state <= self.row {
                return state == self.row;
            }
        }
        self.place(state, self.row - 1) == self.row
    }

    /// Whether the byte is one that ends a rest.
    fn leaves(&self, byte: u8) -> bool {
        self.leaves.get(usize::from(byte)).copied().unwrap_or(true)
    }

    fn following(&self, state: u32, byte: u8) -> u32 {
        self.place(state, u32::from(self.classes.get(usize::from(byte)).copied().unwrap_or_default()))
    }

    /// There always is one: every byte has a class, and every state a row.
    fn place(&self, state: u32, class: u32) -> u32 {
        usize::try_from(state + class).ok().and_then(|place| self.next.get(place)).copied().unwrap_or_default()
    }

    /// What it takes.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.classes.len() + self.leaves.len() + 4 * self.next.len()
    }
}

/// Where the rows of states begin: those that were seen.
struct Rows {
    row: usize,
    numbers: BTreeMap<StateID, u32>,
    waiting: VecDeque<StateID>,
}

impl Rows {
    /// None where the automaton gives up.
    fn place(&mut self, automaton: &dense::DFA<Vec<u32>>, state: StateID) -> Option<u32> {
        if automaton.is_quit_state(state) {
            return None;
        }
        let index = if automaton.is_dead_state(state) {
            0
        } else if automaton.is_match_state(state) {
            1
        } else if let Some(known) = self.numbers.get(&state) {
            return Some(*known);
        } else {
            self.numbers.len() + 2
        };
        let place = u32::try_from(index * self.row).ok()?;
        if index > 1 {
            self.numbers.insert(state, place);
            self.waiting.push_back(state);
        }
        Some(place)
    }
}

fn table(classes: &ByteClasses) -> [u8; 256] {
    let mut table = [0; 256];
    for (byte, class) in (0..=u8::MAX).zip(&mut table) {
        *class = classes.get(byte);
    }
    table
}
