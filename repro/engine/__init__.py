"""Trains waves of Runs: `session.py` goes through a plan, `wave.py` trains a wave, `train.py` one Run.

Below them `network.py` (weights in one flat tensor, Eq. 1 as the optimizer), `step.py` (one update: eager,
or captured in a CUDA graph) and `device.py`. Everything here imports torch; nothing here prints.
"""
