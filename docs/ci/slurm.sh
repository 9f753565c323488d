#!/bin/sh
#SBATCH --array=1-200
#SBATCH --cpus-per-task=1
#SBATCH --time=02:00:00
# A hunt as a job array: sbatch slurm.sh. The folder is on a file system that all nodes see.
: "${STATE:=/shared/hunt}" "${SHARDS:=200}"
refork hunt --shard "$SLURM_ARRAY_TASK_ID/$SHARDS" --state "$STATE" --runs 5000 -- build/test_fork
status=$?
[ $status = 120 ] && exit 0 # a deadlock was found: a result, no failed job
exit $status
