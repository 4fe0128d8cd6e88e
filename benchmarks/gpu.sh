#!/usr/bin/env bash
# Everything that is measured on a GPU, in at most eight minutes, most important first; one line of JSON at the end.
#
#   bash benchmarks/gpu.sh              on a machine with a GPU
#   bash benchmarks/gpu.sh --dry        tiny sizes on the CPU: proves that the script works, measures nothing
#   bash benchmarks/gpu.sh step crf     these parts alone: machine tests step small crf predict
#
# It starts from a checkout and needs no network. Variables:
#   PYTHON    the interpreter; default: python3
#   WHEELS    a folder of wheels that the interpreter lacks (e.g. beartype, jsonargparse); they are imported in place
#   OUT       folder of the log and the JSON file of each part; default: a temporary one
#   SECONDS_LEFT  time of all parts together; default: 470
# A part that fails or runs out of time is called "not measured" in the JSON, and the others go on.
set -u
cd "$(dirname "$0")/.." || exit 1

python=${PYTHON:-python3}
out=${OUT:-$(mktemp -d)}
out=$out/gpu
mkdir -p "$out"
limit=${SECONDS_LEFT:-470}
every="machine tests step small crf predict"
dry=
parts=
for word in "$@"; do
  case $word in
    --dry | --quick) dry=1 ;;
    machine | tests | step | small | crf | predict) parts="$parts $word" ;;
    *) echo "benchmarks/gpu.sh: no part '$word', expected --dry or some of: $every" >&2; exit 2 ;;
  esac
done
parts=${parts:-$every}
rm -f "$out"/*.json "$out"/*.status "$out"/tests.xml

paths=$PWD/src
for wheel in ${WHEELS:+"$WHEELS"/*.whl}; do
  folder=$out/wheels/$(basename "$wheel" .whl)
  [ -d "$folder" ] || "$python" -m zipfile -e "$wheel" "$folder" || echo "cannot unpack $wheel"
  paths=$paths:$folder
done
export PYTHONPATH=$paths${PYTHONPATH:+:$PYTHONPATH}
export PYTHONUNBUFFERED=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1

# run NAME SECONDS COMMAND...: a part with a time limit, its output shown and kept.
run() {
  local name=$1 seconds=$2 left=$((limit - SECONDS)) begun=$SECONDS status
  shift 2
  case " $parts " in *" $name "*) ;; *) return ;; esac
  echo
  if [ "$left" -lt 15 ]; then
    echo "== $name: not begun, the time is over"
    return
  fi
  [ "$seconds" -le "$left" ] || seconds=$left
  echo "== $name, at most $seconds s"
  timeout -k 5 "$seconds" "$@" 2>&1 | tee "$out/$name.log"
  status=${PIPESTATUS[0]}
  case $status in 124 | 137) status="out of time after $seconds s" ;; esac
  echo "$status" > "$out/$name.status"
  echo "== $name: status $status, $((SECONDS - begun)) s"
}

# Tests that need a GPU, by their marker. Without beartype shapes are not checked; with several processes it is faster.
gpu_tests() {
  local files options=()
  files=$(grep -rlE "mark\.gpu\b|^@GPU\b" tests --include="test_*.py")
  "$python" -c "import beartype, jaxtyping" 2> /dev/null || options+=(-o "addopts=--import-mode=importlib")
  [ "$dry" ] || ! "$python" -c "import xdist" 2> /dev/null || options+=(-n 4 --dist worksteal)
  # shellcheck disable=SC2086
  exec "$python" -m pytest -q -ra --tb=short --durations=5 -p no:cacheprovider -m gpu "${options[@]}" \
    --junitxml="$out/tests.xml" $files
}
export -f gpu_tests
export python out dry

b=benchmarks
if [ "$dry" ]; then
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-2}
  step="--quick --ways fast-bf16 published-32 --device cpu"
  small="--quick --ways fast-bf16 --device cpu"
  quick="--quick --device cpu"
else
  step="--seconds 110"
  small="--size tiny small --pixels 224 --ways fast-bf16 --steps 20"
  quick=
fi
# shellcheck disable=SC2086
{
  run machine 15 "$python" $b/gpu_machine.py --json "$out/machine.json"
  run tests 90 bash -c gpu_tests
  run step 135 "$python" $b/gpu_step.py $step --json "$out/step.json"
  run small 60 "$python" $b/gpu_step.py $small --json "$out/small.json"
  run crf 60 "$python" $b/gpu_crf.py $quick --json "$out/crf.json"
  run predict 100 "$python" $b/gpu_predict.py $quick --json "$out/predict.json"
}
echo
echo "logs: $out, $SECONDS s in all"
# shellcheck disable=SC2086
"$python" $b/gpu_merge.py "$out" $parts
