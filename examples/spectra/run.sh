#!/usr/bin/env bash
# Everything on the page of one molecule: harmonic, classical and quantum spectra in one picture.
#
#   bash run.sh MODEL [FOLDER]        e.g. bash run.sh ethanol runs/ethanol
#
# Started again after an interruption it goes on. PROCESSES=2 cores are used. DFT=no leaves the
# harmonic modes of the reference out (some minutes of a core); QUANTUM=no leaves TRPMD out.
# CONFORMERS="a.xyz b.xyz" names starting structures, of the harmonic spectra and of the trajectories in
# turn (default: the model's).
# MEASURED="--compare x.jdx --null y.jdx" adds scores against a measured spectrum. For a trial:
# REPLICAS=2 STEPS=8000; the pictures are of 10 cm-1 (20 for quantum nuclei), which 8000 (4000) steps
# of a segment resolve.
set -euo pipefail
model=$1
folder=${2:-runs/$model}
mkdir -p "$folder"

# run NAME OPTIONS: dynamics into FOLDER/NAME, or on with it.
run() {
    if [ -e "$folder/$1/run.json" ]; then
        densnet md --resume "$folder/$1"
    else
        densnet md "$model" --output "$folder/$1" --processes "${PROCESSES:-2}" \
            "${starts[@]}" "${@:2}"
    fi
}

starts=()
# Unquoted: one word a file.
[ -z "${CONFORMERS:-}" ] || starts=(--start $CONFORMERS)
overlays=()
for structure in ${CONFORMERS:-template}; do
    name=$(basename "${structure%.xyz}")
    geometry=()
    [ "$structure" = template ] || geometry=("$structure")
    reference=(--dft)
    [ "${DFT:-yes}" = yes ] || reference=()
    densnet harmonic "$model" "${geometry[@]}" "${reference[@]}" --no-raman \
        --resolution 40 --output "$folder/harmonic-$name" --json "$folder/harmonic-$name.json"
    overlays+=("harmonic ($name)=$folder/harmonic-$name/harmonic-model.csv")
done

run classical --ensemble nve --temperature 300 --replicas "${REPLICAS:-16}" \
    --steps "${STEPS:-40000}" --dipole-stride 4 --position-stride 4 --seed 1
if [ "${QUANTUM:-yes}" = yes ]; then
    run quantum --ensemble trpmd --beads 32 --temperature 300 --replicas "${REPLICAS:-16}" \
        --steps 4000 --dipole-stride 4 --position-stride 0 --seed 2
    densnet spectrum "$folder/quantum" --ir --resolution 20 --output "$folder/spectrum-quantum" \
        --json "$folder/quantum.json" ${MEASURED:-}
    overlays=("quantum nuclei=$folder/spectrum-quantum/ir.csv" "${overlays[@]}")
fi
densnet spectrum "$folder/classical" --ir --resolution 10 --output "$folder/spectrum-classical" \
    --overlay "${overlays[@]}" --json "$folder/classical.json" ${MEASURED:-}
