#!/usr/bin/env bash
# Set up and start a Slurm of one node on Debian or Ubuntu, as root, to try `--launcher slurm` (docs/cluster.md).
# task/affinity gives each job cores of its own, and so a fixed number of threads.
set -eu
host=$(hostname -s)
apt-get install -y slurm-wlm munge
mkdir -p /etc/slurm /var/spool/slurmctld /var/spool/slurmd
cat > /etc/slurm/slurm.conf <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
SlurmctldLogFile=/var/log/slurmctld.log
SlurmdLogFile=/var/log/slurmd.log
ReturnToService=2
KillWait=10
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
install -d -o munge -g munge -m 755 /run/munge
runuser -u munge -- munged
slurmctld
slurmd
sinfo # one node, idle
