//! Capability chains: what the kernel puts behind a structure that has grown too small.

use super::super::uapi::vfio::CapHeader;

/// The answer to a question that has a chain: a structure and what follows it, as bytes.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    bytes: Vec<u8>,
    first: usize,
}

impl Chain {
    /// The chain that begins at `first` of an answer; 0 means that there is none.
    pub(crate) fn new(bytes: Vec<u8>, first: u32) -> Self {
        Self { bytes, first: usize::try_from(first).unwrap_or(0) }
    }

    /// What follows the header of the first capability of this number, up to the end of the answer.
    pub(crate) fn find(&self, id: u16) -> Option<&[u8]> {
        let mut at = self.first;
        // Each link is further on than the one before, so a chain that goes round is not followed.
        while at != 0 {
            let header = self.bytes.get(at..)?;
            if number::<2>(header, 0)? == u64::from(id) {
                return header.get(size_of::<CapHeader>()..);
            }
            let next = usize::try_from(number::<4>(header, 4)?).ok()?;
            if next <= at {
                return None;
            }
            at = next;
        }
        None
    }

    /// The pairs of a capability that is a count (u32), 4 bytes reserved, and pairs (u64 each). As many as there are, whatever the count says.
    pub(crate) fn pairs(&self, id: u16) -> Option<Vec<(u64, u64)>> {
        let content = self.find(id)?;
        let count = usize::try_from(number::<4>(content, 0)?).ok()?;
        let pairs = content.get(8..)?.chunks_exact(16).take(count);
        pairs.map(|pair| Some((number::<8>(pair, 0)?, number::<8>(pair, 8)?))).collect()
    }

    /// The number (u32) that a capability is.
    pub(crate) fn number(&self, id: u16) -> Option<u64> {
        number::<4>(self.find(id)?, 0)
    }
}

/// The number of `LEN` bytes at an offset, in the machine's order.
fn number<const LEN: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let piece = bytes.get(at..)?.get(..LEN)?;
    let mut word = [0; 8];
    word[..LEN].copy_from_slice(piece);
    // The kernel writes little endian on all machines that have VFIO in this form, and so do we read.
    Some(u64::from_le_bytes(word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn link(bytes: &mut Vec<u8>, id: u16, next: u32, content: &[u8]) {
        bytes.extend(id.to_le_bytes());
        bytes.extend(1u16.to_le_bytes());
        bytes.extend(next.to_le_bytes());
        bytes.extend(content);
    }

    #[test]
    fn capabilities_are_found_behind_others() {
        let mut bytes = vec![0; 24];
        link(&mut bytes, 2, 48, &[0; 16]);
        let pairs = [1u32.to_le_bytes(), [0; 4]].concat();
        link(&mut bytes, 1, 0, &[&pairs[..], &5u64.to_le_bytes(), &9u64.to_le_bytes()].concat());
        let chain = Chain::new(bytes, 24);
        assert_eq!(chain.pairs(1), Some(vec![(5, 9)]));
        assert_eq!(chain.number(1), Some(1));
        assert_eq!(chain.find(3), None);
    }

    #[test]
    fn a_chain_that_goes_round_ends() {
        let mut bytes = vec![0; 8];
        link(&mut bytes, 2, 8, &[]);
        assert_eq!(Chain::new(bytes, 8).find(1), None);
    }

    #[test]
    fn a_count_beyond_the_answer_is_not_believed() {
        let mut bytes = vec![0; 8];
        link(&mut bytes, 1, 0, &[u32::MAX.to_le_bytes(), [0; 4]].concat());
        assert_eq!(Chain::new(bytes, 8).pairs(1), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn no_answer_of_a_kernel_is_read_beyond_its_end(bytes in proptest::collection::vec(any::<u8>(), 0..200), first in 0u32..220, id in 0u16..4) {
            let chain = Chain::new(bytes, first);
            let _ = (chain.find(id), chain.pairs(id), chain.number(id));
        }
    }
}
