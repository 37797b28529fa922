//! A terminal on which a view is redrawn in place.

use std::io::{self, Write};

use terminal_size::{Height, terminal_size};

/// The other screen of a terminal, with the cursor hidden. What was there before comes back when it is dropped.
#[derive(Debug)]
pub(crate) struct Screen {
    opened: bool,
}

/// ECMA-48 and xterm's private modes: other screen and no cursor, and back.
const OPEN: &str = "\x1b[?1049h\x1b[?25l";
const CLOSE: &str = "\x1b[?25h\x1b[?1049l";
/// To the first place; to the end of the line is blank; to the end of the screen is blank.
const HOME: &str = "\x1b[H";
const REST_OF_LINE: &str = "\x1b[K";
const REST_OF_SCREEN: &str = "\x1b[J";

impl Screen {
    /// Nothing is written before the first frame.
    pub(crate) fn open() -> Self {
        Self { opened: false }
    }

    /// Draws a frame over the one before. Lines that do not fit are left out, so that nothing scrolls.
    pub(crate) fn show(&mut self, frame: &str, out: &mut dyn Write) -> io::Result<()> {
        if !self.opened {
            self.opened = true;
            // Colours may be off, and taken out of `out`; the terminal itself is still one.
            io::stdout().write_all(OPEN.as_bytes())?;
        }
        let height = terminal_size().map_or(24, |(_, Height(height))| usize::from(height));
        io::stdout().write_all(HOME.as_bytes())?;
        for line in frame.lines().take(height.saturating_sub(1)) {
            out.write_all(line.as_bytes())?;
            out.flush()?;
            io::stdout().write_all(REST_OF_LINE.as_bytes())?;
            out.write_all(b"\n")?;
        }
        out.flush()?;
        io::stdout().write_all(REST_OF_SCREEN.as_bytes())?;
        io::stdout().flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.opened {
            // Without a terminal there is nothing to give back.
            let _ = io::stdout().write_all(CLOSE.as_bytes());
            let _ = io::stdout().flush();
        }
    }
}
