//! What a program for Linux needs to start: its loader and its shared libraries, read from the files. Nothing is run to find out.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use object::elf::{
    DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_STRSZ, DT_STRTAB, ET_DYN, ET_EXEC, FileHeader64, PT_DYNAMIC, PT_INTERP,
};
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};
use object::{Endianness, elf};

use crate::error::LabError;

/// The part of an ELF file that the loader reads.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Image {
    /// The loader, if the file asks for one.
    pub(crate) interpreter: Option<String>,
    needed: Vec<String>,
    rpath: Vec<String>,
    runpath: Vec<String>,
}

/// Where the loader looks for libraries, beside what the files themselves say.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// Before a file's DT_RUNPATH: LD_LIBRARY_PATH.
    pub(crate) first: Vec<PathBuf>,
    /// After it: the system's folders.
    pub(crate) last: Vec<PathBuf>,
}

impl Image {
    /// Reads a 64-bit x86 program or library. `None` if the file is no ELF file at all.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, LabError> {
        let data = fs::read(path).map_err(LabError::io("read", path))?;
        if !data.starts_with(&elf::ELFMAG) {
            return Ok(None);
        }
        Self::parse(&data).map(Some).map_err(|reason| LabError::bad_file(path, reason))
    }

    fn parse(data: &[u8]) -> Result<Self, String> {
        let header = FileHeader64::<Endianness>::parse(data).map_err(|error| error.to_string())?;
        let endian = header.endian().map_err(|error| error.to_string())?;
        let machine = header.e_machine(endian);
        if machine != elf::EM_X86_64 {
            return Err(format!("it is for another machine than x86-64 (e_machine {machine:?})"));
        }
        let kind = header.e_type(endian);
        if kind != ET_EXEC && kind != ET_DYN {
            return Err(format!("it is neither a program nor a library (e_type {kind:?})"));
        }
        let mut image = Self::default();
        for segment in header.program_headers(endian, data).map_err(|error| error.to_string())? {
            if segment.p_type(endian) == PT_INTERP {
                let bytes = segment.data(endian, data).map_err(|()| "its PT_INTERP is out of bounds")?;
                let bytes = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
                image.interpreter = Some(String::from_utf8_lossy(bytes).into_owned());
            } else if segment.p_type(endian) == PT_DYNAMIC {
                image.dynamic(header, endian, data, segment)?;
            }
        }
        Ok(image)
    }

    fn dynamic(
        &mut self,
        header: &FileHeader64<Endianness>,
        endian: Endianness,
        data: &[u8],
        segment: &elf::ProgramHeader64<Endianness>,
    ) -> Result<(), String> {
        let entries =
            segment.dynamic(endian, data).map_err(|error| error.to_string())?.ok_or("its PT_DYNAMIC is empty")?;
        let value = |tag| entries.iter().find(|entry| entry.d_tag(endian) == tag).map(|entry| entry.d_val(endian));
        let (Some(address), Some(size)) = (value(DT_STRTAB), value(DT_STRSZ)) else {
            return Ok(());
        };
        let segments = header.program_headers(endian, data).map_err(|error| error.to_string())?;
        let strings = segments
            .iter()
            .find_map(|segment| segment.data_range(endian, data, address, size).ok().flatten())
            .ok_or("its strings are out of bounds")?;
        let text = |offset: u64| -> Result<String, String> {
            let start = usize::try_from(offset).map_err(|error| error.to_string())?;
            let bytes = strings.get(start..).ok_or("a string is out of bounds")?;
            let bytes = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
            Ok(String::from_utf8_lossy(bytes).into_owned())
        };
        for entry in entries {
            match entry.d_tag(endian) {
                DT_NEEDED => self.needed.push(text(entry.d_val(endian))?),
                DT_RPATH => self.rpath.extend(text(entry.d_val(endian))?.split(':').map(str::to_owned)),
                DT_RUNPATH => self.runpath.extend(text(entry.d_val(endian))?.split(':').map(str::to_owned)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// All files that `program` needs to start, by the path where the loader will look for them.
pub(crate) fn closure(program: &Path, search: &Search) -> Result<BTreeMap<PathBuf, PathBuf>, LabError> {
    let mut files = BTreeMap::new();
    // The loader knows where a program really is.
    let program = &fs::canonicalize(program).map_err(LabError::io("find", program))?;
    let Some(image) = Image::read(program)? else {
        return Ok(files);
    };
    if let Some(interpreter) = &image.interpreter {
        let interpreter = PathBuf::from(interpreter);
        if !interpreter.is_file() {
            return Err(LabError::LibraryMissing {
                program: program.to_owned(),
                library: interpreter.display().to_string(),
                searched: "this machine".to_owned(),
            });
        }
        files.insert(interpreter.clone(), interpreter);
    }
    // ld.so(8): DT_RPATH of a file counts for what it loads, too, unless that has DT_RUNPATH.
    let mut queue = VecDeque::from([(program.to_owned(), image, Vec::<PathBuf>::new())]);
    while let Some((file, image, inherited)) = queue.pop_front() {
        let own = |paths: &[String]| -> Vec<PathBuf> { paths.iter().map(|path| expand(path, &file)).collect() };
        let mut rpath = if image.runpath.is_empty() { own(&image.rpath) } else { Vec::new() };
        rpath.extend(inherited);
        let runpath = own(&image.runpath);
        let before = if image.runpath.is_empty() { rpath.as_slice() } else { &[] };
        let folders: Vec<&PathBuf> = before.iter().chain(&search.first).chain(&runpath).chain(&search.last).collect();
        for name in &image.needed {
            let (found, image) = find(&file, name, &folders)?;
            // The loader goes by names: the first file found under one is it, for everybody.
            let known = files.keys().any(|path| path.file_name() == found.file_name());
            if !known {
                queue.push_back((found.clone(), image, rpath.clone()));
                files.insert(found.clone(), found);
            }
        }
    }
    Ok(files)
}

fn find(program: &Path, name: &str, folders: &[&PathBuf]) -> Result<(PathBuf, Image), LabError> {
    let candidates: Vec<PathBuf> = if name.contains('/') {
        vec![PathBuf::from(name)]
    } else {
        folders.iter().map(|folder| folder.join(name)).collect()
    };
    for candidate in &candidates {
        // A library for another machine under the same name is passed over, as the loader does.
        if candidate.is_file()
            && let Ok(Some(image)) = Image::read(candidate)
        {
            return Ok((candidate.clone(), image));
        }
    }
    let searched: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
    Err(LabError::LibraryMissing {
        program: program.to_owned(),
        library: name.to_owned(),
        searched: searched.join(", "),
    })
}

/// Replaces the tokens of ld.so(8).
fn expand(path: &str, file: &Path) -> PathBuf {
    let origin = file.parent().map_or(String::new(), |folder| folder.display().to_string());
    let mut path = path.to_owned();
    for (token, value) in [("ORIGIN", origin.as_str()), ("LIB", "lib/x86_64-linux-gnu"), ("PLATFORM", "x86_64")] {
        path = path.replace(&format!("${{{token}}}"), value).replace(&format!("${token}"), value);
    }
    PathBuf::from(path)
}

impl Search {
    /// This machine's: the environment and the loader's configuration.
    pub(crate) fn of_machine() -> Self {
        let first = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let mut last = Vec::new();
        configured(Path::new("/etc/ld.so.conf"), &mut last, 0);
        let usual = ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"];
        last.extend(usual.map(PathBuf::from));
        Self { first: std::env::split_paths(&first).filter(|path| path.is_absolute()).collect(), last }
    }
}

/// The folders in a file of ld.so.conf(5)'s form, with the files that it includes.
fn configured(file: &Path, folders: &mut Vec<PathBuf>, depth: u32) {
    // Files can include one another in a circle.
    if depth > 8 {
        return;
    }
    let Ok(text) = fs::read_to_string(file) else { return };
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(pattern) = line.strip_prefix("include").filter(|rest| rest.starts_with([' ', '\t'])) {
            let pattern = file.parent().unwrap_or(Path::new("/")).join(pattern.trim());
            let found = glob::glob(&pattern.to_string_lossy()).into_iter().flatten().flatten();
            for included in found {
                configured(&included, folders, depth + 1);
            }
        } else if line.starts_with('/') {
            folders.push(PathBuf::from(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_expanded() {
        let file = Path::new("/opt/app/bin/tool");
        assert_eq!(expand("$ORIGIN/../lib", file), Path::new("/opt/app/bin/../lib"));
        assert_eq!(expand("${ORIGIN}/x", file), Path::new("/opt/app/bin/x"));
        assert_eq!(expand("/plain", file), Path::new("/plain"));
    }

    #[test]
    fn configuration_is_followed_through_includes_and_circles() {
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("ld.so.conf");
        fs::create_dir(folder.path().join("parts")).unwrap();
        fs::write(&main, "# comment\ninclude parts/*.conf\n/last # why\n").unwrap();
        fs::write(folder.path().join("parts/a.conf"), format!("/first\ninclude {}\n", main.display())).unwrap();
        fs::write(folder.path().join("parts/b.txt"), "/never\n").unwrap();
        let mut folders = Vec::new();
        configured(&main, &mut folders, 0);
        assert_eq!(folders.first(), Some(&PathBuf::from("/first")));
        assert_eq!(folders.last(), Some(&PathBuf::from("/last")));
        assert!(!folders.contains(&PathBuf::from("/never")));
    }

    #[test]
    fn this_very_program_needs_its_loader_and_its_c_library() {
        let program = std::env::current_exe().unwrap();
        let files = closure(&program, &Search::of_machine()).unwrap();
        let names: Vec<&str> = files.keys().filter_map(|path| path.file_name()?.to_str()).collect();
        assert!(names.contains(&"libc.so.6"), "{names:?}");
        assert!(names.iter().any(|name| name.starts_with("ld-linux")), "{names:?}");
    }

    #[test]
    fn a_library_that_is_nowhere_is_named_with_where_it_was_looked_for() {
        let program = std::env::current_exe().unwrap();
        let search = Search { first: vec!["/no/such/place".into()], last: Vec::new() };
        let error = closure(&program, &search).unwrap_err().to_string();
        assert!(error.contains("/no/such/place") && error.contains(".so"), "{error}");
    }

    #[test]
    fn a_library_beside_the_program_is_found_through_its_origin_and_at_that_place() {
        // Needs a C compiler, as building this workspace does.
        let folder = tempfile::tempdir().unwrap();
        let folder = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir(folder.join("own")).unwrap();
        let compile = |target: &str, source: &str, options: &[&str]| {
            fs::write(folder.join("source.c"), source).unwrap();
            let mut compiler = std::process::Command::new("cc");
            compiler.current_dir(&folder).args(["-fPIC", "-o", target, "source.c", "-Lown", "-Wl,--no-as-needed"]);
            assert!(compiler.args(options).status().unwrap().success(), "{target}");
        };
        compile("own/libinner.so", "int inner(void) { return 1; }", &["-shared"]);
        let beside = ["-shared", "-linner", "-Wl,-rpath,$ORIGIN"];
        compile("own/libouter.so", "int outer(void) { return 2; }", &beside);
        // The program knows only of the outer one.
        let below = ["-louter", "-Wl,-rpath,${ORIGIN}/own"];
        compile("program", "int outer(void); int main(void) { return outer(); }", &below);
        let files = closure(&folder.join("own/../program"), &Search::of_machine()).unwrap();
        assert!(files.contains_key(&folder.join("own/libouter.so")), "{files:?}");
        assert!(files.contains_key(&folder.join("own/libinner.so")), "{files:?}");
    }

    #[test]
    fn a_script_is_no_program_of_the_loader() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        fs::write(&script, "#!/bin/sh\n").unwrap();
        assert_eq!(closure(&script, &Search::default()).unwrap(), BTreeMap::new());
    }

    #[test]
    fn a_damaged_file_is_an_error_and_no_panic() {
        let program = fs::read(std::env::current_exe().unwrap()).unwrap();
        for cut in [4, 16, 63, 64, 200, 500] {
            assert!(Image::parse(&program[..cut]).is_err(), "{cut} bytes");
        }
        for at in 16..512 {
            let mut bytes = program[..program.len().min(4096)].to_vec();
            bytes[at] ^= 0xff;
            let _ = Image::parse(&bytes);
        }
    }
}
