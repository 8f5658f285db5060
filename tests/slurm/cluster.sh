#!/usr/bin/env bash
# A whole Slurm on one machine, in one folder, for the tests: cluster.sh start FOLDER | cluster.sh stop FOLDER
# Debian's slurm-wlm and munge must be installed and this must be root; nothing is installed or changed elsewhere.
# Needs neither systemd nor cgroups. Its clients find it through SLURM_CONF=FOLDER/slurm.conf.
set -euo pipefail
what=$1 folder=$(realpath "$2")

stop() {
  for daemon in slurmd slurmctld munged; do
    [ -s "$folder/$daemon.pid" ] && kill "$(cat "$folder/$daemon.pid")" 2>/dev/null || true
  done
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

start() {
  chmod 755 "$folder"
  mkdir -p "$folder"/{munge,state,spool}
  head -c 1024 /dev/urandom > "$folder/munge/key"
  chmod 400 "$folder/munge/key"
  chown -R munge: "$folder/munge"
  runuser -u munge -- munged --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" \
    --pid-file="$folder/munge/munged.pid" --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" \
    --num-threads=1
  ln -sf munge/munged.pid "$folder/munged.pid"
  cat > "$folder/slurm.conf" <<CONF
ClusterName=workbench
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_interval=2,sched_min_interval=500000,bf_interval=2
KillWait=20
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=2 RealMemory=1000 State=UNKNOWN
PartitionName=low Nodes=$(hostname -s) Default=YES PriorityTier=1 MaxTime=INFINITE State=UP
PartitionName=high Nodes=$(hostname -s) PriorityTier=9 MaxTime=INFINITE State=UP
CONF
  export SLURM_CONF=$folder/slurm.conf
  slurmctld -f "$SLURM_CONF"
  slurmd -f "$SLURM_CONF" -N "$(hostname -s)"
  for _ in $(seq 100); do
    sinfo --noheader --format=%T 2>/dev/null | grep -q idle && return 0
    sleep 0.2
  done
  tail -n 20 "$folder"/*.log "$folder/munge/log" >&2
  stop
  return 1
}

"$what"
