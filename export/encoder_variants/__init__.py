"""Other forms of the exported encoder: fused, int8, fp16; each judged against fp32 before use."""
