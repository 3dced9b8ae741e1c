"""The parts of DVReward: what is asked (`asking`), in which words (`wording`), and the arithmetic (`scoring`)."""
