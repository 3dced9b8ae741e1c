"""The instructions of decomposition by a language model: text files with a `[system]` and a `[user]` part."""
