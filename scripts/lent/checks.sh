#!/usr/bin/env bash
# checks.sh fused|tests|photos: checks that need a GPU, for the root of the tree on a lent machine. Output goes to $OUT.
# fused: the fused kernels, ResNet56 in waves, fused bfloat16 against float32 (CIFAR-10 in $DATA, /tmp/data by default).
# tests: those of tests/ that need CUDA; the compiled strategies compile for a minute each, so they run side by side.
# photos: ImageNet's throughput from the images in .carry/photos, in three minutes.
set -u
export PYTHONPATH=. OUT=${OUT:-.}
gpu() { python3 -m pytest --noconftest -c /dev/null --rootdir . -q -m gpu -o markers="gpu: needs a CUDA device" "$@"; }
case ${1:-} in
fused)
    gpu tests/test_gpu_fused.py                                                             # 59 s, 35 of them to compile
    python3 benchmarks/fused.py --batch 128 --lanes 1,32,64 --where 32 --pdl --against streams    # some 60 s
    python3 benchmarks/fused.py --batch 64 --lanes 1,32 --where "" --pdl --against
    python3 benchmarks/fused.py --arch resnet56 --batch 64 --lanes 1,8,32 --where "" --against    # 40 s
    python3 benchmarks/fused.py --arch resnet56 --batch 128 --lanes 32 --where "" --against streams
    python3 benchmarks/paired.py --data-dir "${DATA:-/tmp/data}" --runs-dir /tmp/paired --set recipe.batch_size=64 \
        --set data.train=6400 --set data.test=5000 streams:float32:16 fused:bfloat16:16     # more than 100 s
    ;;
tests)
    gpu tests/test_gpu.py tests/test_gpu_photos.py -k 'not compiled'
    for test in lanes_go mask_holds every_strategy; do
        gpu tests/test_gpu.py -k "compiled and $test" >"$OUT/tests-$test.log" 2>&1 &
    done
    wait
    tail -n 1 "$OUT"/tests-*.log
    ;;
photos)
    timeout -s INT 180 python3 benchmarks/imagenet.py --images .carry/photos --seconds 6 --budget 150 \
        2> >(tee "$OUT/rows.log" >&2) | tee "$OUT/imagenet.md"
    ;;
*) sed -n 2,5p "$0" >&2; exit 2 ;;
esac
