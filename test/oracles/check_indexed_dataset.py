"""Reads indexed data sets through megatron-core and prints one JSON line for each.

    python test/oracles/check_indexed_dataset.py PREFIX [PREFIX …]

Every sequence is read with memory mapping and without; both must agree.
"""

import hashlib
import json
import sys

import numpy as np
from megatron.core.datasets.indexed_dataset import IndexedDataset


def describe(prefix):
    mapped = IndexedDataset(prefix, mmap=True)
    plain = IndexedDataset(prefix, mmap=False)
    digest = hashlib.sha256()
    tokens = 0
    for i in range(len(mapped)):
        sequence = mapped[i]
        assert np.array_equal(sequence, plain[i]), f"sequence {i} differs without memory mapping"
        digest.update(np.asarray(sequence, dtype="<i8").tobytes())
        tokens += len(sequence)
    return {
        "prefix": prefix,
        "dtype": np.dtype(mapped.index.dtype).name,
        "sequences": len(mapped),
        "documents": len(mapped.document_indices) - 1,
        "boundaries": hashlib.sha256(np.asarray(mapped.document_indices, dtype="<i8").tobytes()).hexdigest(),
        "tokens": tokens,
        "sha256": digest.hexdigest(),
        "first": [int(x) for x in mapped[0][:8]] if len(mapped) else [],
    }


for name in sys.argv[1:]:
    print(json.dumps(describe(name)))
