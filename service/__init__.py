"""The deployable: texts in, recommendations with decisions out; uses no code outside itself."""

import os

# ONNX Runtime reports its use to its maker unless told not to before its import; a service that
# reads its user's texts reports to nobody. Set the variable to 0 to choose otherwise.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
