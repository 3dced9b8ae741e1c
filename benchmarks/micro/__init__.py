"""Micro editions: prompts and questions of each benchmark over the micro world (`harness.world`)."""
