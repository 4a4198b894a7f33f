"""Check that what the options name exists, even if nothing needs it. Starts nothing."""

from __future__ import annotations

from repro.errors import MissingInput
from repro.options import Options


def check(options: Options) -> None:
    """Raise `UsageError` or `MissingInput` for a data folder, device, GPUs or launcher that is not available."""
    if options.data_dir:
        from repro.data import cifar10
        from repro.data.imagenet import index, layout

        if not options.data_dir.is_dir():
            raise MissingInput(f"--data-dir {options.data_dir}: there is no such folder")
        if not any(find([options.data_dir]) for find in (cifar10.find, index.find, layout.find)):
            raise MissingInput(
                f"--data-dir {options.data_dir}: neither CIFAR-10 nor ImageNet is there (`repro data status`)"
            )
    if options.launcher == "ray":
        from repro.launch import ray_pool

        ray_pool.package()
    elif options.launcher == "slurm":
        from repro.launch import slurm

        slurm.package()
    elif options.device == "cuda" or (options.gpus > 1 and options.device != "cpu"):  # this alone imports torch
        from repro.launch.local import LocalPool

        LocalPool(options.workers, options.gpus, options.device)
