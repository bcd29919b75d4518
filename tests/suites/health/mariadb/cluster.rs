//! Three real nodes of a Galera cluster.

use harness::Folder;

use super::server::{Server, free};

/// Three nodes that copy each other's tables.
pub(super) struct Cluster {
    _folder: Folder,
    pub(super) nodes: Vec<Server>,
}

impl Cluster {
    pub(super) async fn start() -> Self {
        let folder = Folder::new();
        let ports: [[u16; 3]; 3] = std::array::from_fn(|_| free());
        let all: Vec<String> = ports.iter().map(|[group, ..]| format!("127.0.0.1:{group}")).collect();
        let mut nodes = Vec::new();
        for (index, [group, ist, sst]) in ports.into_iter().enumerate() {
            let lines = format!(
                "binlog_format=ROW\ndefault_storage_engine=InnoDB\ninnodb_autoinc_lock_mode=2\nwsrep_on=ON\n\
                 wsrep_provider=/usr/lib/galera/libgalera_smm.so\nwsrep_cluster_name=test\nwsrep_cluster_address=gcomm://{}\n\
                 wsrep_node_name=n{index}\nwsrep_node_address=127.0.0.1:{group}\nwsrep_sst_method=rsync\n\
                 wsrep_sst_receive_address=127.0.0.1:{sst}\nwsrep_provider_options=\"gmcast.listen_addr=tcp://127.0.0.1:{group};\
                 ist.recv_addr=127.0.0.1:{ist};gcache.size=8M;{QUICK}\"\n",
                all.join(","),
            );
            nodes.push(Server::new(&folder, &format!("n{index}"), &lines).await);
        }
        let mut cluster = Self { _folder: folder, nodes };
        for (index, node) in cluster.nodes.iter_mut().enumerate() {
            node.start(if index == 0 { &["--wsrep-new-cluster"] } else { &[] });
            node.is_synced().await;
            if index == 0 {
                node.does("CREATE USER monitor@'%'").await;
            }
        }
        cluster
    }

    pub(super) fn node(&mut self, index: usize) -> &mut Server {
        self.nodes.get_mut(index).expect("a node")
    }
}

/// Nodes that leave are missed sooner than by default.
const QUICK: &str = "evs.keepalive_period=PT0.3S;evs.inactive_check_period=PT0.1S;evs.suspect_timeout=PT1S;\
                     evs.inactive_timeout=PT3S;evs.install_timeout=PT3S;evs.join_retrans_period=PT0.3S";
