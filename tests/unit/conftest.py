"""What unit tests of several rooms share: frozen rows without a home around them."""

import numpy as np
import pytest

from rekindle.data.contract import Contract
from rekindle.data.snapshot import BATCH, freeze
from rekindle.data.source import Frame
from rekindle.records import Window


@pytest.fixture
def frozen(tmp_path):
    """Freezes a frame: `frozen(frame, per_batch=60)` -> (folder of the snapshot, contract as JSON)."""

    def make(frame, *, per_batch=60, label="label", task=None):
        source = Frame(frame, time="t", label=label)
        rows = source.read(Window(None, None))
        contract = Contract.learn(rows, source, task=task)
        checked = contract.check(rows, source).rows
        checked = checked.assign(**{BATCH: np.arange(len(checked)) // per_batch})
        made = freeze(
            checked[["t", label, *contract.names, BATCH]],
            window=Window(None, None),
            time="t",
            label=label,
            features=contract.names,
            task=contract.task,
            into=tmp_path / "snapshots",
            about={"contract": contract.to_json()},
        )
        return made.folder, contract.to_json()

    return make
