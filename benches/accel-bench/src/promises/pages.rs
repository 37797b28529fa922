//! Memory that both sides of a comparison work on.

use crate::random::Random;

/// Two buffers that begin on pages, so that neither side is lucky with alignment.
#[derive(Debug)]
pub(super) struct Pages {
    memory: Vec<u8>,
    first: (usize, usize),
    second: (usize, usize),
}

const PAGE: usize = 4096;

impl Pages {
    pub(super) fn new(lens: &[usize; 2]) -> Self {
        let rounded = lens[0].next_multiple_of(PAGE);
        let memory = vec![0; rounded + lens[1] + PAGE];
        let start = memory.as_ptr().addr().next_multiple_of(PAGE) - memory.as_ptr().addr();
        Self { first: (start, lens[0]), second: (start + rounded, lens[1]), memory }
    }

    /// Text that compresses: words out of a few, in random order.
    pub(super) fn fill_first(&mut self) {
        const WORDS: [&[u8]; 8] =
            [b"the ", b"queue ", b"of an ", b"engine ", b"completes ", b"when ", b"memory ", b"is written, "];
        let mut random = Random::new(1);
        let (start, len) = self.first;
        let text = std::iter::repeat_with(|| WORDS[random.below(8)]).flatten();
        self.memory[start..start + len].iter_mut().zip(text).for_each(|(to, from)| *to = *from);
    }

    pub(super) fn two(&mut self) -> (&[u8], &mut [u8]) {
        let (first, second) = self.memory.split_at_mut(self.second.0);
        (&first[self.first.0..][..self.first.1], &mut second[..self.second.1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_begin_on_pages() {
        let mut memory = Pages::new(&[100, 5000]);
        memory.fill_first();
        let (first, second) = memory.two();
        assert_eq!((first.len(), second.len()), (100, 5000));
        assert_eq!((first.as_ptr().addr() % PAGE, second.as_ptr().addr() % PAGE), (0, 0));
        assert!(first.starts_with(b"") && first.iter().all(|byte| *byte != 0));
    }
}
