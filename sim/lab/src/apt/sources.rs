//! The mirrors of Debian that this machine uses, out of its own apt configuration (sources.list(5)).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::LabError;
use crate::tool;

/// One source of packages.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    signed_by: Option<String>,
}

/// The mirrors in the machine's configuration, in its order.
pub(crate) fn machine_mirrors() -> Result<Vec<String>, LabError> {
    let said = tool::text(Command::new("apt-config").args([
        "shell",
        "LIST",
        "Dir::Etc::sourcelist/f",
        "PARTS",
        "Dir::Etc::sourceparts/d",
    ]))?;
    let value = |name: &str| {
        said.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .map(|value| PathBuf::from(value.trim_matches('\'')))
    };
    let mut files: Vec<PathBuf> = value("LIST").into_iter().filter(|path| path.is_file()).collect();
    if let Some(parts) = value("PARTS") {
        let mut found: Vec<PathBuf> =
            fs::read_dir(&parts).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        found.sort();
        files.append(&mut found);
    }
    let mut mirrors = Vec::new();
    for file in &files {
        for mirror in mirrors_of(file)? {
            if !mirrors.contains(&mirror) {
                mirrors.push(mirror);
            }
        }
    }
    if mirrors.is_empty() {
        let looked: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        return Err(LabError::NoMirror { looked: looked.join(", ") });
    }
    Ok(mirrors)
}

fn mirrors_of(file: &Path) -> Result<Vec<String>, LabError> {
    let read = || fs::read_to_string(file).map_err(LabError::io("read", file));
    // Other names are ignored, as apt ignores them.
    let sources = match file.extension().and_then(|extension| extension.to_str()) {
        Some("sources") => stanzas(&read()?),
        Some("list") => lines(&read()?),
        _ => Vec::new(),
    };
    Ok(sources.into_iter().filter(Source::is_debian).flat_map(Source::into_mirrors).collect())
}

impl Source {
    /// Whether this is Debian's own archive of releases; not its security archive, nor somebody else's.
    fn is_debian(&self) -> bool {
        const SUITES: [&str; 9] =
            ["stable", "testing", "unstable", "sid", "bookworm", "trixie", "forky", "oldstable", "bullseye"];
        let suite = self.suites.iter().any(|suite| {
            let name = suite.trim_end_matches("-updates").trim_end_matches("-backports");
            SUITES.contains(&name)
        });
        // A key can also stand in the stanza itself; whose it is, apt finds out.
        let signed = self.signed_by.as_ref().is_none_or(|keys| keys.contains("debian-archive") || keys.contains('\n'));
        suite && signed && self.components.iter().any(|component| component == "main")
    }

    fn into_mirrors(self) -> impl Iterator<Item = String> {
        self.uris.into_iter().filter(|uri| !uri.contains("security"))
    }
}

/// The deb822 style: stanzas of fields.
fn stanzas(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            sources.extend(stanza(&fields));
            fields.clear();
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push('\n');
                value.push_str(line);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    sources
}

fn stanza(fields: &[(String, String)]) -> Option<Source> {
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let words =
        |name: &str| -> Vec<String> { field(name).unwrap_or_default().split_whitespace().map(str::to_owned).collect() };
    let enabled = field("enabled").is_none_or(|value| !["no", "false", "off", "0"].contains(&value));
    if !enabled || !words("types").iter().any(|kind| kind == "deb") {
        return None;
    }
    Some(Source {
        uris: words("uris"),
        suites: words("suites"),
        components: words("components"),
        signed_by: field("signed-by").map(str::to_owned),
    })
}

/// The one-line style: `deb [options] uri suite components`.
fn lines(text: &str) -> Vec<Source> {
    text.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb")?;
    if !rest.starts_with([' ', '\t', '[']) {
        return None;
    }
    let rest = rest.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(inside) => inside.split_once(']')?,
        None => ("", rest),
    };
    let signed_by = options
        .split_whitespace()
        .find_map(|option| option.strip_prefix("signed-by=").or_else(|| option.strip_prefix("Signed-By=")))
        .map(str::to_owned);
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(Source { uris: vec![words.next()?], suites: vec![words.next()?], components: words.collect(), signed_by })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirrors(sources: Vec<Source>) -> Vec<String> {
        sources.into_iter().filter(Source::is_debian).flat_map(Source::into_mirrors).collect()
    }

    #[test]
    fn stanzas_with_comments_continuations_and_disabled_ones_are_read() {
        let text = "\
# comment
Types: deb deb-src
URIs: http://one.example/debian
  http://two.example/debian
Suites: bookworm bookworm-updates
# in between
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://one.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: trixie
Components: main

Types: deb-src
URIs: http://source.example/debian
Suites: trixie
Components: main
";
        let sources = stanzas(text);
        assert_eq!(sources.len(), 2);
        assert_eq!(sources[0].signed_by.as_deref(), Some("/usr/share/keyrings/debian-archive-keyring.gpg"));
        assert_eq!(mirrors(sources), ["http://one.example/debian", "http://two.example/debian"]);
    }

    #[test]
    fn one_line_sources_are_read_with_and_without_options() {
        let text = "\
# deb http://comment.example/debian bookworm main
deb http://one.example/debian bookworm main contrib # why
deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://two.example/debian trixie-updates main
deb-src http://source.example/debian bookworm main
deb http://security.example/debian-security bookworm-security main
deb http://one.example/debian
";
        let sources = lines(text);
        assert_eq!(sources[1].signed_by.as_deref(), Some("/usr/share/keyrings/debian-archive-keyring.gpg"));
        assert_eq!(mirrors(sources), ["http://one.example/debian", "http://two.example/debian"]);
    }

    #[test]
    fn archives_of_others_are_no_mirrors_of_debian() {
        let text = "\
deb http://tools.example/apt nodistro main
deb http://ubuntu.example/ubuntu noble main
deb [signed-by=/usr/share/keyrings/vendor.gpg] http://vendor.example/linux bookworm main
";
        assert_eq!(mirrors(lines(text)), Vec::<String>::new());
    }
}
