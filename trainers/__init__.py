"""Training of policies: pre-training of the micro model, GRPO and its relatives."""
