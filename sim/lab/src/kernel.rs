//! The kernel of a run.

use std::path::{Path, PathBuf};

use crate::cache::Cache;
use crate::error::LabError;
use crate::kit::Kit;
use crate::loadable;
use crate::own_kernel::OwnKernel;
use crate::progress::Progress;
use crate::sysroot::Sysroot;

/// What the user asks for instead of the kit's kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The lab's own.
    Own,
    /// An image of the user's.
    File(PathBuf),
}

impl Choice {
    /// `own`, or a path.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("say own, or name a file".to_owned()),
            "own" => Ok(Self::Own),
            path => Ok(Self::File(path.into())),
        }
    }
}

/// A kernel that is there.
#[derive(Debug)]
pub(crate) enum Kernel {
    /// The kit's: Debian's.
    Debian,
    /// The lab's own.
    Own(OwnKernel),
    /// The user's.
    Foreign(PathBuf),
}

impl Kernel {
    /// The chosen one, built if need be.
    pub(crate) fn choose(
        cache: &Cache,
        kit: &Kit,
        choice: Option<&Choice>,
        progress: &Progress,
    ) -> Result<Self, LabError> {
        Ok(match choice {
            None => Self::Debian,
            Some(Choice::Own) => Self::Own(OwnKernel::find(cache, kit, progress)?),
            Some(Choice::File(path)) => Self::Foreign(path.clone()),
        })
    }

    /// Its image.
    pub(crate) fn image(&self, kit: &Kit) -> PathBuf {
        match self {
            Self::Debian => kit.vmlinuz(),
            Self::Own(own) => own.image(),
            Self::Foreign(path) => path.clone(),
        }
    }

    /// The lab's own, if it is that.
    pub(crate) fn own(&self) -> Option<&OwnKernel> {
        match self {
            Self::Own(own) => Some(own),
            Self::Debian | Self::Foreign(_) => None,
        }
    }

    /// The kernel's own modules of these names, with those that they need, in the order of loading; the files are in `target`.
    pub(crate) fn gather(
        &self,
        cache: &Cache,
        kit: &Kit,
        names: &[String],
        target: &Path,
        progress: &Progress,
    ) -> Result<Vec<PathBuf>, LabError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let folder = match self {
            Self::Debian => loadable::of_kit(cache, kit, progress)?,
            Self::Own(own) => own.modules(),
            Self::Foreign(path) => return Err(LabError::ForeignModules(path.clone())),
        };
        loadable::gather(&folder, names, &Sysroot::at(&kit.toolchain), target)
    }
}
