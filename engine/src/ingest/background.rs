//! How the background works: on how many threads, how politely towards others, and when it rests.

use std::path::{Path, PathBuf};

/// What the operator asks of background work.
#[derive(Debug, Clone, PartialEq)]
pub struct BackgroundSettings {
    /// Threads that embed; 0: one for each processor.
    pub n_threads: usize,
    /// Whether questions, and other programs, go first.
    pub gives_way: bool,
    /// Whether nothing is embedded on battery.
    pub rests_on_battery: bool,
    /// Nothing is embedded while the load of the last minute is above this: runnable threads of all programs, ours too.
    pub max_load: Option<f64>,
}

impl Default for BackgroundSettings {
    fn default() -> Self {
        Self { n_threads: 0, gives_way: true, rests_on_battery: false, max_load: None }
    }
}

/// The threads of background work.
pub struct Background {
    settings: BackgroundSettings,
    /// `None` where no thread could be started: work is then done where it is asked for.
    threads: Option<rayon::ThreadPool>,
    power: PathBuf,
}

/// Of Linux: lower than every program that asks for nothing, and higher than what is to run in idle time only.
const NICENESS: i32 = 10;
/// One folder for each source of power (Linux, Documentation/ABI/testing/sysfs-class-power).
const POWER: &str = "/sys/class/power_supply";

impl Background {
    /// Starts the threads.
    pub fn new(settings: BackgroundSettings) -> Self {
        let gives_way = settings.gives_way;
        let builder = rayon::ThreadPoolBuilder::new()
            .num_threads(settings.n_threads)
            .thread_name(|idx| format!("waypost-index-{idx}"))
            .start_handler(move |_| {
                if gives_way {
                    give_way();
                }
            });
        let threads = builder.build().inspect_err(|error| {
            tracing::warn!(%error, "no threads for background work");
        });
        Self { settings, threads: threads.ok(), power: PathBuf::from(POWER) }
    }

    /// Does something on these threads, and waits for it.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.threads {
            Some(threads) => threads.install(work),
            None => work(),
        }
    }

    /// Why nothing is to be embedded now, for a person; `None` where it may be.
    pub fn rests(&self) -> Option<String> {
        if self.settings.rests_on_battery && is_on_battery(&self.power) {
            return Some("embedding rests while the machine runs on battery".to_owned());
        }
        let max_load = self.settings.max_load?;
        let load = load().filter(|load| *load > max_load)?;
        Some(format!("embedding rests while the machine's load is {load:.1}, which is above {max_load}"))
    }
}

/// Lets every thread that asks for nothing go before this one.
fn give_way() {
    #[cfg(target_os = "linux")]
    {
        let this = rustix::thread::gettid();
        if let Err(error) = rustix::process::setpriority_process(Some(this), NICENESS) {
            tracing::warn!(%error, "background work keeps its priority");
        }
    }
}

/// Of the last minute; `None` where the system does not tell.
fn load() -> Option<f64> {
    #[cfg(target_os = "linux")]
    {
        // The kernel counts in 65,536ths (sysinfo(2)).
        Some(rustix::system::sysinfo().loads[0] as f64 / 65_536.0)
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// Whether a battery is being used up. A machine without one, or one that does not tell, is not on battery.
fn is_on_battery(power: &Path) -> bool {
    let Ok(sources) = std::fs::read_dir(power) else { return false };
    let says = |folder: &Path, name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    sources.flatten().any(|source| {
        let folder = source.path();
        // A mouse has a battery too.
        says(&folder, "type").trim() == "Battery"
            && says(&folder, "scope").trim() != "Device"
            && says(&folder, "status").trim() == "Discharging"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_battery_that_is_used_up_is_told_from_one_that_is_not() {
        let power = tempfile::tempdir().unwrap();
        let put = |source: &str, name: &str, text: &str| {
            std::fs::create_dir_all(power.path().join(source)).unwrap();
            std::fs::write(power.path().join(source).join(name), format!("{text}\n")).unwrap();
        };
        let settings = BackgroundSettings { rests_on_battery: true, ..BackgroundSettings::default() };
        let background = Background { power: power.path().to_owned(), ..Background::new(settings) };
        assert_eq!(background.rests(), None, "no battery");
        put("AC", "type", "Mains");
        put("hidpp_battery_0", "type", "Battery");
        put("hidpp_battery_0", "scope", "Device");
        put("hidpp_battery_0", "status", "Discharging");
        assert_eq!(background.rests(), None, "the battery of a mouse");
        put("BAT0", "type", "Battery");
        put("BAT0", "status", "Charging");
        assert_eq!(background.rests(), None);
        put("BAT0", "status", "Discharging");
        assert!(background.rests().unwrap().contains("battery"));
        let never =
            Background { power: power.path().to_owned(), ..Background::new(BackgroundSettings::default()) };
        assert_eq!(never.rests(), None, "only where it is asked for");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn background_work_gives_way_and_nothing_else_does() {
        let niceness = || rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap();
        let here = niceness();
        let background =
            Background::new(BackgroundSettings { n_threads: 1, ..BackgroundSettings::default() });
        assert_eq!(background.run(niceness), NICENESS.max(here));
        let equal = Background::new(BackgroundSettings {
            n_threads: 1,
            gives_way: false,
            ..BackgroundSettings::default()
        });
        assert_eq!(equal.run(niceness), here);
        assert_eq!(niceness(), here);
    }

    #[test]
    fn a_busy_machine_is_left_alone() {
        let at = |max_load| {
            Background::new(BackgroundSettings { max_load: Some(max_load), ..BackgroundSettings::default() })
        };
        assert_eq!(at(1e9).rests(), None);
        // Where tests run something runs.
        assert!(at(-1.0).rests().unwrap().contains("load"));
    }
}
