"""Export a policy as an ONNX graph."""

from __future__ import annotations

import numpy as np

from softstep.errors import ConfigError
from softstep.policies.exported_policy import ExportedPolicy

OPSET, IR_VERSION = 17, 9


def onnx_model(exported: ExportedPolicy) -> bytes:
    """Return a model from `observation` (N, O) to `q_values` (N, A) and `action` (N,).

    Raises:
        ConfigError: onnx is not installed.
    """
    try:
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        raise ConfigError("export --to onnx needs onnx: pip install 'softstep[onnx]'") from None
    nodes, weights, features = [], [], "observation"
    for number, (weight, bias) in enumerate(exported.layers):
        is_last = number == len(exported.layers) - 1
        weights += [numpy_helper.from_array(np.ascontiguousarray(weight), f"weight{number}")]
        weights += [numpy_helper.from_array(np.ascontiguousarray(bias), f"bias{number}")]
        linear = "q_values" if is_last else f"linear{number}"
        nodes.append(helper.make_node("Gemm", [features, f"weight{number}", f"bias{number}"], [linear], transB=1))
        if not is_last:
            nodes.append(helper.make_node("Relu", [linear], [f"relu{number}"]))
            features = f"relu{number}"
    nodes.append(helper.make_node("ArgMax", ["q_values"], ["action"], axis=1, keepdims=0))
    sizes = exported.sizes
    graph = helper.make_graph(
        nodes, "policy",
        [helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["N", sizes[0]])],
        [helper.make_tensor_value_info("q_values", TensorProto.FLOAT, ["N", sizes[-1]]),
         helper.make_tensor_value_info("action", TensorProto.INT64, ["N"])],
        weights,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    model.doc_string = exported.title
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content
