"""Export a policy as an ONNX graph."""

from __future__ import annotations

from typing import Any

import numpy as np

import softstep
from softstep.envs.contract import ActionBounds
from softstep.extras import required_by
from softstep.policies.exported_policy import ExportedPolicy

OPSET, IR_VERSION = 17, 9


def onnx_model(exported: ExportedPolicy) -> bytes:
    """Return a model from `observation` float32 (N, O) to `q_values` float32 (N, A) and `action` int64 (N,).

    An actor's model has one output, `action` float32 (N, A), within the environment's bounds. Every node has a name.
    The model's metadata say which agent it is: env, seed, arm, gamma, env_steps and softstep_version.

    Raises:
        MissingExtra: onnx is not installed.
    """
    with required_by("export --to onnx"):
        import onnx
        from onnx import TensorProto, helper
    nodes, weights = _nodes_and_weights(exported)
    sizes = exported.sizes
    if exported.bounds is None:
        outputs = [
            helper.make_tensor_value_info("q_values", TensorProto.FLOAT, ["N", sizes[-1]]),
            helper.make_tensor_value_info("action", TensorProto.INT64, ["N"]),
        ]
    else:
        outputs = [helper.make_tensor_value_info("action", TensorProto.FLOAT, ["N", sizes[-1]])]
    graph = helper.make_graph(
        nodes, "softstep_policy",
        [helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["N", sizes[0]])],
        outputs,
        weights,
    )  # fmt: skip
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
        producer_name="softstep", producer_version=softstep.__version__, doc_string=exported.title,
    )  # fmt: skip
    helper.set_model_props(model, exported.metadata)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def _nodes_and_weights(exported: ExportedPolicy) -> tuple[list[Any], list[Any]]:
    """Return the graph's nodes, one per operation of the network, and its constant tensors."""
    from onnx import helper, numpy_helper

    nodes, weights, features = [], [], "observation"
    outputs = "q_values" if exported.bounds is None else "outputs"
    for number, (weight, bias) in enumerate(exported.layers):
        is_last = number == len(exported.layers) - 1
        weights += [numpy_helper.from_array(np.ascontiguousarray(weight), f"weight{number}")]
        weights += [numpy_helper.from_array(np.ascontiguousarray(bias), f"bias{number}")]
        name = outputs if is_last else f"linear{number}"
        inputs = [features, f"weight{number}", f"bias{number}"]
        nodes.append(helper.make_node("Gemm", inputs, [name], name=name, transB=1))
        if not is_last:
            features = f"relu{number}"
            nodes.append(helper.make_node("Relu", [name], [features], name=features))
    if exported.bounds is None:
        nodes.append(helper.make_node("ArgMax", ["q_values"], ["action"], name="action", axis=1, keepdims=0))
        return nodes, weights
    scaling_nodes, constants = _scaling(exported.bounds)
    return nodes + scaling_nodes, weights + constants


def _scaling(bounds: ActionBounds) -> tuple[list[Any], list[Any]]:
    """Return the nodes from an actor's outputs to its action, low + (tanh + 1)·(high − low)/2, and their constants."""
    from onnx import helper, numpy_helper

    low, high = (np.asarray(bound, np.float32) for bound in bounds)
    constants = {"one": np.float32(1), "half_range": np.float32(0.5) * (high - low), "low": low}
    steps = [
        ("Tanh", ["outputs"], "tanh"),
        ("Add", ["tanh", "one"], "from_zero"),
        ("Mul", ["from_zero", "half_range"], "from_low"),
        ("Add", ["low", "from_low"], "action"),
    ]
    nodes = [helper.make_node(operation, inputs, [name], name=name) for operation, inputs, name in steps]
    return nodes, [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
