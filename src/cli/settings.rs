//! `--set NAME=VALUE`: limits, intervals and the store's sizes.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use y_mesh::Config;
use y_mesh::store::DiskOptions;

use super::Failure;

/// All that can be set.
#[derive(Default, Serialize, Deserialize)]
pub struct Settings {
    #[serde(flatten)]
    pub config: Config,
    pub store: DiskOptions,
}

impl Settings {
    /// The defaults with the given values in their places.
    pub fn with(settings: &[String]) -> Result<Self, Failure> {
        let mut all = serde_json::to_value(Self::default()).map_err(|error| Failure(error.to_string()))?;
        for setting in settings {
            set(&mut all, setting).map_err(|why| Failure(format!("--set {setting}: {why}")))?;
        }
        let all: Self = serde_json::from_value(all).map_err(|error| Failure(format!("--set: {error}")))?;
        all.config.check().map_err(|error| Failure(format!("--set: {error}")))?;
        Ok(all)
    }
}

fn set(all: &mut Value, setting: &str) -> Result<(), &'static str> {
    let (name, value) = setting.split_once('=').ok_or("write NAME=VALUE")?;
    let value: f64 = value.parse().map_err(|_| "the value isn't a number")?;
    let place = all.pointer_mut(&format!("/{}", name.replace('.', "/"))).filter(|place| place.is_number());
    let place = place.ok_or("no such name; --print-config shows them all")?;
    *place = match place.is_f64() {
        true => Value::from(value),
        false if value >= 0.0 && value.fract() == 0.0 => Value::from(value as u64),
        false => return Err("the value is a count; write a whole number"),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(setting: &str) -> String {
        match Settings::with(&[setting.to_owned()]) {
            Err(Failure(why)) => why,
            Ok(_) => panic!("{setting} was taken"),
        }
    }

    #[test]
    fn settings_reach_their_places() {
        let settings = ["limits.connections_max=7", "timing.idle_max=2.5", "store.journal_bytes=1048576"];
        let settings = Settings::with(&settings.map(str::to_owned)).unwrap_or_else(|Failure(why)| panic!("{why}"));
        assert_eq!(settings.config.limits.connections_max, 7);
        assert_eq!(settings.config.timing.idle_max.as_millis(), 2_500);
        assert_eq!(settings.store.journal_bytes, 1 << 20);
    }

    #[test]
    fn bad_settings_are_refused_by_name() {
        assert!(why("limits.none=1").contains("no such name"));
        assert!(why("limits=1").contains("no such name"));
        assert!(why("limits.connections_max=-1").contains("whole number"));
        assert!(why("limits.connections_max=many").contains("isn't a number"));
        assert!(why("timing.quiet_max=40").contains("quiet_max"));
        assert!(why("nothing").contains("NAME=VALUE"));
    }
}
