//! A check of MySQL or MariaDB: logs in without a password, and asks whether it is a node that can be worked with.

mod login;
mod packet;
mod rows;

use tokio::io::{AsyncRead, AsyncWrite};

use self::packet::Packets;
use crate::io::Socket;
use crate::upstream::pool::Purpose;
use crate::upstream::tls::Tls;

/// Asks over this stream, within TLS where there is any. What is wanted is a synced node of a primary component, and one that
/// takes writes.
///
/// # Errors
/// What is wrong with the node.
pub(super) async fn ask(
    mut stream: Socket,
    tls: Option<&Tls>,
    user: &str,
    (galera, writable): (bool, bool),
) -> Result<(), String> {
    let mut greeted = Packets::new(&mut stream);
    let greeting = login::greeting(&greeted.read().await?)?;
    let Some(tls) = tls else {
        return questioned(greeted, &login::response(user, false), (galera, writable)).await;
    };
    if !greeting.takes_tls {
        return Err("it takes no TLS".to_owned());
    }
    greeted.write(&login::tls_request()).await?;
    let sequence = greeted.sequence();
    let mut stream = tls.connect(stream, Purpose::Stream).await.map_err(|error| format!("no TLS: {error}"))?;
    questioned(Packets::after(&mut stream, sequence), &login::response(user, true), (galera, writable)).await
}

async fn questioned<S>(mut packets: Packets<'_, S>, login: &[u8], wanted: (bool, bool)) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    packets.write(login).await?;
    login::finished(&mut packets).await?;
    let judged = judged(&mut packets, wanted).await;
    // Said before it is left, so that the server does not count a client that broke off.
    packets.begin();
    packets.write(&[COM_QUIT]).await?;
    judged
}

async fn judged<S>(packets: &mut Packets<'_, S>, (galera, writable): (bool, bool)) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if galera {
        let status = rows::asked(packets, STATUS).await?;
        for (name, good) in [("wsrep_ready", "ON"), ("wsrep_cluster_status", "Primary"), ("wsrep_local_state", "4")] {
            rows::is(&status, name, good)?;
        }
    }
    let variables = rows::asked(packets, VARIABLES).await?;
    if galera {
        rows::is(&variables, "wsrep_desync", "OFF")?;
    }
    if writable {
        rows::is(&variables, "read_only", "OFF")?;
    }
    Ok(())
}

const COM_QUIT: u8 = 1;
const STATUS: &str =
    "SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_ready','wsrep_cluster_status','wsrep_local_state')";
const VARIABLES: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('wsrep_desync','read_only')";
