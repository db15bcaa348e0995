"""Writes packages/data/test/fixtures/registry/attributes.json: what LLaMA-Factory 0.9.3 makes of dataset_info.json.

Only its registry parser is loaded, from an installed package or a wheel on PYTHONPATH; what it imports besides is
stood in for, because nothing of it runs here.
"""

import dataclasses
import importlib.util
import json
import pathlib
import sys
import types

OUT = pathlib.Path("packages/data/test/fixtures/registry")


def load_parser():
    package = importlib.util.find_spec("llamafactory").submodule_search_locations[0]
    for name in ("lf", "lf.data", "lf.extras"):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = []
    stand_ins = {
        "huggingface_hub": {"hf_hub_download": None},
        "lf.extras.constants": {"DATA_CONFIG": "dataset_info.json"},
        "lf.extras.misc": {"use_modelscope": lambda: False, "use_openmind": lambda: False},
    }
    for name, members in stand_ins.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(members)
    path = pathlib.Path(package) / "data" / "parser.py"
    spec = importlib.util.spec_from_file_location("lf.data.parser", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["lf.data.parser"] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    names = list(json.loads((OUT / "dataset_info.json").read_text()))
    attributes = load_parser().get_dataset_list(names, str(OUT))
    lines = [f"{json.dumps(n)}:{json.dumps(dataclasses.asdict(a))}" for n, a in zip(names, attributes)]
    made_by = json.dumps("test/oracles/make_registry_fixtures.py, LLaMA-Factory 0.9.3")
    text = ",\n".join(lines)
    (OUT / "attributes.json").write_text(f'{{"made_by":{made_by},\n"attributes":{{\n{text}\n}}}}\n')
