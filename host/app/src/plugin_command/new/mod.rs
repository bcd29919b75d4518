//! `palisade plugin new`: a crate for a plugin, which builds, passes its tests and loads as it is.

mod name;
mod sdk;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use self::name::CrateName;
use self::sdk::Sdk;

/// What kind of plugin is begun, and where.
#[derive(Debug, clap::Args)]
pub struct NewOptions {
    /// The crate's name, which is its folder's too.
    #[arg(value_parser = CrateName::parse)]
    name: CrateName,
    /// What the plugin does.
    #[arg(long, value_enum)]
    kind: Kind,
    /// The folder in which the crate's folder is made.
    #[arg(long, value_name = "DIR", default_value = ".")]
    path: PathBuf,
    /// The folder of palisade-sdk. Without it, it is the one of the Palisade that the crate lies in, or the published one.
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

/// What a plugin does.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Kind {
    /// Looks at requests and responses, changes them, or answers itself.
    Filter,
    /// Chooses endpoints.
    Balancer,
    /// Hears of exchanges that have ended, and counts.
    Observer,
}

impl NewOptions {
    /// Writes the crate, and says what to do with it.
    ///
    /// # Errors
    /// Its folder is there already, the SDK is not where it should be, or something cannot be written.
    pub(super) fn run(&self) -> anyhow::Result<String> {
        anyhow::ensure!(self.path.is_dir(), "there is no folder {}", self.path.display());
        let folder = self.path.join(self.name.as_str());
        let sdk = Sdk::find(self.sdk.as_deref(), &self.path)?;
        fs::create_dir(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let source = folder.join("src");
        fs::create_dir(&source).with_context(|| format!("cannot make the folder {}", source.display()))?;
        for (name, template) in self.kind.files() {
            write(&folder.join(name), &self.filled(template, &sdk))?;
        }
        Ok(format!("{}: run `cargo test` in it; its README.md says the rest", folder.display()))
    }

    fn filled(&self, template: &str, sdk: &Sdk) -> String {
        let Words { description, example, settings } = self.kind.words();
        template
            .replace("{{name}}", self.name.as_str())
            .replace("{{module}}", &self.name.library())
            .replace("{{sdk}}", &sdk.dependency())
            .replace("{{description}}", description)
            .replace("{{example}}", example)
            .replace("{{settings}}", settings)
    }
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// What the kinds have differently in files that they have in common.
struct Words {
    description: &'static str,
    /// Settings, as the configuration has them.
    example: &'static str,
    /// The settings' table.
    settings: &'static str,
}

impl Kind {
    fn files(self) -> [(&'static str, &'static str); 4] {
        let source = match self {
            Self::Filter => include_str!("template/filter.rs.txt"),
            Self::Balancer => include_str!("template/balancer.rs.txt"),
            Self::Observer => include_str!("template/observer.rs.txt"),
        };
        [
            ("Cargo.toml", include_str!("template/Cargo.toml.txt")),
            ("README.md", include_str!("template/README.md.txt")),
            (".gitignore", include_str!("template/gitignore.txt")),
            ("src/lib.rs", source),
        ]
    }

    fn words(self) -> Words {
        match self {
            Self::Filter => Words {
                description: "Refuses requests by the beginning of their path, and marks answers",
                example: "{ deny = [\"/admin\"], mark = \"x-gate\" }",
                settings: "| key | default | |\n|---|---|---|\n\
                           | `deny` | | The beginnings of the paths that are refused, such as `/admin`. |\n\
                           | `mark` | none | The header that answers are marked with. |",
            },
            Self::Balancer => Words {
                description: "Gives requests to the healthy endpoints in turn",
                example: "{ in_a_row = 1 }",
                settings: "| key | default | |\n|---|---|---|\n\
                           | `in_a_row` | `1` | How many requests one endpoint gets in a row. |",
            },
            Self::Observer => Words {
                description: "Counts exchanges by the class of their status, and those that were slow",
                example: "{ slow_ms = 1000 }",
                settings: "| key | default | |\n|---|---|---|\n\
                           | `slow_ms` | `1000` | From how many milliseconds on an exchange counts as slow. |",
            },
        }
    }
}
