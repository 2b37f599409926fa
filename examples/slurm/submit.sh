#!/usr/bin/env bash
# Restores a plan on a Slurm cluster: looks once whether it can be restored, splits it, submits an array with a task for
# each part, and a job that makes the reports behind it. Prints the numbers of both jobs.
#
#   submit.sh [OPTION...] PLAN PARTS RUN_FOLDER [SBATCH_OPTION...]
#   submit.sh --concurrent 4 --max-bandwidth 400M plan.json 16 /fs/restores/PRID001 --mem=8G
#
#   --concurrent N         run N tasks of the array at once
#   --max-bandwidth RATE   what all tasks together may fetch a second, such as 400M: each gets its share
#   --report OPTION        an option of sbatch for the job behind the array, such as --mail-type=FAIL; can be repeated
#   --skip-status          do not ask S3 for every file before anything is submitted
#
# RUN_FOLDER lies where all nodes see it, and gets plan.json, status.json, parts/, results/, logs/ and outcome.html.
# Submitted once more with the same plan, what earlier runs restored is skipped. SBATCH_OPTIONs go to the array; what is
# for both jobs is set by Slurm's own variables (SBATCH_ACCOUNT, SBATCH_PARTITION). Jobs see the environment from here:
# kraken-plan on the PATH, the AWS chain's variables, KRAKEN_PLAN_CONFIG, KRAKEN_PLAN_OUTPUT_ROOT, KRAKEN_PLAN_APPLY_JOBS.
set -euo pipefail

refuse() {
    echo "submit.sh: $1" >&2
    exit 2
}

concurrent='' rate='' look=1 report_options=()
while [[ ${1-} == --* ]]; do
    case $1 in
    --skip-status) look='' && shift && continue ;;
    --concurrent | --max-bandwidth | --report) (($# >= 2)) || refuse "$1 needs a value" ;;
    *) refuse "there is no option $1; options of sbatch stand behind RUN_FOLDER" ;;
    esac
    case $1 in
    --concurrent) concurrent=$2 ;;
    --max-bandwidth) rate=$2 ;;
    --report) report_options+=("$2") ;;
    esac
    shift 2
done
(($# >= 3)) || refuse "expected [OPTION...] PLAN PARTS RUN_FOLDER [SBATCH_OPTION...]"
plan=$1 parts=$2 folder=$3
shift 3

# parts are named as numbers are written: plan-2-of-16.json, not plan-02-of-016.json
[[ $parts =~ ^[1-9][0-9]{0,4}$ ]] || refuse "PARTS is $parts, expected a number from 1 on, without leading zeros"
[[ -z $concurrent || $concurrent =~ ^[1-9][0-9]{0,4}$ ]] || refuse "--concurrent is $concurrent, expected a number"
[[ -z $rate || $rate =~ ^([1-9][0-9]{0,12})([KMG]?)$ ]] || refuse "--max-bandwidth is $rate, expected such as 400M"
case $folder in *%*) refuse "RUN_FOLDER is $folder: Slurm takes % in paths of logs for its own, take another name" ;; esac

# An array that leaves parts out would never restore them, and the report would only say that they were not attempted.
array=1-$parts
for option in "$@"; do
    case $option in
    --array=*) array=${option#--array=} ;;
    -a?*) array=${option#-a} ;;
    --array | -a) refuse "write it as $option=…, or better: --concurrent N before PLAN" ;;
    esac
done
[[ $array =~ ^1-([0-9]+)(%([1-9][0-9]*))?$ && ${BASH_REMATCH[1]} == "$parts" ]] ||
    refuse "the array $array leaves parts out: expected 1-$parts; how many run at once is said with --concurrent N"
concurrent=${concurrent:-${BASH_REMATCH[3]-}}

