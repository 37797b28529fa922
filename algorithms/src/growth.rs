//! How much room a decompression gets, before anybody knows how much it needs.

use crate::Format;

/// The least room worth trying.
const LEAST: usize = 256;

/// The rooms to try for one stream at the start of `source`, from small to large, none above `most`.
///
/// The first is what the stream says of itself, where that can be true, else four times its length, but not more than a job can fill. Then it grows fourfold, or
/// to what a failed try has said it needs. So a lie in a header costs tries, and no more memory than a stream of that length could
/// fill, or four times what it does fill.
#[derive(Debug)]
pub(crate) struct Growth {
    room: usize,
    most: usize,
    holds: usize,
}

impl Growth {
    /// `job` is what one job can fill, `most` what the caller takes.
    pub(crate) fn new(format: Format, source: Source<'_>, job: usize, most: usize) -> Self {
        let (Source::Whole(bytes) | Source::Beginning(bytes)) = source;
        let holds = most_text(format, bytes.len());
        let first = hint(format, source).filter(|hint| *hint <= holds);
        let room = first.unwrap_or_else(|| bytes.len().saturating_mul(4).max(LEAST).min(job));
        Self { room: room.min(most), most, holds }
    }

    /// The room to try now.
    pub(crate) fn room(&self) -> usize {
        self.room
    }

    /// The room was too small; `needed` is what the device says. `false` if there is no larger one.
    pub(crate) fn grow(&mut self, needed: Option<u64>) -> bool {
        if self.room >= self.most {
            return false;
        }
        let stated = needed
            .and_then(|needed| usize::try_from(needed).ok())
            .filter(|needed| self.room < *needed && *needed <= self.holds);
        self.room = stated.unwrap_or_else(|| self.room.saturating_mul(4).max(LEAST)).min(self.most);
        true
    }
}

/// What is known of a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// All there is.
    Whole(&'a [u8]),
    /// The first bytes of what may be longer.
    Beginning(&'a [u8]),
}

/// The most bytes that a stream of `len` bytes can stand for.
fn most_text(format: Format, len: usize) -> usize {
    let ratio = match format {
        // 258 bytes for two bits: one for the length, one for the distance.
        Format::Deflate | Format::Zlib | Format::Gzip => 1032,
        // 255 bytes for each further byte of a match length.
        Format::Lz4Block => 255,
        // 128 KiB for a block with a header of three bytes and the byte it repeats.
        Format::Zstd => (128 << 10) / 4,
    };
    // The first bytes of a match stand for a few more.
    len.saturating_mul(ratio).saturating_add(64)
}

/// What the stream says about the length of its text.
fn hint(format: Format, source: Source<'_>) -> Option<usize> {
    match (format, source) {
        (Format::Gzip, Source::Whole(bytes)) => gzip_size(bytes),
        (Format::Zstd, Source::Whole(bytes) | Source::Beginning(bytes)) => zstd_size(bytes),
        _ => None,
    }
}

/// The last four bytes of a gzip file: the length of the last member's text modulo 2³². A text that compresses to more than itself
/// is not the one of this source: there are several members.
fn gzip_size(source: &[u8]) -> Option<usize> {
    let (_, size) = source.split_last_chunk()?;
    let size = u32::from_le_bytes(*size);
    let fits =
        uaccel_units::bound(Format::Gzip.algorithm(), u64::from(size)).is_some_and(|most| source.len() as u64 <= most);
    usize::try_from(size).ok().filter(|_| fits)
}

/// The content size of a Zstandard frame, if its header has one: RFC 8878 section 3.1.1.1.
fn zstd_size(source: &[u8]) -> Option<usize> {
    let (&descriptor, fields) = source.strip_prefix(&[0x28, 0xb5, 0x2f, 0xfd])?.split_first()?;
    let single_segment = descriptor & 0x20 != 0;
    let dictionary_id = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let fields = fields.get(usize::from(!single_segment) + dictionary_id..)?;
    let size = match descriptor >> 6 {
        0 if single_segment => u64::from(*fields.first()?),
        0 => return None,
        1 => u64::from(u16::from_le_bytes(*fields.first_chunk()?)) + 256,
        2 => u64::from(u32::from_le_bytes(*fields.first_chunk()?)),
        _ => u64::from_le_bytes(*fields.first_chunk()?),
    };
    usize::try_from(size).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(format: Format, source: Source<'_>) -> usize {
        Growth::new(format, source, usize::MAX, usize::MAX).room()
    }

    #[test]
    fn believes_what_can_be_true_only() {
        let mut lie = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
        lie.extend(u64::MAX.to_le_bytes());
        assert_eq!(first(Format::Zstd, Source::Whole(&lie)), LEAST);
        let honest = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 77];
        assert_eq!(first(Format::Zstd, Source::Beginning(&honest)), 77);
        let several_members = [[1; 100].as_slice(), &5u32.to_le_bytes()].concat();
        assert_eq!(first(Format::Gzip, Source::Whole(&several_members)), 416);
        let one_member = [[1; 100].as_slice(), &5000u32.to_le_bytes()].concat();
        assert_eq!(first(Format::Gzip, Source::Whole(&one_member)), 5000);
        assert_eq!(first(Format::Gzip, Source::Beginning(&one_member)), 416);
    }

    #[test]
    fn grows_to_the_limit_and_not_beyond() {
        let mut growth = Growth::new(Format::Deflate, Source::Whole(&[0; 100]), 300, 5000);
        let mut rooms = vec![growth.room()];
        while growth.grow(None) {
            rooms.push(growth.room());
        }
        assert_eq!(rooms, [300, 1200, 4800, 5000]);
    }

    #[test]
    fn takes_the_word_of_the_device_if_it_can_be_true() {
        let mut growth = Growth::new(Format::Zstd, Source::Whole(&[0; 100]), usize::MAX, usize::MAX);
        assert!(growth.grow(Some(12345)));
        assert_eq!(growth.room(), 12345);
        assert!(growth.grow(Some(u64::MAX)));
        assert_eq!(growth.room(), 4 * 12345);
    }
}
