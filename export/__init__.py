"""From a checkpoint to a sealed bundle: ONNX, index, operating point, golden examples."""
