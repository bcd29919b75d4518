//! `cargo xtask demo`: the host with `examples/quickstart`, two origins behind it and a real client before it.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::demo::folder::Folder;
use crate::demo::origin::Origin;
use crate::demo::ports::Ports;
use crate::demo::process::{Process, Stop};
use crate::steps::Steps;
use crate::workspace::Workspace;
use crate::{plugins, tools};

mod client;
mod folder;
mod host;
mod metrics;
mod options;
mod origin;
mod ports;
pub(crate) mod process;
mod show;

pub(crate) use options::Options;

/// Ends with an error if anything that the show claims is not so. Whatever was started is stopped again.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let ports = Ports::choose(options)?;
    let mut steps = Steps::new(6);
    steps.next("looking for a C compiler, curl and the WebAssembly targets");
    tools::ensure(&[tools::C_COMPILER, tools::CURL])?;
    plugins::ensure_targets()?;
    steps.next("building the plugins");
    plugins::build(workspace)?;
    steps.next("building the host and the origins; the first time, this takes minutes");
    workspace.cargo(&["build", "-p", "palisade", "-p", "quickstart"])?;

    let stop = Stop::on_signals()?;
    steps.next("starting two origins, making a certificate and a configuration in target/demo");
    let origins = [Origin::start(workspace, "A")?, Origin::start(workspace, "B")?];
    let folder = Folder::make(workspace, &ports, [origins[0].address(), origins[1].address()])?;
    steps.next("starting the host");
    let mut host = host::start(workspace, &folder, &ports, &stop)?;
    steps.next("sending requests");
    show::run(&folder, &ports, &origins)?;
    if options.once {
        return Ok(());
    }
    print_commands(&folder, &ports);
    wait(&mut host, &stop)
}

fn print_commands(folder: &Folder, ports: &Ports) {
    let client = client::Client::new(folder, ports);
    println!("\nTry by hand, from another terminal:");
    for command in [
        client.command(&["--http2"], &[client.https("/hello")]),
        client.command(&["--http2", "-i"], &[client.https("/admin")]),
        client.command(&["-i"], &[client.http("/hello")]),
        client.command(&[], &[client.admin("/metrics")]),
        client.command(&[], &[client.admin("/plugins")]),
    ] {
        println!("  {}", crate::command::show(&command));
    }
    println!("The configuration is {}, the log {}.", folder.config().display(), folder.log().display());
    println!("Ctrl-C ends it.");
}

/// Until a signal, or until the host is gone.
fn wait(host: &mut Process, stop: &Stop) -> Result<()> {
    while !stop.requested() {
        host.check()?;
        thread::sleep(Duration::from_millis(100));
    }
    println!("\nstopping");
    Ok(())
}
