"""A recipe as a network in an ONNX file, for programs that have no Python: embeddings in, steered embeddings out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sae_core.files.artifacts import writing
from sae_core.files.errors import MissingDependencyError
from sae_core.measures.recipes import Recipe

OPSET, IR_VERSION = 13, 8
"""What ONNX Runtime of 2021 and later runs."""
INPUT, OUTPUT = "embeddings", "steered"


def write_network(recipe: Recipe, path: Path) -> Path:
    """Write the recipe as an ONNX network and return its path.

    It takes `embeddings` f32[n, d] of any norm and gives `steered` f32[n, d], what `Recipe.apply` gives; rows of zeros
    stay zeros. Raises MissingDependencyError without the package onnx.
    """
    try:
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as error:
        raise MissingDependencyError(
            "needs the package onnx, which is not installed", where=path,
            remedy="install the extra: pip install voxscope[onnx]",
        ) from error  # fmt: skip
    parts = _Parts(helper)
    _build(recipe, parts)
    shape: list[str | int | None] = ["n", recipe.dim]
    graph = helper.make_graph(
        parts.nodes,
        "steering",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(array, name) for name, array in parts.arrays.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="voxscope"
    )
    helper.set_model_props(
        model,
        {
            "encoder": recipe.mark.name,
            "revision": recipe.mark.revision,
            "sae": str(recipe.sae.get("name", "")),
        },
    )
    onnx.checker.check_model(model)
    with writing(Path(path)) as temporary:
        temporary.write_bytes(model.SerializeToString())
    return Path(path)


class _Parts:
    """Nodes and arrays of a graph, each node named by what it gives."""

    def __init__(self, helper: Any) -> None:
        self._helper = helper
        self.nodes: list[Any] = []
        self.arrays: dict[str, np.ndarray] = {}

    def array(self, name: str, values: Any, dtype: Any = np.float32) -> str:
        """An array of the file, by name."""
        self.arrays[name] = np.asarray(values, dtype=dtype)
        return name

    def node(
        self, kind: str, inputs: list[str], output: str, *, others: Sequence[str] = (), **settings: Any
    ) -> str:
        """A node whose first output has this name."""
        self.nodes.append(self._helper.make_node(kind, inputs, [output, *others], **settings))
        return output


def _build(recipe: Recipe, parts: _Parts) -> None:
    tiny, one, axis = parts.array("tiny", 1e-30), parts.array("one", 1.0), parts.array("axis", [1], np.int64)
    norms = parts.node("ReduceL2", [INPUT], "norms", axes=[1], keepdims=1)
    unit = parts.node("Div", [INPUT, parts.node("Max", [norms, tiny], "safe_norms")], "unit")
    scores = _scores(recipe, unit, parts)
    m, n = len(recipe.changes), len(recipe.bias)
    zero = parts.array("zero", 0.0)
    own = parts.node(
        "Slice",
        [scores, parts.array("first", [0], np.int64), parts.array("last", [m], np.int64), axis],
        "own",
    )
    is_active = parts.node("Greater", [own, parts.array("floor", recipe.floor[:m])], "above_floor")
    if recipe.k is not None and recipe.k < n:
        k = parts.array("k", [recipe.k], np.int64)
        best = parts.node("TopK", [scores, k], "best", others=["best_places"], axis=1)
        least = parts.node("ReduceMin", [best], "least", axes=[1], keepdims=1)
        is_among = parts.node("GreaterOrEqual", [own, least], "among_best")
        is_active = parts.node("And", [is_active, is_among], "is_active")
    active = parts.node("Where", [is_active, own, zero], "activations")
    scaled = parts.node("Mul", [active, parts.array("factors", recipe.factors - 1)], "scaled")
    delta = parts.node("Add", [scaled, parts.array("constants", recipe.constants)], "delta")
    moved = parts.node("MatMul", [delta, parts.array("directions", recipe.directions)], "step")
    is_there = parts.node("Min", [parts.node("Ceil", [norms], "ceiled"), one], "is_there")
    summed = parts.node("Mul", [parts.node("Add", [unit, moved], "moved"), is_there], "summed")
    lengths = parts.node("ReduceL2", [summed], "lengths", axes=[1], keepdims=1)
    parts.node("Div", [summed, parts.node("Max", [lengths, tiny], "safe_lengths")], OUTPUT)


def _scores(recipe: Recipe, unit: str, parts: _Parts) -> str:
    """z of all latents, of the few that are changed alone where no others matter."""
    n = len(recipe.bias) if recipe.k is not None else len(recipe.changes)
    if recipe.input_norm == "layer":
        mean = parts.node("ReduceMean", [unit], "mean", axes=[1], keepdims=1)
        centred = parts.node("Sub", [unit, mean], "centred")
        energy = parts.node("ReduceSumSquare", [centred], "energy", axes=[1], keepdims=1)
        freedom = parts.array("freedom", recipe.dim - 1)
        spread = parts.node("Sqrt", [parts.node("Div", [energy, freedom], "variance")], "spread")
        spread = parts.node("Add", [spread, parts.array("epsilon", 1e-5)], "safe_spread")
        unit = parts.node("Div", [centred, spread], "layer_normed")
    weight = parts.array("encoder", recipe.encoder[:n].T)
    return parts.node(
        "Add",
        [parts.node("MatMul", [unit, weight], "products"), parts.array("bias", recipe.bias[:n])],
        "scores",
    )
