//! Numbers of address spaces.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Hands out the numbers of address spaces: always the lowest that is free, from 1 on.
#[derive(Debug, Default)]
pub(crate) struct Pasids(Mutex<BTreeSet<u32>>);

/// A number that is taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Pasid {
    number: u32,
    home: Arc<Pasids>,
}

impl Pasids {
    /// Takes the lowest number that is free.
    pub(crate) fn take(self: &Arc<Self>) -> Pasid {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // There are fewer clients than numbers, so the search ends.
        let number = (1..=u32::MAX)
            .zip(taken.iter())
            .find(|(free, taken)| free != *taken)
            .map_or_else(|| u32::try_from(taken.len()).unwrap_or(u32::MAX).saturating_add(1), |(free, _)| free);
        taken.insert(number);
        Pasid { number, home: self.clone() }
    }
}

impl Pasid {
    pub(crate) fn number(&self) -> u32 {
        self.number
    }
}

impl Drop for Pasid {
    fn drop(&mut self) {
        self.home.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_number_is_taken_and_comes_back() {
        let pasids = Arc::new(Pasids::default());
        let mut taken: Vec<Pasid> = (1..=4).map(|_| pasids.take()).collect();
        assert_eq!(taken.iter().map(Pasid::number).collect::<Vec<_>>(), [1, 2, 3, 4]);
        drop(taken.remove(1));
        drop(taken.remove(0));
        let again = [pasids.take(), pasids.take(), pasids.take()];
        assert_eq!(again.each_ref().map(Pasid::number), [1, 2, 5]);
    }
}
