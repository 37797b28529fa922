//! What goes from the guest to the lab over the second serial port: frames of kind (one byte), length (four bytes, little endian) and content.

use std::io::{self, Read, Write};

/// Longer contents are cut into several frames; a longer length on the line is damage.
const LONGEST: usize = 1 << 16;

/// One message of the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// The program is about to start.
    Started,
    /// It wrote this to its output.
    Output(Vec<u8>),
    /// It wrote this to its error output.
    Error(Vec<u8>),
    /// It ended with this code.
    Exited(i32),
    /// It was ended by this signal.
    Killed(i32),
    /// The guest could not do its errand.
    Failed(String),
}

impl Frame {
    /// Writes it; long contents as several frames.
    pub(crate) fn write(&self, writer: &mut impl Write) -> io::Result<()> {
        let (kind, content): (u8, &[u8]) = match self {
            Self::Started => (b'S', &[]),
            Self::Output(bytes) => (b'O', bytes),
            Self::Error(bytes) => (b'E', bytes),
            Self::Exited(code) => (b'X', &code.to_le_bytes()),
            Self::Killed(signal) => (b'K', &signal.to_le_bytes()),
            Self::Failed(reason) => (b'F', &reason.as_bytes()[..reason.len().min(LONGEST)]),
        };
        let pieces = if content.is_empty() { vec![content] } else { content.chunks(LONGEST).collect() };
        for piece in pieces {
            let length = u32::try_from(piece.len()).map_err(io::Error::other)?;
            let mut bytes = vec![kind];
            bytes.extend(length.to_le_bytes());
            bytes.extend(piece);
            writer.write_all(&bytes)?;
        }
        writer.flush()
    }

    /// Takes the first frame out of what has arrived, if it is whole.
    ///
    /// # Errors
    ///
    /// The bytes are no frame.
    pub(crate) fn take(arrived: &mut Vec<u8>) -> io::Result<Option<Self>> {
        let Some((head, rest)) = arrived.split_first_chunk::<5>() else { return Ok(None) };
        let [kind, length @ ..] = *head;
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, format!("no frame: {head:02x?}"));
        let length = usize::try_from(u32::from_le_bytes(length)).map_err(|_| damaged())?;
        if length > LONGEST {
            return Err(damaged());
        }
        let Some(content) = rest.get(..length) else { return Ok(None) };
        let number = || content.try_into().map(i32::from_le_bytes).map_err(|_| damaged());
        let frame = match kind {
            b'S' => Self::Started,
            b'O' => Self::Output(content.to_vec()),
            b'E' => Self::Error(content.to_vec()),
            b'X' => Self::Exited(number()?),
            b'K' => Self::Killed(number()?),
            b'F' => Self::Failed(String::from_utf8_lossy(content).into_owned()),
            _ => return Err(damaged()),
        };
        arrived.drain(..5 + length);
        Ok(Some(frame))
    }

    /// Sends everything from `reader` as frames that `wrap` makes, until its end.
    pub(crate) fn relay(
        mut reader: impl Read,
        wrap: impl Fn(Vec<u8>) -> Self,
        mut send: impl FnMut(&Self) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut buffer = [0; 4096];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => send(&wrap(buffer[..length].to_vec()))?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_any_cut_of_the_line() {
        let frames = [
            Frame::Started,
            Frame::Output(b"out\n".to_vec()),
            Frame::Error(vec![0, 255, b'O']),
            Frame::Output(Vec::new()),
            Frame::Failed("no such file".into()),
            Frame::Killed(9),
            Frame::Exited(-3),
        ];
        let mut line = Vec::new();
        for frame in &frames {
            frame.write(&mut line).unwrap();
        }
        for cut in 1..line.len() {
            let (mut arrived, mut found) = (Vec::new(), Vec::new());
            for piece in line.chunks(cut) {
                arrived.extend(piece);
                while let Some(frame) = Frame::take(&mut arrived).unwrap() {
                    found.push(frame);
                }
            }
            assert_eq!(found, frames, "in pieces of {cut}");
            assert!(arrived.is_empty());
        }
    }

    #[test]
    fn a_long_content_comes_in_pieces_and_whole() {
        let content: Vec<u8> = (0..200_000u32).map(|number| number.to_le_bytes()[0]).collect();
        let mut line = Vec::new();
        Frame::Output(content.clone()).write(&mut line).unwrap();
        let mut joined = Vec::new();
        while let Some(Frame::Output(piece)) = Frame::take(&mut line).unwrap() {
            joined.extend(piece);
        }
        assert_eq!(joined, content);
    }

    #[test]
    fn damage_is_an_error() {
        assert!(Frame::take(&mut b"?\x00\x00\x00\x00".to_vec()).is_err());
        assert!(Frame::take(&mut b"O\xff\xff\xff\xff".to_vec()).is_err());
        assert!(Frame::take(&mut b"X\x01\x00\x00\x00\x01".to_vec()).is_err());
        assert!(Frame::take(&mut b"O\x05\x00\x00\x00abc".to_vec()).unwrap().is_none());
    }
}
