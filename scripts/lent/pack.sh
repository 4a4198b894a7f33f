#!/usr/bin/env bash
# pack.sh SHEETS [PARTS]: fill .carry/p1, .carry/p2, ... with CIFAR-10, for a machine to which a call carries only so much.
# SHEETS holds unpack.py, labels-*.npy, SHA256SUMS and, in whatever folders, the images as sheets (*.webp).
set -euo pipefail
[ $# -ge 1 ] || { sed -n 2,3p "$0" >&2; exit 2; }
sheets=$(realpath "$1") parts=${2:-3}
cd "$(dirname "$0")/../.."
mapfile -t all < <(find "$sheets" -name '*.webp' | sort)
[ ${#all[@]} -gt 0 ] || { echo "pack.sh: no sheets (*.webp) in $sheets" >&2; exit 1; }
rm -rf .carry/p[0-9]*
for n in "${!all[@]}"; do
  part=.carry/p$((n * parts / ${#all[@]} + 1))
  mkdir -p "$part/sheets"
  cp "${all[n]}" "$part/sheets/"
done
for part in .carry/p[0-9]*; do cp "$sheets"/unpack.py "$sheets"/labels-*.npy "$sheets"/SHA256SUMS "$part/"; done
du -sh .carry/p[0-9]*
