//! `palisade plugin …`: what can be done with plugin files without a host.

#[cfg(feature = "compiler")]
mod compile;
mod inspect;
mod key;
mod new;
mod run;
mod signature;

use std::path::PathBuf;
use std::process::ExitCode;

use self::new::NewOptions;
use self::run::RunOptions;

/// What can be done with a plugin file without a host.
#[derive(Debug, clap::Subcommand)]
pub enum PluginCommand {
    /// Prints what a plugin is: name, version, contract, phases, the capabilities it asks for, who signed it, the schema of
    /// its settings.
    Inspect {
        /// The plugin's `.wasm` file.
        file: PathBuf,
    },
    /// Compiles a plugin into a `.cwasm` file, which a host that was built without a compiler runs.
    #[cfg(feature = "compiler")]
    Compile(compile::CompileOptions),
    /// Begins a plugin: writes a crate that builds, passes its tests and loads.
    New(NewOptions),
    /// Takes one request through a plugin, with no server, and prints what the plugin did. Fails where the plugin fails.
    Run(RunOptions),
    /// Makes a key to sign plugins with, and prints its public half for `trusted_keys`.
    Keygen {
        /// The files are this name with `.key`, which is secret, and with `.pub`. Neither may be there already.
        #[arg(long, value_name = "NAME", default_value = "palisade")]
        out: PathBuf,
    },
    /// Signs a plugin: writes the signature beside it, into a file with `.sig` after its name.
    Sign {
        /// The plugin's `.wasm` file.
        file: PathBuf,
        /// The file with the secret key, as `keygen` wrote it.
        #[arg(long)]
        key: PathBuf,
    },
    /// Says which of the keys has signed a plugin; fails where none has.
    Verify {
        /// The plugin's `.wasm` file.
        file: PathBuf,
        /// Public keys: each the line that `keygen` printed, or the file that it wrote.
        #[arg(long = "key", value_name = "PUB", required = true, num_args = 1..)]
        keys: Vec<String>,
    },
}

impl PluginCommand {
    /// Carries the command out.
    ///
    /// # Errors
    /// What was found wrong, in lines for whoever called it.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Inspect { file } => inspect::print(&file)?,
            #[cfg(feature = "compiler")]
            Self::Compile(options) => println!("{}", options.run()?),
            Self::New(options) => println!("{}", options.run()?),
            Self::Run(options) => return options.run(),
            Self::Keygen { out } => println!("{}", key::generate(&out)?),
            Self::Sign { file, key } => println!("{}", signature::sign(&file, &key)?),
            Self::Verify { file, keys } => println!("{}", signature::verify(&file, &keys)?),
        }
        Ok(ExitCode::SUCCESS)
    }
}
