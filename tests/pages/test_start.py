"""What starting the app loads: its first page, drawn in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
NOT_FOR_THE_FIRST_PAGE = {"nemo", "umap", "pynndescent", "numba", "llvmlite", "ray", "librosa"}
DRAWN = """
import json, sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("app.py", default_timeout=120).run()
assert not app.exception, app.exception
print(json.dumps([app.title[0].value, sorted({name.split(".")[0] for name in sys.modules})]))
"""


def test_the_first_page_loads_neither_nemo_nor_umap_nor_numba(small_workspace):
    environment = os.environ | {"VOXSCOPE_WORKSPACE": str(small_workspace), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", DRAWN],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    title, loaded = json.loads(done.stdout.splitlines()[-1])
    assert title == "Hear what a speaker embedding encodes"
    assert "streamlit" in loaded, "the page was drawn in that process"
    assert not NOT_FOR_THE_FIRST_PAGE & set(loaded)
