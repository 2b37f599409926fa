#!/usr/bin/env bash
# Restores a plan on a Slurm cluster: splits it, submits an array with a task for each part, and a job that makes the
# reports behind it. Prints the numbers of both jobs.
#
#   submit.sh PLAN PARTS RUN_FOLDER [SBATCH_OPTION...]
#   submit.sh plan.json 16 /fs/restores/PRID001 --array=1-16%4      # 4 at once
#
# RUN_FOLDER lies where all nodes see it, and gets plan.json, parts/, results/, logs/ and outcome.html. Submitted once
# more with the same plan, what earlier runs restored is skipped. Options go to the array; what is for both jobs is set
# by Slurm's own variables (SBATCH_ACCOUNT, SBATCH_PARTITION). Jobs see the environment from here: kraken-plan on the
# PATH, the AWS chain's variables, KRAKEN_PLAN_CONFIG, KRAKEN_PLAN_OUTPUT_ROOT, KRAKEN_PLAN_APPLY_JOBS.
set -euo pipefail

refuse() {
    echo "submit.sh: $1" >&2
    exit 2
}

(($# >= 3)) || refuse "expected PLAN PARTS RUN_FOLDER [SBATCH_OPTION...]"
for program in kraken-plan sbatch; do
    command -v "$program" >/dev/null || refuse "$program is not on the PATH"
done
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
plan=$1
parts=$2
kraken-plan validate "$plan" >&2 || exit 2

mkdir -p "$3"/{results,logs}
run_folder=$(readlink -f "$3")
if [[ ! -e $run_folder/plan.json ]]; then
    cp -- "$plan" "$run_folder/plan.json"
elif ! cmp --quiet -- "$plan" "$run_folder/plan.json"; then
    refuse "$run_folder/plan.json is another plan: take a new RUN_FOLDER"
fi
kraken-plan split "$run_folder/plan.json" -n "$parts" -o "$run_folder/parts" >/dev/null || exit 2

restore=$(sbatch --parsable --array="1-$parts" --output="$run_folder/logs/%A_%a.log" "${@:4}" \
    "$here/restore.sbatch" "$run_folder" "$parts")
restore=${restore%%;*} # a federation adds the cluster's name
echo "restore $restore"
report=$(sbatch --parsable --dependency="afterany:$restore" --output="$run_folder/logs/report-%j.log" \
    "$here/report.sbatch" "$run_folder") ||
    refuse "array $restore is submitted, its report is not: sbatch --dependency=afterany:$restore $here/report.sbatch $run_folder"
echo "report ${report%%;*}"
