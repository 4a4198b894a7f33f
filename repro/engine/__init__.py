"""Trains Runs: `session.py` goes through a plan, `wave.py` trains small images, `photo_trainer.py` photographs.

Each Run of a wave has a lane (`lanes.py`: weights, order, labels, counters on the device) on one `InMemoryData`.
A strategy (`strategies/`) takes all lanes through a step; `calibration.py` measures which is fastest.
`run_progress.py` resumes a Run and keeps its history, states and Record. Below them are
`network.py` (weights in one flat tensor, Eq. 1 as the optimizer) and `device.py`. Everything here but `speeds.py`
and `events.py` imports torch; nothing here prints.
"""
