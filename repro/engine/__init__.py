"""Trains Runs: `session.py` goes through a plan, `wave.py` trains small images, `train.py` photographs.

A wave's Runs each have a lane (`lanes.py`: weights, order, labels, counters on the device) on a shared pool of
images (`device_dataset.py`); a strategy (`strategies/`) takes all lanes through a step, and `calibration.py`
measures which. `run_progress.py` keeps history, states and Record of a Run, `resume.py` finds its saved state. Below
them `network.py` (weights in one flat tensor, Eq. 1 as the optimizer) and `device.py`. Everything here imports torch;
nothing here prints.
"""
