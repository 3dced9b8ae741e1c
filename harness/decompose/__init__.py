"""From prompts to the yes/no questions of DVReward.

`dimensions` names what questions are about, `records` is the file format of prompts with their questions, `micro`
decomposes prompts of the micro world exactly, `model` decomposes any prompt with a language model (`chat`).
"""