share=''
if [[ -n $rate ]]; then
    [[ $rate =~ ^([0-9]+)([KMG]?)$ ]]
    case ${BASH_REMATCH[2]} in K) unit=10 ;; M) unit=20 ;; G) unit=30 ;; *) unit=0 ;; esac
    at_once=$((concurrent && concurrent < parts ? concurrent : parts))
    share=$(((BASH_REMATCH[1] << unit) / at_once))
    ((share > 0)) || refuse "--max-bandwidth $rate is less than a byte a second for each of $at_once tasks"
fi

for program in kraken-plan sbatch; do
    command -v "$program" >/dev/null || refuse "$program is not on the PATH"
done
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
kraken-plan validate "$plan" >&2 || exit 2

mkdir -p "$folder"/{results,logs}
run_folder=$(readlink -f "$folder")
case $run_folder in *%*) refuse "$run_folder: Slurm takes % in paths of logs for its own, take another folder" ;; esac
if [[ ! -e $run_folder/plan.json ]]; then
    cp -- "$plan" "$run_folder/plan.json"
elif ! cmp --quiet -- "$plan" "$run_folder/plan.json"; then
    refuse "$run_folder/plan.json is another plan: take a new RUN_FOLDER"
fi

[[ ! -f $plan.approvals || $plan -ef $run_folder/plan.json ]] || cp -- "$plan.approvals" "$run_folder/plan.json.approvals"
kraken-plan split "$run_folder/plan.json" -n "$parts" -o "$run_folder/parts" >/dev/null || exit 2

# A part is a plan with a digest of its own: where the site asks for approvals, apply asks for those of each part.
approvals=$(printf '%s\0' "$run_folder"/parts/plan-*-of-"$parts".json |
    xargs -0 kraken-plan approvals --quiet --if-required) || {
    head -n 10 <<<"$approvals" >&2
    refuse "parts are not approved as they have to be (above): approve them (kraken-plan approve $run_folder/parts/plan-*-of-$parts.json) and submit again; nothing is submitted"
}

# Credentials, buckets, destinations and space are better seen to be wrong here, once, than by every task after hours in
# the queue.
number() { sed -n "s/^ *\"$1\": \([0-9]*\),\{0,1\}\$/\1/p" "$run_folder/status.json" | head -n 1; }
if [[ -n $look ]]; then
    code=0
    kraken-plan status --no-local-hash --json "$run_folder/plan.json" >"$run_folder/status.json" || code=$?
    ((code <= 1)) || refuse "kraken-plan status ended with exit code $code, see above: nothing is submitted"
    grep -q '"apply_would_be_refused": \[\]' "$run_folder/status.json" || {
        sed -n '/"apply_would_be_refused": \[/,/^  \]/p' "$run_folder/status.json" >&2
        refuse "as things stand, every task would be refused (above): nothing is submitted"
    }
    cannot=$(number cannot) can=$(($(number skip) + $(number verify) + $(number download) + $(number heal)))
    if ((cannot > 0 && can == 0)); then
        grep -m 1 '"apply": "cannot"' "$run_folder/status.json" >&2
        refuse "none of $cannot files can be restored, such as the one above: nothing is submitted"
    fi
    ((cannot == 0)) || echo "$cannot of $((cannot + can)) files cannot be restored: \"cannot\" in $run_folder/status.json" >&2
fi

array=1-$parts${concurrent:+%$concurrent}
restore=$(sbatch --parsable --output="$run_folder/logs/%A_%a.log" "$@" --array="$array" \
    "$here/restore.sbatch" "$run_folder" "$parts" ${share:+"$share"})
restore=${restore%%;*} # a federation adds the cluster's name
echo "restore $restore"
report=$(sbatch --parsable --output="$run_folder/logs/report-%j.log" ${report_options[0]+"${report_options[@]}"} \
    --dependency="afterany:$restore" "$here/report.sbatch" "$run_folder") ||
    refuse "array $restore is submitted, its report is not: sbatch --dependency=afterany:$restore $here/report.sbatch $run_folder"
echo "report ${report%%;*}"
