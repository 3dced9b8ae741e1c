"""What the judges of the kind `score` share: loading weights, preparing pixels, the CLIP and HPSv3 models, batching."""
