//! Where figures were taken: what must be known to compare them.

use std::fs;

use serde::Serialize;

/// The machine and the program.
#[derive(Clone, Debug, Serialize)]
pub struct Environment {
    /// The version of this tool and of the framework in it.
    pub version: String,
    /// Whether it was built with optimisation.
    pub optimised: bool,
    /// The operating system.
    pub os: String,
    /// The kernel's release.
    pub kernel: String,
    /// The processor's model name.
    pub cpu: String,
    /// The processor's architecture.
    pub architecture: String,
    /// CPUs that this process may use.
    pub usable_cpus: usize,
    /// Whether the machine is a virtual one, as far as the processor says.
    pub virtual_machine: bool,
}

impl Environment {
    /// Of this machine and this program.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let field = |name: &str| {
            cpuinfo
                .lines()
                .find_map(|line| line.split_once(':').filter(|(key, _)| key.trim() == name))
                .map(|(_, value)| value.trim())
        };
        let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            optimised: !cfg!(debug_assertions),
            os: std::env::consts::OS.to_owned(),
            kernel: if kernel.is_empty() { "unknown".to_owned() } else { kernel },
            cpu: field("model name").or_else(|| field("Model")).unwrap_or("unknown").to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            usable_cpus: std::thread::available_parallelism().map_or(1, usize::from),
            virtual_machine: field("flags").is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
        }
    }

    /// The machine in one line.
    #[must_use]
    pub fn line(&self) -> String {
        let machine = if self.virtual_machine { "virtual machine" } else { "machine" };
        let cpus = uaccel_cli::figures::count(self.usable_cpus as u64, "usable CPU");
        format!("{}, {cpus}, {} {} ({machine})", self.cpu, self.os, self.kernel)
    }

    /// What makes figures from here less worth than they look.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.optimised {
            warnings.push("built without optimisation: figures mean nothing; use cargo run --release".to_owned());
        }
        if self.usable_cpus == 1 {
            warnings.push("one usable CPU: the simulated engine shares it with the caller".to_owned());
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_kernel_and_a_cpu() {
        let environment = Environment::of_this_machine();
        assert!(environment.usable_cpus >= 1);
        assert!(!environment.kernel.is_empty() && !environment.cpu.is_empty());
        assert!(environment.line().contains("usable CPU"));
    }
}
